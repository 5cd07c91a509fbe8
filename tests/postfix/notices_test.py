#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Notices, delivered by a real Postfix."""

from notices_case import NoticesTest, eventually, run_tests
from postfix_instance import main_cf

MINUTE, HOUR = 60, 3600


class Notices(NoticesTest):
    def setUp(self):
        super().setUp()
        self.daemon.command("send", "2/h", "--anyone")

    def refuse(self, sender="alice@example.org"):
        mails = self.send_many(3, sender=sender, xclient="ADDR=203.0.113.9")
        self.assertEqual([mail.passed for mail in mails], [True, True, False])
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT 1 FROM limits_events WHERE Kind = 'refused'")))

    def test_a_refusal_comes_into_the_mailbox_and_is_counted_by_no_limit(self):
        self.refuse()
        counted = self.daemon.query("SELECT count(*) FROM quotas_tracking")
        self.pass_time(2 * MINUTE)
        self.notify("--due")
        mail = self.arrived()
        self.assertIn("alice@example.org refused", mail["Subject"])
        self.assertEqual(mail["To"], "admin@example.test")
        self.assertRegex(mail["From"], r'^"?Mail limits on .*"? <')
        self.assertEqual(mail.get_content_type(), "multipart/alternative")
        text = mail.get_body(("plain",)).get_content()
        self.assertIn("from 203.0.113.9", " ".join(text.split()))
        self.assertIn("carbonio-limits reset alice@example.org", text)
        self.assertIn("<code>carbonio-limits reset alice@example.org",
                      mail.get_body(("html",)).get_content())
        self.assertEqual(self.daemon.query("SELECT count(*) FROM quotas_tracking"), counted)

    def test_a_report_comes_into_the_mailbox(self):
        self.refuse()
        self.pass_time(2 * MINUTE)
        self.notify("--report", "07:00")
        mail = self.arrived()
        self.assertIn("daily report: 1 refused", mail["Subject"])
        self.assertIn("alice@example.org: refused", mail.get_body(("plain",)).get_content())

    def test_postfix_that_no_longer_asks(self):
        self.notify("--due")
        (self.conf / "main.cf").write_text(self.main_cf(main_cf(self.postfix.folder)))
        self.addCleanup((self.conf / "main.cf").write_text, self.with_check)
        self.pass_time(11 * MINUTE)
        self.notify("--due")
        self.pass_time(MINUTE)
        self.notify("--due")
        mail = self.arrived()
        self.assertIn("does not ask the daemon", mail.get_body(("plain",)).get_content())
        (self.conf / "main.cf").write_text(self.with_check)
        self.pass_time(11 * MINUTE)
        self.notify("--due")
        self.assertIn("No longer so", self.arrived().get_body(("plain",)).get_content())

    def test_a_postdrop_that_hangs_is_ended_and_nothing_is_lost(self):
        """It waits without an end if it may not write to the queue."""
        self.refuse()
        self.pass_time(2 * MINUTE)
        maildrop = self.postfix.folder / "queue/maildrop"
        mode = maildrop.stat().st_mode & 0o7777
        maildrop.chmod(0)
        self.addCleanup(maildrop.chmod, mode)
        self.assertIn("sendmail: timed out after 20 s; killed", self.notify("--due", status=2))
        self.assertTrue(self.send(sender="bob@example.org").passed, "mail flows meanwhile")
        self.pass_time(HOUR)
        self.assertEqual(self.notify("--due"), "", "it is said once")
        maildrop.chmod(mode)
        self.pass_time(HOUR)
        self.notify("--due")
        self.assertIn("alice@example.org refused", self.arrived()["Subject"])



if __name__ == "__main__":
    run_tests()
