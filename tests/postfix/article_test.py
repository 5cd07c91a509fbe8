# SPDX-License-Identifier: AGPL-3.0-only
"""The article's limits, typed with sqlite3 into the database of the running daemon, are in force by
the next mail, on a real Postfix that asks in all three places."""

import unittest

import article
from postfix_case import PostfixTest

# Postfix's own words around ours: access(5) says which codes DEFER and REJECT stand for.
DEFERRED = f"450 4.7.1 <alice@example.org>: Sender address rejected: {article.SEND_TEXT}"


class ArticleSending(PostfixTest):
    def test_is_in_force_by_the_next_mail(self):
        for sent in self.send_many(12):
            self.assertTrue(sent.passed, "there is no limit yet")
        self.daemon.sql(article.POLICY)
        self.daemon.sql(article.SEND)
        names = self.daemon.query("SELECT Name FROM policies WHERE ID = 6")
        self.assertEqual(names, [("Сarbonio CBPolicyD",)])
        mails = self.send_many(12)
        self.assertEqual([m.passed for m in mails], [True] * 10 + [False] * 2)
        self.assertEqual(self.daemon.counter("Sender:alice@example.org", 4), 10)

    def test_tells_the_eleventh_mail_what_the_article_says(self):
        self.daemon.sql(article.POLICY + article.SEND)
        mails = self.send_many(12)
        self.assertEqual([m.passed for m in mails], [True] * 10 + [False] * 2)
        for mail in mails[10:]:
            self.assertEqual(mail.refused, {"bob@example.com": DEFERRED})
        self.postfix.wait_for_log("NOQUEUE: reject: RCPT from", DEFERRED, count=2)
        self.postfix.wait_for_log("status=sent", count=10)
        refusals = self.daemon.wait_for_log("action=defer", count=2)
        self.assertEqual(len(refusals), 2)
        for part in ("module=Quotas, action=defer, host=127.0.0.1, helo=client.example.net, ",
                     "from=alice@example.org, to=bob@example.com, reason=quota_match, policy=6, ",
                     "quota=3, limit=4, track=Sender:alice@example.org, counter=MessageCount, quota="):
            self.assertIn(part, refusals[0])

    def test_counts_each_recipient_of_a_mail(self):
        self.daemon.sql(article.POLICY + article.SEND)
        recipients = [f"r{i}@example.com" for i in range(15)]
        mail = self.send(recipients=recipients)
        self.assertEqual(mail.accepted, recipients[:10])
        self.assertEqual(mail.refused, {r: DEFERRED for r in recipients[10:]})
        self.assertEqual(mail.data[0], 250, "the ten that passed are delivered")
        self.postfix.wait_for_log("status=sent", count=10)
        self.assertEqual(self.daemon.counter("Sender:alice@example.org", 4), 10)

    def test_counts_senders_apart(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.send_many(10)
        self.assertFalse(self.send().passed)
        self.assertTrue(self.send(sender="carol@example.org").passed)
        self.assertFalse(self.send(sender="ALICE@Example.ORG").passed, "case is ignored")

    def test_a_limit_raised_by_hand_is_in_force_by_the_next_mail(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.send_many(10)
        self.assertFalse(self.send().passed)
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 12 WHERE ID = 4;")
        self.assertEqual([m.passed for m in self.send_many(3)], [True, True, False])

    def test_a_counter_edited_by_hand_counts_as_it_was_left(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.send_many(10)
        self.assertFalse(self.send().passed)
        self.daemon.sql("UPDATE quotas_tracking SET Counter = 8 WHERE QuotasLimitsID = 4;")
        self.assertEqual([m.passed for m in self.send_many(3)], [True, True, False])
        self.daemon.sql("DELETE FROM quotas_tracking;")
        self.assertEqual([m.passed for m in self.send_many(11)], [True] * 10 + [False])

    def test_a_disabled_policy_limits_nothing(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.send_many(10)
        self.assertFalse(self.send().passed)
        self.daemon.sql("UPDATE policies SET Disabled = 1 WHERE ID = 6;")
        self.assertTrue(self.send().passed)


class ArticleReceiving(PostfixTest):
    def test_rejects_what_a_domain_gets_beyond_its_limit(self):
        self.daemon.sql(article.POLICY + article.SEND + article.RECEIVE)
        replies = []
        for i in range(13):  # 130 recipients, and no sender beyond the other limit
            recipients = [f"r{i}-{n}@example.com" for n in range(10)]
            mail = self.send(sender=f"s{i}@example.org", recipients=recipients)
            replies += [f"{code} {text}" for code, text in mail.recipients.values()]
        self.assertEqual([r[:3] for r in replies], ["250"] * 125 + ["554"] * 5)
        # Which address Postfix names depends on the place where it asked first.
        want = f"554 5.7.1 <s12@example.org>: Sender address rejected: {article.RECEIVE_TEXT}"
        self.assertEqual(set(replies[125:]), {want})
        self.assertEqual(self.daemon.counter("Recipient:@example.com", 5), 125)
        self.assertEqual(self.daemon.counter("Sender:s12@example.org", 4), 5,
                         "a recipient that is refused counts nowhere")
        self.assertTrue(self.send(sender="s0@example.net", recipients="x@elsewhere.test").passed)


if __name__ == "__main__":
    unittest.main()
