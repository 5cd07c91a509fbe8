# SPDX-License-Identifier: AGPL-3.0-only
"""What `usage` and `explain` show of several MTAs, against what was sent over them."""

import json
import signal
import sys
import unittest
from pathlib import Path

from cluster_case import ClusterTest, eventually, policy, quota

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin"))

import json_keys  # noqa: E402

HOUR = 3600
RULES = policy() + quota(10, period=HOUR)


class FiguresTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()

    def say(self, daemon, *words):
        done = daemon.command(*words)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        return done.stdout

    def usage(self, daemon, *words):
        return json.loads(self.say(daemon, "usage", *words, "--json"))

    def explain(self, daemon, sender="alice@example.org", *words):
        return self.say(daemon, "explain", "--from", sender, "--to", "bob@example.com", *words)

    def figures(self, daemon, *words):
        """key -> (here, all)"""
        return {use["key"]: (use["used_here"], use["used"])
                for use in self.usage(daemon, *words)["usage"]}


class Usage(FiguresTest):
    def test_here_and_on_all(self):
        hosts = self.make_hosts(self.engine, RULES)
        for number, daemon in enumerate(hosts):
            self.assertEqual(self.passed(daemon, number + 1), number + 1)
        self.assertEqual(self.passed(hosts[2], 4, sender="carl@example.org"), 4)
        for here, daemon in enumerate(hosts):
            alice = {"Sender:alice@example.org": (here + 1, 6)}
            both = {**alice, "Sender:carl@example.org": (4 if here == 2 else 0, 4)}
            self.assertEqual(self.figures(daemon), both)
            self.assertEqual(self.figures(daemon, "--limit", "3"), both)
            self.assertEqual(self.figures(daemon, "example.org"), both)
            self.assertEqual(self.figures(daemon, "alice@example.org"), alice)
            self.assertEqual(self.figures(daemon, "--top", "1"), alice)
            figures = self.usage(daemon)
            self.assertEqual((figures["counters"], figures["all_mtas"], figures["others_unknown"]),
                             (2, True, None))

    def test_full_by_what_others_have_counted(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[0], 10), 10)
        [use] = self.usage(hosts[1])["usage"]
        self.assertEqual((use["used_here"], use["used"], use["percent"]), (0, 10, 100))
        self.assertGreater(use["next_free"], self.usage(hosts[1])["now"] + HOUR - 60)

    def test_text(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[0], 3), 3)
        self.assertEqual(self.passed(hosts[1], 4), 4)
        said = self.say(hosts[0], "usage")
        self.assertRegex(said, r"WHO +DIRECTION +HERE +ALL MTAS +PERIOD +PERCENT")
        self.assertRegex(said, r"alice@example.org +send +3 +7/10 +h +70%")
        self.assertLessEqual(max(len(line) for line in said.splitlines()), 80, said)
        self.assertNotIn("Note", said)

    def test_many_counters(self):
        hosts = self.make_hosts(self.engine, RULES, 2)
        senders = [f"user{number}@example.org" for number in range(1500)]
        for daemon in hosts:
            with daemon.connect() as connection:
                for sender in senders:
                    self.assertEqual(connection.ask(sender=sender, instance=sender), "DUNNO")
        self.assertEqual(set(self.figures(hosts[0]).values()), {(1, 2)})
        self.assertEqual(self.usage(hosts[0])["counters"], 1500)

    def test_keys_of_others_do_no_harm(self):
        hosts = self.make_hosts(self.engine, RULES, 1)
        self.assertEqual(self.passed(hosts[0], 3), 3)
        prefix = "carbonio-limits:c:"
        self.engine.ask("SET", prefix + "4:Sender:text@example.org", "nonsense")
        self.engine.ask("HSET", prefix + "4:Sender:field@example.org", "mta2", "nonsense")
        self.engine.ask("HSET", prefix + "x:Sender:id@example.org", "mta2", "nonsense")
        self.engine.ask("HSET", prefix + "99:Sender:none@example.org", "mta2", "nonsense")
        self.assertEqual(self.figures(hosts[0]), {"Sender:alice@example.org": (3, 3)})

    def test_the_engine_cannot_be_asked(self):
        hosts = self.make_hosts(self.engine, RULES)
        for daemon in hosts:
            self.assertEqual(self.passed(daemon, 2), 2)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            self.engine.signal(number)
            said = self.say(hosts[0], "usage")
            self.assertRegex(said, r"alice@example.org +send +2/10 ")
            self.assertEqual(said.count("Note: these figures are this host's alone, since "), 1, said)
            figures = self.usage(hosts[0])
            self.assertFalse(figures["all_mtas"])
            self.assertTrue(figures["others_unknown"])
            said = self.explain(hosts[0])
            self.assertEqual(said.count("decides by what this host has counted alone"), 1, said)


