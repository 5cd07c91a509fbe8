# SPDX-License-Identifier: AGPL-3.0-only
"""`reset` frees on all MTAs of a cluster: at once where they are there, later where they are not."""

import re
import shlex
import signal
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, limit, policy, quota

HOUR = 3600
ALICE = "Sender:alice@example.org"
CARL = "carl@example.org"
RULES = policy() + quota(9, period=HOUR)
GRACE_S = 6.5  # what arrives later than this, and a sixtieth of the period, is not cleared


class ResetTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()

    def reset(self, daemon, *words):
        said = daemon.command("reset", *words).stdout
        self.assertLessEqual(max(len(line) for line in said.splitlines()
                                 if not line.startswith("Note: ")), 80, said)
        return said

    def fill(self, hosts, each=3):
        for daemon in hosts:
            self.assertEqual(self.passed(daemon, each), each)
        for daemon in hosts:  # each knows that it is full
            self.assertEqual(daemon.ask(), "DEFER later")

    def counted(self, hosts, key=ALICE):
        return [daemon.counter(key) for daemon in hosts]

    def stored(self, key="4:" + ALICE):
        return self.engine.ask("HLEN", "carbonio-limits:c:" + key)

    def assert_free(self, hosts, mails=9):
        """Exactly so many, over all of them."""
        passed = [daemon.ask() == "DUNNO" for _ in range(mails) for daemon in hosts]
        self.assertEqual(passed, [True] * mails + [False] * (len(passed) - mails))


