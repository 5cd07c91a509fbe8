#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`service` and `disable` on a host without Carbonio and systemd: they say the true reason, and what
Postfix does meanwhile."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, eventually, needs_root, policy, quota  # noqa: E402


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


class Figures(ServiceTest):
    """For Prometheus: what the alert rules in the package look at."""

    RULES = pathlib.Path(__file__).resolve().parents[2] / "packaging/prometheus/carbonio-limits.yml"

    def figures(self):
        """NAME -> value; each line is in the text format."""
        file = self.daemon.folder / "carbonio-limits.prom"
        self.assertEqual(self.say("service", "status", "--prometheus", str(file)), "")
        out = {}
        for line in file.read_text().splitlines():
            self.assertRegex(line, r"^(# HELP carbonio_limits_\w+ .+|# TYPE carbonio_limits_\w+ "
                                   r"(gauge|counter)|carbonio_limits_\w+ \d+)$")
            if not line.startswith("#"):
                name, value = line.split()
                self.assertNotIn(name, out)
                out[name.removeprefix("carbonio_limits_")] = int(value)
        self.assertEqual([path.name for path in self.daemon.folder.glob("*.prom*")], [file.name])
        return out

    def test_follow_the_daemon(self):
        down = {"running": 0, "answers": 0, "rules_read": 0, "database_trouble": 0, "paused": 0}
        self.assertEqual(self.figures(), down)
        self.say("service", "start")
        for _ in range(3):
            self.daemon.ask()
        self.assertTrue(eventually(lambda: self.figures()["refused_total"] == 1))
        up = self.figures()
        self.assertGreaterEqual(up["requests_total"], 3)
        self.assertLess(abs(up["start_time_seconds"] - time.time()), 600)
        for name, value in {"running": 1, "answers": 1, "rules_read": 1}.items():
            self.assertEqual(up[name], value, name)
        self.say("pause")
        self.assertEqual(self.figures()["paused"], 1)
        self.say("resume")
        self.assertEqual(self.figures()["paused"], 0)
        self.say("service", "stop")
        self.assertEqual(self.figures(), down)

    def test_the_alert_rules_need_nothing_else(self):
        self.say("service", "start")
        known = {f"carbonio_limits_{name}" for name in self.figures()} | {"node_textfile_mtime_seconds"}
        expressions = re.findall(r"^ +expr: (.*)$", self.RULES.read_text(), re.MULTILINE)
        self.assertEqual(len(expressions), self.RULES.read_text().count("- alert: "))
        for expression in expressions:
            used = set(re.findall(r"\b(?:carbonio|node)_\w+", expression))
            self.assertTrue(used and used <= known, expression)

    def test_wrong_use(self):
        self.say("service", "start", "--prometheus", "x", status=1)
        self.say("service", "status", "--json", "--prometheus", "x", status=1)
        self.say("service", "status", "--prometheus", "", status=1)
        self.assertIn("cannot write /nonexistent/x.prom: No such file",
                      self.say("service", "status", "--prometheus", "/nonexistent/x.prom", status=2))


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
