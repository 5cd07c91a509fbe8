# SPDX-License-Identifier: AGPL-3.0-only
"""A real Postfix with a mailbox for the admin: its sendmail, which runs the setgid postdrop, takes what
`notify --due` writes, and delivers it. In a mount namespace of its own, where /etc/postfix is this
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

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "daemon"))
from daemon_case import eventually  # noqa: E402

INSIDE = "NOTICES_TEST"
SKIPPED = 77  # ctest's SKIP_RETURN_CODE

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


class NoticesTest(PostfixTest):
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


def run_tests():
    """unittest.main, in a mount namespace of its own."""
    if os.environ.get(INSIDE) != "1":
        words = ["unshare", "--mount"]
        if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True).returncode:
            print("skipped: only root can have a mount namespace of its own, where they are allowed")
            sys.exit(SKIPPED)
        os.environ[INSIDE] = "1"
        os.execvp(words[0], [*words, sys.executable, "-B", *sys.argv])
    unittest.main()
