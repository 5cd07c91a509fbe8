#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`service` and `disable` on a host without Carbonio and systemd: they say the true reason, and what
Postfix does meanwhile."""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, needs_root, policy, quota  # noqa: E402


class ServiceTest(DaemonTest):
    """The daemon in the background, under its supervisor."""

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(2), start=False)
        self.set("background=no", "background=yes")
        self.addCleanup(lambda: self.say("service", "stop", check=False))

    def set(self, old, new):
        text = self.daemon.config.read_text()
        self.assertIn(old, text)
        self.daemon.config.write_text(text.replace(old, new))

    def say(self, *words, status=0, check=True, program=None, path=os.environ["PATH"]):
        done = subprocess.run(
            [program or self.daemon.programs / "carbonio-limits", *words], text=True, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder), "PATH": path})
        if check:
            self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout


class TrueReasons(ServiceTest):
    @needs_root
    def test_the_daemons_user_may_not_enter_the_programs_folder(self):
        home = self.daemon.folder / "root"
        programs = home / "bin"
        programs.mkdir(parents=True)
        for name in ("cbpolicyd", "carbonio-limits"):
            shutil.copy(self.daemon.programs / name, programs)
        program = programs / "carbonio-limits"
        home.chmod(0o700)
        begin = time.monotonic()
        for words in (("service", "start"), ("service", "restart")):
            said = self.say(*words, status=2, program=program)
            self.assertIn(f" may not enter the folder {home}, so the daemon cannot run "
                          f"{programs / 'cbpolicyd'}", said)
            self.assertEqual(said.count("\n"), 1)
        # The daemon itself says so, too.
        done = subprocess.run([programs / "cbpolicyd", "--config", self.daemon.config], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"may not enter the folder {home}", done.stderr)
        self.assertLess(time.monotonic() - begin, 20)
        # What it says to do.
        command = said.rstrip("\n").rpartition("or: ")[2]
        subprocess.run(command, shell=True, check=True)
        self.assertIn("Started the policy daemon.", self.say("service", "start", program=program))
        # The running daemon stays if its next worker could not be started.
        home.chmod(0o700)
        self.assertIn("may not enter", self.say("service", "restart", status=2, program=program))
        self.assertEqual(self.daemon.ask(), "DUNNO")
        home.chmod(0o755)
        (programs / "cbpolicyd").chmod(0o700)
        self.assertIn(f"may not run {programs / 'cbpolicyd'}: Permission denied",
                      self.say("service", "restart", status=2, program=program))
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def test_a_start_without_rules_fails_and_says_what_becomes_of_mail(self):
        self.say("service", "start")
        self.assertIn("Restarted", self.say("service", "restart"))
        good = f"dbname={self.daemon.database}"
        self.set(good, "dbname=/nonexistent/folder/x.sqlitedb")
        for verb in ("restart", "start"):
            said = self.say("service", verb, status=2)
            self.assertEqual(said.count("\n"), 1)
            self.assertIn("the policy daemon runs, but could not read any limits: ", said)
            self.assertIn("there is no folder /nonexistent/folder", said)
            self.assertIn("ALL MAIL IS DEFERRED (bypass_mode=tempfail)", said)
        self.assertEqual(self.daemon.ask(), "DEFER Mail limits cannot be read at the moment; please "
                                            "try again later")
        # What it says to do meanwhile.
        self.say("pause")
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.say("resume")
        self.set("bypass_mode=tempfail", "bypass_mode=pass")
        self.assertIn("all mail passes unlimited (bypass_mode=pass)",
                      self.say("service", "restart", status=2))
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.set("dbname=/nonexistent/folder/x.sqlitedb", good)
        self.assertEqual(self.say("service", "restart"), "Restarted the policy daemon.\n")


class Postconf(ServiceTest):
    """A stand-in that prints what Postfix's would."""

    def postconf(self, restrictions):
        folder = self.daemon.folder / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "postconf"
        program.write_text(f"""#!/bin/sh
case $* in
  *-M*) echo 'smtp inet n - n - - smtpd' ;;
  *-P*) ;;
  *) echo 'smtpd_recipient_restrictions = {restrictions}' ;;
esac
""")
        program.chmod(0o755)
        self.path = f"{folder}:{os.environ['PATH']}"

    def test_stop_warns_where_postfix_asks(self):
        asking = f"check_policy_service inet:localhost:{self.daemon.port}, permit"
        for restrictions, warns in ((asking, True), ("permit", False)):
            self.postconf(restrictions)
            self.say("service", "start")
            said = self.say("service", "stop", path=self.path)
            self.assertTrue(said.startswith("Stopped the policy daemon.\n"), said)
            self.assertEqual("answers 451 to all mail until 'carbonio-limits service start'" in said,
                             warns, said)
            self.assertEqual("carbonio-limits pause" in said, warns)

    def test_disable_stops_what_postfix_does_not_ask(self):
        self.postconf("permit")
        self.say("service", "start")
        self.assertIn("carbonio-limits service stop", self.say("disable", "--dry-run", path=self.path))
        self.assertIn("The policy daemon is stopped", self.say("disable", path=self.path))
        self.assertIn("The policy daemon is not running", self.say("service", "status", status=3))
        self.assertIn("Nothing to change", self.say("disable", path=self.path))
        self.assertIn("cannot be used", self.say("disable", "--all-mta", status=1))


if __name__ == "__main__":
    unittest.main()