class Reset(ResetTest):
    def test_frees_on_all_at_once(self):
        hosts = self.make_hosts(self.engine, RULES)
        for typed_at in (0, 2):
            self.fill(hosts)
            said = self.reset(hosts[typed_at], "alice@example.org")
            self.assertIn("Cleared the counters of alice@example.org in limit 3.", said)
            self.assertEqual(re.findall(r"^(mta\d)( \(this host\))? +1 counter$", said, re.M),
                             [(f"mta{typed_at + 1}", " (this host)"),
                              *((f"mta{n + 1}", "") for n in range(3) if n != typed_at)])
            self.assertNotIn("Note", said)
            self.assertEqual(self.counted(hosts), [0, 0, 0])
            self.assertEqual(self.stored(), "0")
            self.assert_free(hosts)
            self.reset(hosts[1], "alice@example.org")
        self.assert_free(hosts)

    def test_what_only_others_have_counted(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[1], 9), 9)
        said = self.reset(hosts[0], "alice@example.org")
        self.assertIn("Cleared the counters of alice@example.org on other hosts.", said)
        self.assertRegex(said, r"mta1 \(this host\) +nothing to clear\n")
        self.assert_free(hosts)
        said = self.reset(hosts[0], "nobody@example.org")
        self.assertIn("There were no counters of nobody@example.org to clear.", said)

    def test_no_host_calls_them_refused_any_more(self):
        """Whether it had counted their mail itself, or only refused it, as here the third one."""
        hosts = self.make_hosts(self.engine, RULES)
        for typed in ((0, "alice@example.org"), (1, "--limit", "3"), (2, "alice@example.org")):
            self.assertEqual([self.passed(daemon, 4) for daemon in hosts[:2]], [4, 4])
            self.assertEqual(sum(self.passed(daemon, 2) for daemon in hosts), 1)
            self.assertTrue(eventually(lambda: all(
                self.free_in(daemon) not in (None, "now") for daemon in hosts)))
            at, *words = typed
            self.reset(hosts[at], *words)
            for daemon in hosts:
                self.assertTrue(eventually(lambda: self.free_in(daemon) == "now"),
                                daemon.command("refused").stdout)
        said = hosts[2].command("changes").stdout
        self.assertIn("the cluster  counters cleared", said)

    def free_in(self, daemon):
        """As `refused` says: "59 min"; None if it does not list the sender."""
        found = re.search(r"^alice@example.org .* (\d+ \w+|now)$", daemon.command("refused").stdout, re.M)
        return found and found[1]

    def test_other_counters_stay(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        for daemon in hosts:
            self.assertEqual(self.passed(daemon, 2, sender=CARL), 2)
        self.reset(hosts[0], "alice@example.org")
        self.assertEqual(self.counted(hosts, f"Sender:{CARL}"), [2, 2, 2])
        self.assertEqual(sum(self.passed(daemon, 5, sender=CARL) for daemon in hosts), 3)

    def test_all_counters_of_a_limit(self):
        rules = RULES + policy() + quota(1000, period=60) + limit(10 ** 6, "MessageCumulativeSize")
        hosts = self.make_hosts(self.engine, rules)
        senders = [f"user{number}@example.org" for number in range(300)]
        for daemon in hosts:
            with daemon.connect() as connection:
                for sender in senders:
                    connection.ask(sender=sender, instance=sender)
        self.fill(hosts)
        others = "SELECT count(*) FROM quotas_tracking WHERE QuotasLimitsID = 5 AND Counter > 0"
        before = [daemon.query(others) for daemon in hosts]
        hosts[0].sql("DELETE FROM quotas_tracking WHERE TrackKey LIKE 'Sender:user1%';")
        said = self.reset(hosts[1], "--limit", "3")
        self.assertRegex(said, r"mta3 +301 counters\n")
        for daemon in hosts[1:]:
            self.assertEqual(
                daemon.query("SELECT count(*) FROM quotas_tracking WHERE QuotasLimitsID = 4 AND "
                             "Counter > 0"), [(0,)])
        self.assertEqual([daemon.query(others) for daemon in hosts[1:]], before[1:])
        self.assertEqual(self.engine.ask("--scan", "--pattern", "carbonio-limits:c:4:*"), "")
        self.assert_free(hosts)

    def test_a_dry_run_changes_nothing(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        said = self.reset(hosts[0], "alice@example.org", "--dry-run")
        self.assertIn("Would clear the counters of alice@example.org in limit 3.\n"
                      "Note: the other hosts of the cluster would clear theirs, too.", said)
        self.assertEqual(self.counted(hosts), [3, 3, 3])
        self.assertEqual([daemon.ask() for daemon in hosts], ["DEFER later"] * 3)

    def test_what_is_counted_for_everybody(self):
        rules = RULES + policy() + quota(20, period=HOUR, track="Policy")
        hosts = self.make_hosts(self.engine, rules)
        self.fill(hosts)
        said = self.reset(hosts[0], "alice@example.org")
        command = re.search(r"everybody together has 9/20 of limit 4; to clear that too: (.*)", said)[1]
        self.reset(hosts[2], *shlex.split(command)[2:])
        self.assertEqual(self.counted(hosts, "Policy"), [0, 0, 0])


class Away(ResetTest):
    def test_a_stopped_host_does_it_when_it_is_back(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        hosts[2].process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        said = self.reset(hosts[0], "alice@example.org")
        self.assertLess(time.monotonic() - began, 20)
        self.assertRegex(said, r"mta2 +1 counter\nmta3 +no answer")
        self.assertIn("Note: mta3 has not answered: it clears them when it is back", said)
        # Its part holds until then.
        self.assertEqual(sum(daemon.ask() == "DUNNO" for _ in range(6) for daemon in hosts[:2]), 6)
        hosts[2].process.send_signal(signal.SIGCONT)
        self.assertTrue(eventually(lambda: self.counted(hosts[2:]) == [0]))
        self.assertTrue(eventually(lambda: any(daemon.ask() == "DUNNO" for daemon in hosts[:2])))
        passed = 1 + sum(daemon.ask() == "DUNNO" for _ in range(6) for daemon in hosts)
        self.assertEqual(passed, 3)

    def test_what_a_stopped_host_has_used_up_is_no_advice(self):
        """It would be the command that was just typed."""
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[2], 9), 9)
        hosts[2].process.send_signal(signal.SIGSTOP)
        said = self.reset(hosts[0], "alice@example.org")
        self.assertIn("Note: alice@example.org still has 9/9 of limit 3, counted since then or by a "
                      "host that has not answered.\n", said)
        self.assertNotIn("to clear that too", said)
        hosts[2].process.send_signal(signal.SIGCONT)

    def test_a_killed_host_does_it_before_it_counts_again(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        hosts[2].kill()
        said = self.reset(hosts[0], "alice@example.org")
        self.assertRegex(said, r"mta3 +no answer")
        hosts[2].start()
        self.wait_until_shared(hosts[2], 3)
        self.assertEqual(self.counted(hosts), [0, 0, 0])
        self.assert_free(hosts)

    def test_it_is_done_once(self):
        """What is counted later stays, however often the host is started again."""
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        self.reset(hosts[0], "alice@example.org")
        self.assertEqual(self.passed(hosts[2], 4), 4)
        for _ in range(2):
            hosts[2].kill()
            hosts[2].start()
            self.wait_until_shared(hosts[2], 3)
        self.assertEqual(self.counted(hosts), [0, 0, 4])
        self.assertEqual(sum(self.passed_by_all(hosts, 5)), 5)

    def test_what_a_host_counted_alone_later_stays(self):
        hosts = self.make_hosts(self.engine, policy() + quota(9, period=60))
        self.fill(hosts)
        hosts[2].stop()
        self.reset(hosts[0], "alice@example.org")
        time.sleep(GRACE_S)
        hosts[2].sql(f"UPDATE quotas_tracking SET LastUpdate = {time.time()}, Counter = 2, "
                     f"State = NULL WHERE TrackKey = '{ALICE}';")
        hosts[2].start()
        self.wait_until_shared(hosts[2], 3)
        self.assertEqual(self.counted(hosts), [0, 0, 2])

    def test_the_engine_is_away(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        self.engine.kill()
        for daemon in hosts:
            self.wait_until_alone(daemon)
        said = self.reset(hosts[0], "alice@example.org")
        self.assertEqual(self.counted(hosts), [0, 3, 3])
        self.assertEqual(said.count("the other hosts of the cluster were not told: "), 1, said)
        later = re.search(r"Once limits are shared again: carbonio-limits (.*)", said)[1]
        self.engine.start()
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        hosts[0].command(*shlex.split(later))
        self.assertEqual(self.counted(hosts), [0, 0, 0])
        self.assert_free(hosts)

    def test_the_list_was_lost(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        self.reset(hosts[0], "alice@example.org")
        self.fill(hosts)
        hosts[2].kill()
        self.reset(hosts[0], "alice@example.org")
        self.engine.ask("FLUSHALL")
        for daemon in hosts[:2]:
            self.wait_until_shared(daemon)
        hosts[2].start()
        self.wait_until_shared(hosts[2], 3)
        hosts[2].wait_for_log("WARNING", "has lost its list of resets")
        self.assertEqual(self.counted(hosts), [0, 0, 3])
        self.reset(hosts[2], "alice@example.org")
        self.assert_free(hosts)

    def test_another_key_in_place_of_the_list(self):
        self.engine.ask("SET", "carbonio-limits:resets", "nonsense")
        hosts = self.make_hosts(self.engine, RULES)
        hosts[0].wait_for_log("WARNING", "resets cannot be read: ", "should be deleted")
        self.fill(hosts)
        said = self.reset(hosts[0], "alice@example.org")
        self.assertIn("were not told: Redis ", said)
        self.engine.ask("DEL", "carbonio-limits:resets")
        self.reset(hosts[0], "alice@example.org")
        self.assert_free(hosts)

    def test_strange_entries_are_passed_over(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.fill(hosts)
        for fields in (("kind", "dance"), ("kind", "clear", "limits", "4 x"), ("a", "b"),
                       ("kind", "clear", "limits", "4", "key", "x" * 3000)):
            self.engine.ask("XADD", "carbonio-limits:resets", "*", *fields)
        self.reset(hosts[0], "alice@example.org")
        self.assert_free(hosts)
        hosts[0].wait_for_log("WARNING", "it has entries of another kind")


class Flood(ResetTest):
    def test_never_more_than_the_limit_between_resets(self):
        hosts = self.make_hosts(self.engine, RULES)
        over = threading.Event()
        passed = [0] * len(hosts)
        failed = []

        def flood(number):
            try:
                with hosts[number].connect() as connection:
                    at = 0
                    while not over.is_set():
                        at += 1
                        passed[number] += connection.ask(instance=f"f{number}.{at}") == "DUNNO"
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=flood, args=(n,)) for n in range(len(hosts))]
        for thread in threads:
            thread.start()
        resets = 5
        try:
            for number in range(resets):
                self.assertTrue(eventually(lambda: sum(passed) >= 9 * (number + 1)))
                said = self.reset(hosts[number % len(hosts)], "alice@example.org")
                self.assertNotIn("no answer", said)
                self.assertTrue(eventually(lambda: sum(passed) >= 9 * (number + 2)))
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failed, [])
        # While hosts clear one after another, each time at most once more.
        self.assertLessEqual(sum(passed), 9 * (2 * resets + 1))
        self.assertLessEqual(sum(self.counted(hosts)), 9)
        # The engine has what the hosts have.
        self.assertEqual(sum(daemon.ask() == "DUNNO" for daemon in hosts),
                         9 - sum(self.counted(hosts)) if sum(self.counted(hosts)) < 9 else 0)


if __name__ == "__main__":
    unittest.main()
