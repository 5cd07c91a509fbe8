# SPDX-License-Identifier: AGPL-3.0-only
"""Limits made with carbonio-limits while the daemon runs, on a real Postfix."""

import unittest

from postfix_case import PostfixTest

LOGIN = "ADDR=198.51.100.7 LOGIN={}"
OUTSIDE = "ADDR=203.0.113.9"


class MadeWithTheCommand(PostfixTest):
    def test_ten_a_minute_for_anyone(self):
        self.daemon.command("send", "10/min", "--anyone")
        mails = self.send_many(12, xclient=OUTSIDE)
        self.assertEqual([m.passed for m in mails], [True] * 10 + [False] * 2)
        for mail in mails[10:]:
            self.assertTrue(mail.refused["bob@example.com"].startswith("450 4.7.1 "), mail.refused)
        self.assertIn("alice@example.org", self.daemon.command("usage").stdout)

    def test_a_domains_limit_is_for_mail_that_its_users_send(self):
        self.daemon.command("send", "3/min", "--domain", "example.org")
        for _ in range(5):
            mail = self.send(xclient=OUTSIDE)
            self.assertTrue(mail.passed, "anyone outside can name the user as sender")
        alice = LOGIN.format("alice@example.org")
        mails = self.send_many(5, listener="submission", xclient=alice)
        self.assertEqual([m.passed for m in mails], [True] * 3 + [False] * 2)

    def test_a_receive_limit_rejects(self):
        self.daemon.command("receive", "4/min", "--domain", "example.com")
        mails = [self.send(sender=f"s{i}@example.org", xclient=OUTSIDE) for i in range(6)]
        self.assertEqual([m.passed for m in mails], [True] * 4 + [False] * 2)
        self.assertTrue(mails[5].refused["bob@example.com"].startswith("554 5.7.1 "))
        self.assertTrue(self.send(recipients="x@elsewhere.test", xclient=OUTSIDE).passed)


if __name__ == "__main__":
    unittest.main()
