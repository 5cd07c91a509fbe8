#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`disable` on a host without Carbonio: it prints the commands that take the daemon out of the real
Postfix's configuration; typed, they do that and nothing else, and mail passes all the while."""

import os
import re
import subprocess
import unittest

from daemon import Daemon, free_port
from postfix_instance import PostfixInstance


class Disable(unittest.TestCase):
    def setUp(self):
        port = free_port()
        self.daemon = Daemon(("Quotas",), options={"server": {"background": "yes"}}, port=port)
        self.addCleanup(self.daemon.remove)
        self.postfix = PostfixInstance(f"inet:localhost:{port}")
        self.addCleanup(self.postfix.remove)
        self.conf = self.postfix.folder / "conf"
        self.check = f"check_policy_service inet:localhost:{port}"
        self.environment = {**os.environ, "MAIL_CONFIG": str(self.conf),
                            "ZEXTRAS_HOME": str(self.daemon.folder),
                            "PATH": f"{self.daemon.programs}:{os.environ['PATH']}:/usr/sbin"}

    def type(self, line, status=0):
        done = subprocess.run(line, shell=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self.environment, timeout=120)
        self.assertEqual(done.returncode, status, f"{line}: {done.stdout}")
        return done.stdout

    def values(self):
        """What stands in main.cf and master.cf, as words."""
        return {line.partition("=")[0]: re.split(r"[\s,]+", line.partition("=")[2].strip())
                for line in (self.type("postconf -n") + self.type("postconf -P")).splitlines()}

    def follow(self):
        """Types what `disable` prints; returns the output of its last command."""
        said = self.type("carbonio-limits disable", status=2)
        self.assertIn("nothing was changed: Postfix still asks the daemon", said)
        *commands, again = re.findall(r"^  (.*)$", said, re.MULTILINE)
        self.assertEqual((commands[-1], again), ("postfix reload", "carbonio-limits disable"))
        for command in commands:
            self.type(command)
        return self.type(again)

    def test_what_it_prints_takes_the_daemon_out_and_changes_nothing_else(self):
        # In other forms, too: with its own settings, watched only, in master.cf, in a parameter of
        # the admin's own.
        port = self.daemon.port
        with (self.conf / "main.cf").open("a") as file:
            file.write(f"own_checks = reject_unlisted_sender, warn_if_reject {self.check}\n"
                       "smtpd_client_restrictions = $own_checks\n")
        master = (self.conf / "master.cf").read_text()
        master = master.replace("  -o smtpd_recipient_restrictions=\n",
                                "  -o { smtpd_recipient_restrictions = check_policy_service { inet:"
                                f"localhost:{port}, timeout=10s }}, reject_unauth_destination }}\n", 1)
        (self.conf / "master.cf").write_text(master)
        self.type("carbonio-limits service start")
        self.addCleanup(lambda: self.type("carbonio-limits service stop"))
        self.daemon.command("send", "1/h", "--anyone")
        self.postfix.start()
        self.addCleanup(self.postfix.stop)
        sent = [self.postfix.send("alice@example.org", "bob@example.com").passed for _ in range(2)]
        self.assertEqual(sent, [True, False])
        before = self.values()
        self.assertIn("The policy daemon is stopped", self.follow())
        expected = {}
        for name, words in before.items():
            text = " ".join(words).replace(f"warn_if_reject {self.check}", "").replace(self.check, "")
            text = text.replace(f"check_policy_service {{ inet:localhost:{port} timeout=10s }}", "")
            expected[name] = text.split() or [""]
        self.assertEqual(self.values(), expected)
        self.assertTrue(self.postfix.send("alice@example.org", "bob@example.com").passed)

    def test_a_pause_lets_mail_pass_without_any_of_that(self):
        self.type("carbonio-limits service start")
        self.addCleanup(lambda: self.type("carbonio-limits service stop"))
        self.daemon.command("send", "1/h", "--anyone")
        self.postfix.start()
        self.addCleanup(self.postfix.stop)
        with_session = self.postfix.connect()
        self.addCleanup(with_session.close)

        def sent():
            return self.postfix.send("alice@example.org", "bob@example.com").passed

        self.assertEqual([sent(), sent()], [True, False])
        self.type("carbonio-limits pause 10min")
        self.assertEqual([sent(), sent()], [True, True])
        self.type("carbonio-limits resume")
        self.assertFalse(sent())


if __name__ == "__main__":
    unittest.main()
