# SPDX-License-Identifier: AGPL-3.0-only
"""The default way of counting, in real time: in no stretch of Period seconds do more than
CounterLimit pass, and a slot is held at most Period/60 longer than that."""

import random
import time
import unittest

from daemon_case import ALICE, DaemonTest, article, policy, quota

DEFERRED = f"DEFER {article.SEND_TEXT}"
CLOCK_S = 0.01  # the daemon reads the clock once for all that it decides together


class Article(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(article.POLICY + article.SEND)

    def test_ten_pass_and_the_eleventh_is_deferred(self):
        self.assertEqual(self.ask_many(self.daemon, 12), ["DUNNO"] * 10 + [DEFERRED] * 2)

    def test_another_sender_has_its_own_counter(self):
        self.ask_many(self.daemon, 11)
        self.assertEqual(self.daemon.ask(sender="carol@example.org"), "DUNNO")
        self.assertEqual(self.daemon.ask(sender="alice@sender.example"), "DUNNO")

    def test_each_recipient_counts(self):
        answers = [self.daemon.ask(instance="one.mail", recipient=f"r{number}@example.com")
                   for number in range(12)]
        self.assertEqual(answers, ["DUNNO"] * 10 + [DEFERRED] * 2)

    def test_a_refusal_counts_nothing(self):
        self.ask_many(self.daemon, 15)
        self.assertEqual(self.daemon.counter(ALICE), 10)

    def test_a_row_holds_the_use_as_of_its_last_update(self):
        before = int(time.time())
        self.ask_many(self.daemon, 3)
        after = time.time()
        rows = self.daemon.query("SELECT QuotasLimitsID, TrackKey, LastUpdate, Counter,"
                                 " State IS NOT NULL FROM quotas_tracking")
        self.assertEqual(len(rows), 1)
        limit, key, updated, counter, has_state = rows[0]
        self.assertEqual((limit, key, float(counter), has_state), (4, ALICE, 3.0, 1))
        self.assertTrue(before <= float(updated) <= after, f"{before} <= {updated} <= {after}")

    def test_receive_limit_rejects_the_126th_for_a_domain(self):
        self.daemon.sql(article.RECEIVE)
        with self.daemon.connect() as connection:
            for number in range(126):
                connection.send(self.request(sender=f"s{number}@sender.example",
                                             recipient=f"r{number}@example.com"))
            answers = [connection.answer() for _ in range(126)]
        self.assertEqual(answers, ["DUNNO"] * 125 + [f"REJECT {article.RECEIVE_TEXT}"])


class Sliding(DaemonTest):
    PERIOD_S = 2.0
    LATEST_S = PERIOD_S * 61 / 60  # by then a slot is free

    def make(self, counter_limit, period=2):
        return self.make_daemon(policy() + quota(counter_limit, period=period))

    def assert_used_up_twice(self, daemon, counter_limit, period_s, pause_s):
        """One mail more than the limit is refused, and again after the pause. Mails that a slow
        machine spread over more than the period say nothing: then with another sender."""
        for number in range(5):
            for pause in (0, pause_s):
                time.sleep(pause)
                start = time.monotonic()
                answers = self.ask_many(daemon, counter_limit + 1, sender=f"s{number}@example.org")
                if time.monotonic() - start > period_s:
                    break
                self.assertEqual(answers, ["DUNNO"] * counter_limit + ["DEFER later"])
            else:
                return
        self.fail(f"this machine is too slow for a period of {period_s} s")

    def test_everything_is_free_a_period_later(self):
        self.assert_used_up_twice(self.make(3), 3, self.PERIOD_S, self.LATEST_S + 0.05)

    def test_counter_is_the_use_within_the_last_period(self):
        daemon = self.make(10)
        self.ask_many(daemon, 5)
        time.sleep(self.LATEST_S + 0.05)
        daemon.ask()
        self.assertEqual(daemon.counter(ALICE), 1)

    def test_a_limit_of_one(self):
        self.assert_used_up_twice(self.make(1, period=1), 1, 1, 1.1)

    def test_random_traffic_is_never_over_the_limit_nor_refused_below_it(self):
        counter_limit = 5
        daemon = self.make(counter_limit)
        chance = random.Random(3)
        passed = []  # (before, after): the daemon's own time lies between
        with daemon.connect() as connection:
            end = time.monotonic() + 3.5 * self.PERIOD_S
            while (before := time.monotonic()) < end:
                connection.send(self.request())
                answer = connection.answer()
                after = time.monotonic()
                if answer == "DUNNO":
                    passed.append((before, after))
                else:
                    self.assertEqual(answer, "DEFER later")
                    since = before - self.LATEST_S - CLOCK_S
                    perhaps_held = sum(1 for _, at in passed if at > since)
                    self.assertGreaterEqual(perhaps_held, counter_limit, "refused below the limit")
                time.sleep(chance.choice((0, 0.01, 0.1, 0.3)) * chance.random())
        self.assertGreaterEqual(len(passed), 3 * counter_limit)
        for (first, _), (_, last) in zip(passed, passed[counter_limit:]):
            self.assertGreater(last - first + CLOCK_S, self.PERIOD_S, "over the limit")


class RepeatedQuestions(DaemonTest):
    """Postfix asks about a recipient in two places, and again after a lost connection."""

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(2, verdict="REJECT", data="enough"))

    def test_they_count_once(self):
        for _ in range(5):
            self.assertEqual(self.daemon.ask(instance="a"), "DUNNO")
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_in_one_packet_too(self):
        request = self.request(instance="a")
        with self.daemon.connect() as connection:
            connection.send(request * 5)
            self.assertEqual([connection.answer() for _ in range(5)], ["DUNNO"] * 5)
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_on_several_connections_too(self):
        request = self.request(instance="a")
        connections = [self.daemon.connect() for _ in range(5)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.send(request)
        self.assertEqual([connection.answer() for connection in connections], ["DUNNO"] * 5)
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_a_passed_one_passes_again_though_the_limit_is_reached(self):
        self.assertEqual([self.daemon.ask(instance=name) for name in "abcab"],
                         ["DUNNO", "DUNNO", "REJECT enough", "DUNNO", "DUNNO"])

    def test_a_refused_one_is_refused_again_though_there_is_room(self):
        for name in "abc":
            self.daemon.ask(instance=name)
        self.daemon.sql("DELETE FROM quotas_tracking;")
        self.assertEqual(self.daemon.ask(instance="c"), "REJECT enough")
        self.assertEqual(self.daemon.counter(ALICE), 0)
        self.assertEqual(self.daemon.ask(instance="d"), "DUNNO")

    def test_case_of_the_recipient_does_not_matter(self):
        self.daemon.ask(instance="a", recipient="bob@example.com")
        self.daemon.ask(instance="a", recipient="BOB@Example.com")
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_the_connection_does_not_matter(self):
        self.daemon.ask(instance="a", size="100", queue_id="", recipient_count="0")
        self.daemon.ask(instance="a", size="100", queue_id="4F1", recipient_count="1")
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_another_recipient_or_message_counts(self):
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 100 WHERE ID = 4;")
        self.daemon.ask(instance="a")
        self.daemon.ask(instance="a", recipient="carol@example.com")
        self.daemon.ask(instance="b")
        self.assertEqual(self.daemon.counter(ALICE), 3)

    def test_end_of_message_counts_no_recipient_again(self):
        self.daemon.ask(instance="a")
        self.assertEqual(self.daemon.ask(instance="a", protocol_state="END-OF-MESSAGE"), "DUNNO")
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_end_of_message_without_a_session_is_dunno(self):
        self.assertEqual(self.daemon.ask(protocol_state="END-OF-MESSAGE"), "DUNNO")
        self.assertEqual(self.daemon.query("SELECT * FROM quotas_tracking"), [])


if __name__ == "__main__":
    unittest.main()
