# SPDX-License-Identifier: AGPL-3.0-only
"""One count on all MTAs: never more than the limit over all of them, and exactly the limit."""

import random
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, limit, policy, quota, shows

HOUR = 3600


class OneCount(ClusterTest):
    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()

    def test_one_after_the_other(self):
        hosts = self.make_hosts(self.engine, policy() + quota(10, period=HOUR))
        passed = [daemon.ask() == "DUNNO" for _ in range(10) for daemon in hosts]
        self.assertEqual(passed, [True] * 10 + [False] * 20)

    def test_at_the_same_time(self):
        hosts = self.make_hosts(self.engine, policy() + quota(300, period=HOUR))
        passed = self.passed_by_all(hosts, 200)
        self.assertEqual(sum(passed), 300, passed)

    def test_several_limits_at_once(self):
        rules = policy() + quota(50, period=60) + limit(1, "MessageCumulativeSize")
        rules = policy() + quota(50, period=60) + quota(40, period=HOUR, track="Sender:@domain")
        hosts = self.make_hosts(self.engine, rules)
        passed = self.passed_by_all(hosts, 60)
        self.assertEqual(sum(passed), 40, passed)

    def test_a_refusal_says_when_it_is_free(self):
        rules = policy() + quota(3, period=HOUR, data="{used} of {limit}, in {retry_after}")
        hosts = self.make_hosts(self.engine, rules)
        for daemon in hosts:
            self.assertEqual(daemon.ask(), "DUNNO")
        for daemon in hosts:
            self.assertRegex(daemon.ask(), r"DEFER 3 of 3, in (59 minutes|1 hour)")

    def test_each_host_stores_its_part(self):
        hosts = self.make_hosts(self.engine, policy() + quota(10, period=HOUR))
        for number, daemon in enumerate(hosts):
            self.assertEqual(self.passed(daemon, number + 1), number + 1)
        self.assertEqual([daemon.counter("Sender:alice@example.org") for daemon in hosts], [1, 2, 3])

    def test_a_host_that_is_started_again_decides_nothing_alone(self):
        """Its first answer is one of the cluster."""
        hosts = self.make_hosts(self.engine, policy() + quota(9, period=HOUR))
        self.assertEqual([self.passed(daemon, 5) for daemon in hosts[:2]], [5, 4])
        for stop in (hosts[2].stop, hosts[2].kill):
            stop()
            hosts[2].start()
            self.assertEqual(self.passed(hosts[2], 5), 0, hosts[2].log())

    def test_a_start_without_the_engine_is_answered_at_once(self):
        host, = self.make_hosts(self.engine, policy() + quota(9, period=HOUR), count=1)
        host.stop()
        self.engine.kill()
        host.start()
        began = time.monotonic()
        self.assertEqual(host.ask(), "DUNNO")
        self.assertLess(time.monotonic() - began, 0.9)

    def test_different_recipients(self):
        hosts = self.make_hosts(self.engine, policy() + quota(20, "DistinctRecipients", period=HOUR))
        names = [f"r{number}@example.com" for number in range(60)]
        passed = [{name for name in names[at::3] if daemon.ask(recipient=name) == "DUNNO"}
                  for at, daemon in enumerate(hosts)]
        self.assertEqual(len(set().union(*passed)), 20, passed)
        for daemon, known in zip(hosts, passed):
            for name in known:  # again, though the limit is full
                self.assertEqual(daemon.ask(recipient=name), "DUNNO")
        self.assertEqual(sum(daemon.counter("Sender:alice@example.org") for daemon in hosts), 20)

    def test_recipients_known_to_another_host_count_there_too_but_never_more_than_the_limit(self):
        hosts = self.make_hosts(self.engine, policy() + quota(10, "DistinctRecipients", period=HOUR),
                                count=2)
        threads, passed = [], [set(), set()]

        def ask(at):
            dice = random.Random(at)
            for _ in range(200):
                name = f"r{dice.randrange(30)}@example.com"
                if hosts[at].ask(recipient=name) == "DUNNO":
                    passed[at].add(name)

        for at in range(2):
            threads.append(threading.Thread(target=ask, args=(at,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(passed[0]) + len(passed[1]), 10, passed)

    @shows("an MTA is killed")
    def test_a_host_that_was_killed_comes_back_with_its_part(self):
        hosts = self.make_hosts(self.engine, policy() + quota(10, period=HOUR))
        self.assertEqual(self.passed(hosts[0], 4), 4)
        hosts[0].kill()
        self.assertEqual(self.passed(hosts[1], 3), 3)
        hosts[0].start()
        self.wait_until_shared(hosts[0], 3)
        self.assertEqual(self.passed_by_all(hosts, 5) and
                         sum(d.counter("Sender:alice@example.org") for d in hosts), 10)


class Rules(ClusterTest):
    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()
        self.hosts = self.make_hosts(self.engine, policy() + quota(10, period=HOUR))

    def periods(self):
        return [daemon.sql("SELECT Period FROM quotas WHERE ID = 3;").strip() for daemon in self.hosts]

    def test_a_change_typed_at_one_host_is_in_force_on_all(self):
        self.hosts[1].sql("UPDATE quotas_limits SET CounterLimit = 2 WHERE ID = 4;")
        self.assertTrue(eventually(lambda: all(
            daemon.sql("SELECT CounterLimit FROM quotas_limits WHERE ID = 4;").strip() == "2"
            for daemon in self.hosts)))
        for daemon in self.hosts:
            self.wait_until_shared(daemon, 3)
        self.assertEqual(sum(self.passed_by_all(self.hosts, 5)), 2)

    def test_rules_that_cannot_be_compared_are_not_shared(self):
        self.engine.ask("SET", "carbonio-limits:rules", "garbage")
        for daemon in self.hosts:
            daemon.wait_for_log("ERROR", "the key 'carbonio-limits:rules' holds no rules; delete it")
            self.wait_until_alone(daemon)
        self.engine.ask("DEL", "carbonio-limits:rules")
        for daemon in self.hosts:
            self.wait_until_shared(daemon, 3)

    def test_a_row_that_is_too_long_keeps_its_host_alone_out(self):
        self.hosts[1].sql("UPDATE policies SET Description = printf('%.*c', 1100000, 'x') WHERE ID = 6;")
        self.hosts[1].wait_for_log("ERROR", "policies 6: Description is longer than 1 MiB")
        self.wait_until_alone(self.hosts[1])
        self.hosts[0].sql("UPDATE quotas SET Period = 7200 WHERE ID = 3;")
        self.assertTrue(eventually(lambda: self.periods()[2] == "7200"))
        self.assertTrue(self.cluster_status(self.hosts[0])["sharing"])
        self.hosts[1].sql("UPDATE policies SET Description = 'x' WHERE ID = 6;")
        self.wait_until_shared(self.hosts[1], 3)

    @shows("an MTA is away while rules change")
    def test_a_host_that_was_away_catches_up(self):
        self.hosts[2].stop()
        self.hosts[0].sql("UPDATE quotas SET Period = 7200 WHERE ID = 3;")
        self.assertTrue(eventually(lambda: self.periods()[:2] == ["7200", "7200"]))
        self.hosts[2].start()
        self.assertTrue(eventually(lambda: self.periods()[2] == "7200"))

    @shows("rules change on two MTAs at once")
    def test_of_two_changes_at_once_one_is_kept_in_a_file(self):
        self.engine.signal(19)  # nobody hears of either
        self.hosts[0].sql("UPDATE quotas SET Period = 7200 WHERE ID = 3;")
        self.hosts[1].sql("UPDATE quotas SET Period = 1800 WHERE ID = 3;")
        self.engine.signal(18)
        self.assertTrue(eventually(lambda: len(set(self.periods())) == 1 and
                                   self.periods()[0] in ("7200", "1800")))
        loser = self.hosts[1] if self.periods()[0] == "7200" else self.hosts[0]
        loser.wait_for_log("WARNING", "the rules of this host had been changed, too; they are kept in")
        [kept] = loser.database.parent.glob("*.rules-*.sql")
        self.assertIn("1800" if loser is self.hosts[1] else "7200", kept.read_text())


class OtherRules(ClusterTest):
    @shows("MTAs join with different rules")
    def test_a_host_with_other_rules_says_what_to_type(self):
        engine = self.make_engine()
        [first] = self.make_hosts(engine, policy() + quota(10, period=HOUR), 1)
        second = self.make_host("mta2", engine.url, policy() + quota(20, period=HOUR))
        second.wait_for_log("ERROR", "this host has other rules than the cluster", "--take-theirs")
        self.assertFalse(self.cluster_status(second)["sharing"])
        self.assertEqual(first.ask(), "DUNNO")
        self.assertEqual(second.ask(), "DUNNO")


if __name__ == "__main__":
    unittest.main()
