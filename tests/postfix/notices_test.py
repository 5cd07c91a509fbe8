#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Notices by a real Postfix: its sendmail, which runs the setgid postdrop, takes what `notify --due`
writes, and delivers it to a mailbox. In a mount namespace of its own, where /etc/postfix is this
Postfix: postdrop believes no other folder."""

import email
import email.policy
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import unittest

from daemon import free_port, service_user
from postfix_case import PostfixTest
from postfix_instance import PostfixInstance, main_cf

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))
from daemon_case import eventually  # noqa: E402

INSIDE = "NOTICES_TEST"
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
MINUTE, HOUR = 60, 3600

# The mailbox of admin@example.test.
MAIN_CF = """\
virtual_mailbox_domains = example.test
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{group}
virtual_minimum_uid = 1
"""
MASTER_CF = """\
pickup unix n - n 60 1 pickup
virtual unix - n n - - virtual
"""


class Notices(PostfixTest):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.postfix = PostfixInstance(f"inet:localhost:{cls.port}")
        cls.addClassCleanup(cls.postfix.remove)
        folder = cls.postfix.folder
        cls.conf = folder / "conf"
        for path in pathlib.Path("/etc/postfix").iterdir():
            if path.is_file() and not (cls.conf / path.name).exists():
                shutil.copy(path, cls.conf)
        user = pwd.getpwnam(service_user() or "nobody")
        cls.box = folder / "box"
        cls.more = MAIN_CF.format(folder=folder, user=user.pw_uid, group=user.pw_gid)
        cls.box.mkdir()
        os.chown(cls.box, user.pw_uid, user.pw_gid)
        cls.with_check = cls.main_cf((cls.conf / "main.cf").read_text())
        (cls.conf / "main.cf").write_text(cls.with_check)
        with open(cls.conf / "master.cf", "a") as file:
            file.write(MASTER_CF)
        subprocess.run(["mount", "--bind", cls.conf, "/etc/postfix"], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "/etc/postfix"], check=True)
        cls.postfix.start()
        cls.addClassCleanup(cls.postfix.stop)

    @classmethod
    def main_cf(cls, text):
        """A domain is either relayed or has mailboxes."""
        return text.replace("relay_domains = static:ALL\n", "relay_domains = example.com\n") + cls.more

    def setUp(self):
        super().setUp()
        self.state = self.daemon.folder / "data/cbpolicyd/notify"
        os.chown(self.state.parent, *self.owner())
        self.known = set(self.box.glob("new/*"))
        self.daemon.command("send", "2/h", "--anyone")
        self.notify("--to", "admin@example.test")
        self.assertIn("notices are on", self.arrived()["Subject"])

    def owner(self):
        status = self.daemon.database.stat()
        return status.st_uid, status.st_gid

    def notify(self, *words, status=0):
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        done = subprocess.run([self.daemon.programs / "carbonio-limits", "notify", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env={**environment, "ZEXTRAS_HOME": str(self.daemon.folder)})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def arrived(self):
        """The mail that has come since."""
        self.assertTrue(eventually(lambda: len(set(self.box.glob("new/*")) - self.known) == 1),
                        self.postfix.log())
        [path] = set(self.box.glob("new/*")) - self.known
        self.known.add(path)
        return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)

    def pass_time(self, seconds):
        """For what notices remember, and for events."""
        def older(value):
            if isinstance(value, dict):
                return {key: each - seconds * 1000 if key in ("at", "since", "reported", "postfix_read")
                        and each else older(each) for key, each in value.items()}
            return value
        mode = self.state.stat().st_mode
        self.state.write_text(json.dumps(older(json.loads(self.state.read_text()))))
        self.state.chmod(mode)
        self.daemon.sql(f"UPDATE limits_events SET Minute = Minute - {seconds // 60}, FirstSeen = "
                        f"FirstSeen - {seconds * 1000}, LastSeen = LastSeen - {seconds * 1000};")

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
    if os.environ.get(INSIDE) != "1":
        words = ["unshare", "--mount"]
        if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True).returncode:
            print("skipped: only root can have a mount namespace of its own, where they are allowed")
            sys.exit(SKIPPED)
        os.environ[INSIDE] = "1"
        os.execvp(words[0], [*words, sys.executable, "-B", *sys.argv])
    unittest.main()
