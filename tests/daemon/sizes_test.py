# SPDX-License-Identifier: AGPL-3.0-only
"""MessageCumulativeSize: checked with the declared size at RCPT, checked again and counted with the
true one at END-OF-MESSAGE. What END-OF-MESSAGE needs is known from the RCPT of the same instance."""

import time
import unittest

from daemon_case import ALICE, KIB, DaemonTest, eventually, policy, quota

LIMIT_KIB = 100
TEXT = "Policy rejection; Cumulative message size quota exceeded"
ALL = "SELECT TrackKey, Counter FROM quotas_tracking ORDER BY TrackKey"


class SizeTest(DaemonTest):
    def make(self, **settings):
        self.daemon = self.make_daemon(
            policy() + quota(**{"counter_limit": LIMIT_KIB, "kind": "MessageCumulativeSize",
                                "data": None, **settings}))

    def rcpt(self, instance, declared=0, **attributes):
        return self.daemon.ask(instance=instance, size=str(declared), **attributes)

    def end(self, instance, size, recipient="bob@example.com", **attributes):
        return self.daemon.ask(instance=instance, size=str(size), recipient=recipient,
                               protocol_state="END-OF-MESSAGE", queue_id="4F1A2B3C", **attributes)

    def mail(self, instance, size, **attributes):
        """What the first that refuses says, else DUNNO."""
        answer = self.rcpt(instance, size, **attributes)
        return self.end(instance, size, **attributes) if answer == "DUNNO" else answer

    def used(self):
        return self.daemon.counter(ALICE)


class AtRcpt(SizeTest):
    def test_nothing_is_counted(self):
        self.make()
        self.assertEqual(self.rcpt("a", 50 * KIB), "DUNNO")
        self.assertEqual(self.used(), 0)

    def test_the_declared_size_is_checked(self):
        self.make()
        for size, answer in ((100 * KIB, "DUNNO"), (100 * KIB + 1, f"DEFER {TEXT}"),
                             (10 ** 12, f"DEFER {TEXT}"), (2 ** 64, None), (2 ** 63 * KIB, None)):
            with self.subTest(size=size):
                received = self.rcpt(f"s{size}", size)
                self.assertIn(received, (answer,) if answer else ("DUNNO", f"DEFER {TEXT}"))

    def test_the_declared_size_adds_to_what_is_used(self):
        self.make()
        self.mail("a", 60 * KIB)
        self.assertEqual(self.rcpt("b", 40 * KIB), "DUNNO")
        self.assertEqual(self.rcpt("c", 40 * KIB + 1), f"DEFER {TEXT}")

    def test_without_a_declared_size_1_kib_must_fit(self):
        self.make()
        self.mail("a", 99 * KIB)
        self.assertEqual(self.rcpt("b", 0), "DUNNO")
        self.mail("c", 1 * KIB)
        self.assertEqual(self.used(), 100)
        for declared in (0, 1, KIB):
            self.assertEqual(self.rcpt(f"d{declared}", declared), f"DEFER {TEXT}")