class Explain(FiguresTest):
    def stop_engine(self, daemon):
        self.engine.signal(signal.SIGSTOP)
        self.wait_until_alone(daemon)

    def test_alone_it_answers_as_the_daemon_does(self):
        """And so does `usage`: each host lets a third pass."""
        daemon = self.make_hosts(self.engine, RULES)[0]
        self.stop_engine(daemon)
        until = "ntil limits are shared again, this host lets 1/3 of each limit pass."
        for number in range(4):
            said = json.loads(self.explain(daemon, "alice@example.org", "--json"))
            [limit] = said["limits"]
            self.assertEqual((limit["used"], limit["limit"], limit["full"]), (number, 3, number == 3))
            self.assertIn("u" + until, said["notes"])
            self.assertEqual(daemon.ask(), said["answer"]["action"].removeprefix("action="))
        self.assertFalse(said["passes"])
        [use] = self.usage(daemon)["usage"]
        self.assertEqual((use["used"], use["amount"]), (3, 10))
        self.assertGreater(use["next_free"], self.usage(daemon)["now"] + HOUR - 60)
        self.assertIn("\nNote: u" + until, self.say(daemon, "usage"))
        self.assertIn(" Until they are, this host lets 1/3 of each limit pass.\n",
                      self.say(daemon, "list"))

    def test_alone_it_defers(self):
        [daemon] = self.make_hosts(self.engine, RULES, 1, without="defer")
        self.stop_engine(daemon)
        said = json.loads(self.explain(daemon, "alice@example.org", "--json"))
        self.assertFalse(said["passes"])
        self.assertIn("while limits are not shared", said["answer"]["why"])
        self.assertEqual(daemon.ask(), said["answer"]["action"].removeprefix("action="))
        self.assertIn("until limits are shared again, mail that would be counted is deferred.",
                      said["notes"])
        earlier = "Earlier refusals of alice@example.org by no limit (limits could not be shared"
        self.assertTrue(eventually(
            lambda: earlier in self.say(daemon, "usage", "alice@example.org")))

    def test_refuses_by_what_others_have_counted(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[0], 7), 7)
        said = json.loads(self.explain(hosts[1], "alice@example.org", "--json"))
        [limit] = said["limits"]
        self.assertTrue(said["passes"] and said["all_mtas"])
        self.assertEqual((limit["used_here"], limit["used"], limit["full"]), (0, 7, False))
        self.assertEqual(self.passed(hosts[2], 3), 3)
        for number, daemon in enumerate(hosts):
            said = json.loads(self.explain(daemon, "alice@example.org", "--json"))
            [limit] = said["limits"]
            self.assertFalse(said["passes"])
            self.assertEqual((limit["used_here"], limit["used"], limit["full"]),
                             ([7, 0, 3][number], 10, True))
            self.assertIsNotNone(limit["free_at"])
            # As it is.
            self.assertEqual(daemon.ask(), said["answer"]["action"].removeprefix("action="))
            self.assertTrue(json.loads(self.explain(daemon, "carl@example.org", "--json"))["passes"])

    def test_text(self):
        hosts = self.make_hosts(self.engine, RULES, 2)
        self.assertEqual(self.passed(hosts[0], 10), 10)
        said = self.explain(hosts[1])
        self.assertIn("REFUSED FOR NOW", said)
        self.assertRegex(said, r"HERE +ALL MTAS")
        self.assertRegex(said, r" 0 +10 of 10 messages per hour ")
        self.assertRegex(said, "free in (59 min|1 h)")


if __name__ == "__main__":
    unittest.main()
