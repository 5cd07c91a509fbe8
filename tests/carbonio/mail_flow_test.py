#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The service switched on and off while mail flows through a real Postfix: from installation to the
first limit, and back, without deferring any message by mistake."""

import threading
import unittest

import enable_case
from enable_case import EnableCase, eventually
from postfix_instance import PostfixInstance, main_cf

OUTSIDE = "ADDR=203.0.113.9"


class MailFlow(EnableCase):
    def make_postfix(self):
        self.postfix = PostfixInstance(None)
        self.addCleanup(self.postfix.remove)
        self.postfix_folder = self.postfix.folder / "conf"
        self.postfix.start()
        self.addCleanup(self.postfix.stop)
        self.write_postconf(f'exec {enable_case.POSTCONF} -c {self.postfix_folder} "$@"')
        program = self.home / "common/sbin/postfix"
        program.write_text("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec postfix -c "
                           f'{self.postfix_folder} "$@"\n')
        program.chmod(0o755)

    # As configd does: it reloads nothing.
    def write_postfix(self, check):
        fresh = self.postfix_folder / "main.cf.new"
        fresh.write_text(main_cf(self.postfix.folder, check))
        fresh.rename(self.postfix_folder / "main.cf")

    def send(self, sender="alice@example.org"):
        return self.postfix.send(sender, "bob@example.com", xclient=OUTSIDE)

    def refused_by_limit(self):
        return any("Too many messages" in text for text in self.send().refused.values())

    def test_no_mail_is_deferred_while_the_service_is_switched(self):
        stop, refused, sent = threading.Event(), [], []

        def keep_sending():
            while not stop.is_set():
                mail = self.send("flow@example.org")
                sent.append(mail)
                if not mail.passed:
                    refused.append(mail)

        sending = threading.Thread(target=keep_sending)
        sending.start()
        try:
            for _ in range(2):
                self.switch("enable")
                count = len(sent)
                self.assertTrue(eventually(lambda: len(sent) > count + 5, 30))
                self.switch("disable")
        finally:
            stop.set()
            sending.join()
        self.assertEqual(refused, [])
        self.assertIsNone(self.daemon_pid())

    def test_the_articles_limit(self):
        self.switch("enable")
        self.run_it("send", "10/60s", "--anyone")
        # A Postfix process that was already busy keeps its old configuration for a while.
        self.assertTrue(eventually(self.refused_by_limit, 60, 0.2))
        self.assertEqual(self.sql("SELECT CounterLimit FROM quotas_limits WHERE ID = 4"), ["10"])
        self.assertIn("alice@example.org", self.run_it("usage"))
        self.assertTrue(self.send("carol@example.org").passed)
        self.switch("disable")
        self.assertTrue(eventually(lambda: self.send().passed, 60, 0.2))


class NewerMailFlow(MailFlow):
    newer = True

    def test_processes_with_the_old_configuration_are_not_left_behind(self):
        """An smtpd that has answered once keeps its configuration for up to a hundred clients."""
        self.send()
        self.switch("enable")
        self.run_it("send", "1/h", "--anyone")
        self.assertEqual([self.send().passed, self.send().passed], [True, False])
        self.switch("disable")
        self.assertTrue(self.send().passed)


if __name__ == "__main__":
    unittest.main()