class AtEndOfMessage(SizeTest):
    def test_the_size_is_counted_in_kib_rounded_up(self):
        self.make()
        expected = 0
        for number, (size, kib) in enumerate([(1, 1), (KIB, 1), (KIB + 1, 2), (10 * KIB, 10)]):
            with self.subTest(size=size):
                self.assertEqual(self.mail(f"m{number}", size), "DUNNO")
                expected += kib
                self.assertEqual(self.used(), expected)

    def test_the_true_size_counts_whatever_was_declared(self):
        self.make()
        self.rcpt("a", 90 * KIB)
        self.assertEqual(self.end("a", 10 * KIB), "DUNNO")
        self.assertEqual(self.used(), 10)

    def test_a_true_size_over_the_limit_is_refused_and_not_counted(self):
        self.make(verdict="REJECT", data="552 5.3.4 Too much")
        self.assertEqual(self.mail("a", 60 * KIB), "DUNNO")
        self.assertEqual(self.rcpt("b", 0), "DUNNO")
        self.assertEqual(self.end("b", 40 * KIB + 1), "552 5.3.4 Too much")
        self.assertEqual(self.used(), 60)
        self.assertEqual(self.mail("c", 40 * KIB), "DUNNO")
        self.assertEqual(self.used(), 100)

    def test_repeated_it_counts_once(self):
        self.make()
        self.rcpt("a")
        for _ in range(3):
            self.assertEqual(self.end("a", 60 * KIB), "DUNNO")
        self.assertEqual(self.used(), 60)

    def test_without_a_session_it_is_dunno_and_counts_nothing(self):
        self.make()
        self.assertEqual(self.end("never.seen", 500 * KIB), "DUNNO")
        self.assertEqual(self.daemon.query(ALL), [])

    def test_several_recipients_of_one_key_count_once(self):
        self.make()
        for number in range(5):
            self.rcpt("a", 0, recipient=f"r{number}@example.com")
        self.assertEqual(self.end("a", 10 * KIB, recipient=""), "DUNNO")
        self.assertEqual(self.used(), 10)

    def test_each_key_counts(self):
        self.make(track="Recipient:@domain")
        for recipient in ("a@one.example", "b@one.example", "c@two.example"):
            self.rcpt("a", 0, recipient=recipient)
        self.assertEqual(self.end("a", 10 * KIB, recipient=""), "DUNNO")
        self.assertEqual(self.daemon.query(ALL),
                         [("Recipient:@one.example", 10), ("Recipient:@two.example", 10)])

    def test_one_key_over_the_limit_refuses_the_message_and_nothing_is_counted(self):
        self.make(track="Recipient:@domain")
        self.rcpt("a", 0, recipient="a@one.example")
        self.end("a", 95 * KIB, recipient="a@one.example")
        for recipient in ("a@one.example", "c@two.example"):
            self.rcpt("b", 0, recipient=recipient)
        self.assertEqual(self.end("b", 10 * KIB, recipient=""), f"DEFER {TEXT}")
        counters = [(key, counter) for key, counter in self.daemon.query(ALL) if counter]
        self.assertEqual(counters, [("Recipient:@one.example", 95)])

    def test_a_monitoring_quota_keeps_counting_over_the_limit(self):
        self.make(verdict=None)
        self.assertEqual(self.mail("a", 90 * KIB), "DUNNO")
        self.assertEqual(self.mail("b", 90 * KIB), "DUNNO")
        self.assertEqual(self.used(), 180)

    def test_a_period_later_the_size_is_free_again(self):
        self.make(period=2)
        for number in range(5):
            sender = f"s{number}@example.org"
            start = time.monotonic()
            self.assertEqual(self.mail(f"a{number}", 100 * KIB, sender=sender), "DUNNO")
            answer = self.mail(f"b{number}", KIB, sender=sender)
            if time.monotonic() - start < 2:  # else this machine was too slow to see it
                break
        else:
            self.fail("this machine is too slow for a period of 2 s")
        self.assertEqual(answer, f"DEFER {TEXT}")
        time.sleep(2.1)
        self.assertEqual(self.mail("c", 100 * KIB, sender=sender), "DUNNO")
        self.assertEqual(self.daemon.counter(f"Sender:{sender}"), 100)

    def test_messages_and_sizes_of_one_quota_count_side_by_side(self):
        self.make()
        self.daemon.sql("INSERT INTO quotas_limits (QuotasID, Type, CounterLimit)"
                        " VALUES (3, 'MessageCount', 2);")
        self.assertEqual(self.mail("a", 10 * KIB), "DUNNO")
        self.assertEqual(self.mail("b", 10 * KIB), "DUNNO")
        self.assertEqual(self.mail("c", 10 * KIB),
                         "DEFER Policy rejection; Message count quota exceeded")
        self.assertEqual([self.daemon.counter(ALICE, limit) for limit in (4, 5)], [20, 2])


class Sessions(SizeTest):
    def setUp(self):
        super().setUp()
        self.make()

    def test_a_message_that_ended_is_in_session_tracking(self):
        start = int(time.time())
        for recipient in ("bob@example.com", "carol@example.com"):
            self.rcpt("s.1", 0, recipient=recipient, sasl_method="PLAIN", sasl_username="alice",
                      encryption_protocol="TLSv1.3")
        self.end("s.1", 10 * KIB + 1, recipient="")
        columns = (
            "SELECT QueueID, ClientAddress, ClientName, ClientReverseName, Protocol, Helo, Sender,"
            " SASLMethod, SASLUsername, EncryptionProtocol, Size, RecipientData, UnixTimestamp"
            " FROM session_tracking WHERE Instance = 's.1'")
        self.assertTrue(eventually(lambda: self.daemon.query(columns)), "no row")
        [(*columns, size, recipients, timestamp)] = self.daemon.query(columns)
        self.assertEqual(columns, [
            "4F1A2B3C", "192.0.2.10", "client.example.net", "client.example.net", "ESMTP",
            "client.example.net", "alice@example.org", "PLAIN", "alice", "TLSv1.3"])
        self.assertEqual(size, 11)
        self.assertEqual(recipients, "/<bob@example.com>#0=1,6;/<carol@example.com>#0=1,6;")
        self.assertTrue(start <= timestamp <= time.time())

    def test_a_restart_between_rcpt_and_end_loses_no_size(self):
        self.rcpt("a")
        self.daemon.restart()
        self.assertEqual(self.end("a", 10 * KIB), "DUNNO")
        self.assertEqual(self.used(), 10)

    def test_messages_are_distinguished_by_instance(self):
        for instance in ("a", "b"):
            self.rcpt(instance)
        self.end("b", 2 * KIB)
        self.end("a", 3 * KIB)
        self.assertEqual(self.used(), 5)

    def test_the_sender_of_the_session_counts(self):
        self.rcpt("a")
        self.daemon.ask(instance="a", protocol_state="END-OF-MESSAGE", size="2048", recipient="")
        self.assertEqual(self.daemon.query(ALL), [(ALICE, 2)])


if __name__ == "__main__":
    unittest.main()
