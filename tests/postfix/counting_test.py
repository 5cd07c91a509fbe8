# SPDX-License-Identifier: AGPL-3.0-only
"""What is counted on a real Postfix: each recipient once however often it is asked about, sizes at
the end of the message, several sessions at once, and nothing lost when the daemon ends."""

import subprocess
import threading
import unittest

import article
from postfix_case import PostfixTest
from postfix_instance import send_on

SIZE_TEXT = "Too much mail in the last minute"
SIZE_LIMIT_KIB = 100
SIZE = f"""\
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'size',\
'Sender:user@domain',60,'DEFER','{SIZE_TEXT}');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCumulativeSize',\
{SIZE_LIMIT_KIB});
"""
KIB = 1024


class EachPlaceThatAsks(PostfixTest):
    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + article.SEND)

    def count(self):
        return self.daemon.counter("Sender:alice@example.org", 4)

    def test_port_25_counts_a_recipient_once_though_it_asks_twice(self):
        self.assertTrue(self.send(recipients=["a@example.com", "b@example.com"]).passed)
        self.assertEqual(self.count(), 2)

    def test_submission_counts_a_recipient_once(self):
        sent = self.send(listener="submission", xclient="ADDR=192.0.2.7 LOGIN=alice@example.org")
        self.assertTrue(sent.passed)
        self.assertEqual(self.count(), 1)

    def test_reinjected_mail_is_a_new_question(self):
        self.assertTrue(self.send().passed)
        self.assertTrue(self.send(listener="reinject").passed)
        self.assertEqual(self.count(), 2)

    def test_a_limit_means_the_same_on_every_port(self):
        for listener in ("smtp", "submission"):
            sender = f"{listener}@example.org"
            mails = self.send_many(11, sender=sender, listener=listener)
            self.assertEqual([m.passed for m in mails], [True] * 10 + [False], listener)

    def test_mails_of_one_session_are_counted_each(self):
        session = self.postfix.connect()
        passed = [send_on(session, "alice@example.org", "bob@example.com").passed for _ in range(12)]
        session.quit()
        self.assertEqual(passed, [True] * 10 + [False] * 2)

    def test_bounces_count_under_the_empty_sender(self):
        self.assertTrue(self.send(sender="").passed)
        self.assertEqual(self.daemon.counter("Sender:<>", 4), 1)

    def test_names_without_a_domain_or_with_a_blank_are_counted(self):
        for sender, key in (("root", "root"), ("MAILER-DAEMON", "mailer-daemon"),
                            ('"max mustermann"@example.org', "max mustermann@example.org")):
            with self.subTest(sender):
                mails = self.send_many(11, sender=sender)
                self.assertEqual([m.passed for m in mails], [True] * 10 + [False])
                self.assertEqual(self.daemon.counter(f"Sender:{key}", 4), 10)
        self.assertNotIn("ERROR", self.daemon.log())

    def test_a_login_is_counted_without_the_blanks_around_it(self):
        self.daemon.sql("UPDATE quotas SET Track = 'SASLUsername' WHERE ID = 3;"
                        "UPDATE policy_members SET Source = '$*' WHERE PolicyID = 6;")
        for login in ("anna@example.org", "anna@example.org+20", "+20Anna@example.org"):
            sent = self.send(listener="submission", xclient=f"ADDR=192.0.2.7 LOGIN={login}")
            self.assertTrue(sent.passed)
        self.assertEqual(self.daemon.counter("SASLUsername:anna@example.org", 4), 3)


class Refunds(PostfixTest):
    options = {"Quotas": {"refund": "1"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Others are refused as unknown, after the daemon was asked.
        with (cls.postfix.folder / "conf/main.cf").open("a") as main_cf:
            main_cf.write("relay_recipient_maps = inline:{a@example.com=x, b@example.com=x}\n")
        cls.postfix.stop()
        cls.postfix.start()

    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + article.SEND)

    def count(self):
        return self.daemon.counter("Sender:alice@example.org", 4)

    def test_recipients_that_postfix_refuses_after_us_count_for_nothing(self):
        sent = self.send(recipients=["a@example.com", "x@example.com", "b@example.com",
                                     "y@example.com"])
        self.assertEqual(sent.accepted, ["a@example.com", "b@example.com"])
        self.assertIn("550", sent.refused["x@example.com"])
        self.assertEqual(self.count(), 2)
        self.send(recipients=["x@example.com", "a@example.com"])
        self.assertEqual(self.count(), 3)

    def test_a_message_without_a_recipient_that_is_left_is_never_asked_about_again(self):
        self.send(recipients=["x@example.com"])
        self.assertEqual(self.count(), 1)


class PlusAddresses(PostfixTest):
    options = {"server": {"recipient_delimiter": "+"}}

    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + article.SEND +
                        "DELETE FROM policy_group_members WHERE PolicyGroupID = 2;"
                        "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                        "(2, '@example.org');")

    def test_of_a_user_share_one_counter(self):
        mails = [self.send(sender=f"Anna+{i}@example.org") for i in range(1, 21)]
        self.assertEqual([mail.passed for mail in mails], [True] * 10 + [False] * 10)
        self.assertEqual(self.daemon.counter("Sender:anna@example.org", 4), 10)
        self.assertFalse(self.send(sender="anna@example.org").passed)
        self.daemon.wait_for_log("from=anna+20@example.org")

    def test_of_other_domains_have_each_a_counter(self):
        mails = [self.send(sender=f"list+{i}=bob=example.org@far.test") for i in range(12)]
        self.assertTrue(all(mail.passed for mail in mails))


class Spellings(PostfixTest):
    """What Postfix takes for one address has one limit."""
    options = {"server": {"myorigin": "example.org"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with (cls.postfix.folder / "conf/main.cf").open("a") as main_cf:
            main_cf.write("myorigin = example.org\n")
        cls.postfix.stop()
        cls.postfix.start()

    NAMES = ("anna@example.org", "anna", "anna@example.org.", "anna%example.org",
             "example.org!anna", '"anna"')

    def test_of_a_sender_share_one_counter(self):
        self.daemon.sql(article.POLICY + article.SEND)
        mails = [self.send(sender=name) for name in self.NAMES + self.NAMES]
        self.assertEqual([mail.passed for mail in mails], [True] * 10 + [False] * 2)
        self.assertEqual(self.daemon.counter("Sender:anna@example.org", 4), 10)
        self.postfix.wait_for_log("qmgr", "from=<anna@example.org>", count=10)

    def test_of_a_recipient_share_one_counter(self):
        self.daemon.sql(article.POLICY + article.SEND +
                        "UPDATE quotas SET Track = 'Recipient:user@domain' WHERE ID = 3;")
        mails = [self.send(sender="far@far.test", recipients=name)
                 for name in self.NAMES + self.NAMES]
        self.assertEqual([mail.passed for mail in mails], [True] * 10 + [False] * 2)
        self.postfix.wait_for_log("to=<anna@example.org>", count=10)

    def test_names_that_postfix_quotes(self):
        self.daemon.sql(article.POLICY + article.SEND)
        for name, whole in (("a..b%far.test", "a..b%far.test@example.org"),
                            ("a%far.test.", "a%far.test.@example.org"),
                            ("far.test!b!c", "b!c@far.test"),
                            ("b%c%far.test", "b%c@far.test"),
                            ("far.test!d%e", "d%e@far.test"), ("Postmaster", "postmaster@example.org")):
            with self.subTest(name):
                self.assertTrue(self.send(sender=name).passed)
                self.assertEqual(self.daemon.counter(f"Sender:{whole}", 4), 1)
        senders = {line.split("from=<")[1].split(">")[0].replace('"', "").lower()
                   for line in self.postfix.wait_for_log("qmgr", "from=<", count=6)}
        self.assertEqual(len(senders), 6)
        for sender in senders:
            self.assertEqual(self.daemon.counter(f"Sender:{sender}", 4), 1, sender)
        self.assertTrue(self.send(sender="").passed)
        self.assertEqual(self.daemon.counter("Sender:<>", 4), 1)


class MessageSizes(PostfixTest):
    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + SIZE)

    def test_are_counted_at_the_end_of_the_message(self):
        self.assertTrue(self.send(size_bytes=60 * KIB).passed)
        counted = self.daemon.counter("Sender:alice@example.org", 4)
        self.assertTrue(60 <= counted <= 63, counted)

    def test_beyond_the_limit_are_refused_at_the_end_and_not_counted(self):
        self.assertTrue(self.send(size_bytes=60 * KIB).passed)
        before = self.daemon.counter("Sender:alice@example.org", 4)
        mail = self.send(size_bytes=60 * KIB)
        self.assertEqual(mail.refused, {}, "nothing was declared, and there was room at RCPT")
        self.assertEqual(mail.data[0], 450)
        self.assertIn(f"End-of-data rejected: {SIZE_TEXT}", mail.data[1])
        self.assertEqual(self.daemon.counter("Sender:alice@example.org", 4), before)
        self.assertTrue(self.send(size_bytes=20 * KIB).passed, "a smaller one has room")

    def test_that_are_declared_are_refused_at_rcpt(self):
        self.assertTrue(self.send(size_bytes=60 * KIB).passed)
        session = self.postfix.connect()
        session.mail("alice@example.org", [f"SIZE={60 * KIB}"])
        code, text = session.rcpt("bob@example.com")
        session.quit()
        self.assertEqual(code, 450)
        self.assertIn(SIZE_TEXT, text.decode())

    def test_count_once_for_a_mail_to_several(self):
        self.assertTrue(self.send(recipients=["a@a.test", "b@b.test", "c@c.test"],
                                  size_bytes=30 * KIB).passed)
        counted = self.daemon.counter("Sender:alice@example.org", 4)
        self.assertTrue(30 <= counted <= 33, counted)


class SeveralAtOnce(PostfixTest):
    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + article.SEND)

    def in_threads(self, work):
        """Runs the functions at once; what they returned, or the first failure."""
        results, failures = [None] * len(work), []

        def run(i):
            try:
                results[i] = work[i]()
            except Exception as error:  # reported below, in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return results

    def test_senders_have_their_own_limits(self):
        def burst(sender):
            session = self.postfix.connect()
            try:
                return [send_on(session, sender, "bob@example.com").passed for _ in range(14)]
            finally:
                session.quit()

        senders = [f"s{i}@example.org" for i in range(12)]
        for passed in self.in_threads([lambda s=s: burst(s) for s in senders]):
            self.assertEqual(passed, [True] * 10 + [False] * 4)

    def test_sessions_of_one_sender_share_its_limit(self):
        passed = self.in_threads([lambda: [m.passed for m in self.send_many(3)]] * 10)
        self.assertEqual(sum(sum(p) for p in passed), 10)
        self.assertEqual(self.daemon.counter("Sender:alice@example.org", 4), 10)

    def test_smtp_source_gets_ten_through(self):
        subprocess.run(["/usr/sbin/smtp-source", "-A", "-s", "10", "-m", "40", "-l", "500",
                        "-f", "alice@example.org", "-t", "bob@example.com",
                        f"inet:127.0.0.1:{self.postfix.ports['smtp']}"],
                       check=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True)
        self.postfix.wait_for_log("status=sent", count=10)
        self.postfix.wait_for_log("NOQUEUE: reject", article.SEND_TEXT, count=30)
        self.assertEqual(len(self.postfix.wait_for_log("status=sent")), 10)


class TheDaemonEnds(PostfixTest):
    def setUp(self):
        super().setUp()
        self.daemon.sql(article.POLICY + article.SEND)

    def test_counts_survive_a_restart(self):
        self.assertTrue(all(m.passed for m in self.send_many(6)))
        self.daemon.restart()
        self.assertEqual([m.passed for m in self.send_many(6)], [True] * 4 + [False] * 2)

    def test_counts_survive_kill_9(self):
        self.assertTrue(all(m.passed for m in self.send_many(6)))
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual([m.passed for m in self.send_many(6)], [True] * 4 + [False] * 2)

    def test_a_session_goes_on_over_a_restart(self):
        session = self.postfix.connect()
        mails = [send_on(session, "alice@example.org", "bob@example.com") for _ in range(3)]
        self.daemon.restart()
        mails += [send_on(session, "alice@example.org", "bob@example.com") for _ in range(9)]
        session.quit()
        self.assertEqual([m.passed for m in mails], [True] * 10 + [False] * 2)

    def test_without_it_mail_waits(self):
        self.daemon.stop()
        mail = self.send()
        self.assertTrue(mail.refused["bob@example.com"].startswith("451 4.3.5"), mail)
        self.daemon.start()
        self.assertTrue(self.send().passed)


if __name__ == "__main__":
    unittest.main()
