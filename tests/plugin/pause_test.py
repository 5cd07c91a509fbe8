#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The brake: `pause` and `resume` on a host without Carbonio, by the next request, over restarts,
ended by itself, and shown by everything that shows limits."""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, eventually, needs_root, policy, quota  # noqa: E402


class Pause(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(2, period=3600))
        self.pause_file = self.daemon.pid_file.with_name("cbpolicyd.pause.json")

    def say(self, *words, status=0):
        done = self.daemon.command(*words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status in (0, 3) else done.stderr

    def use_up(self):
        self.assertEqual(self.ask_many(self.daemon, 3), ["DUNNO"] * 2 + ["DEFER later"])

    def test_all_pass_by_the_next_request_and_count(self):
        self.use_up()
        with self.daemon.connect() as connection:  # the same connection, as Postfix has it
            for round_number in range(3):
                said = self.say("pause", "10min")
                self.assertRegex(said, r"^Limits are paused until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d: "
                                       "all mail passes, and is counted[.] 'carbonio-limits resume' "
                                       "ends the pause now[.]\nNote: ")
                self.assertEqual(connection.ask(instance=f"p.{round_number}"), "DUNNO")
                self.assertEqual(self.say("resume"),
                                 "The pause has ended: limits are in force again.\n")
                self.assertEqual(connection.ask(instance=f"r.{round_number}"), "DEFER later")
        self.assertEqual(self.daemon.counter("Sender:alice@example.org"), 5)
        self.assertEqual(self.say("resume"), "Nothing to change: limits are not paused.\n")
        self.assertFalse(self.pause_file.exists())

    def test_uncounted(self):
        self.assertIn("is not counted", self.say("pause", "--uncounted"))
        self.assertEqual(self.ask_many(self.daemon, 5), ["DUNNO"] * 5)
        self.say("resume")
        self.use_up()

    def test_lasts_over_restarts_and_a_crash(self):
        self.use_up()
        self.say("pause")
        self.daemon.restart()
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertEqual(len(self.daemon.wait_for_log("WARNING: limits are paused until", count=3)), 3)

    def test_ends_by_itself(self):
        self.use_up()
        begin = time.monotonic()
        self.assertIn("Limits are paused", self.say("pause", "3s"))
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DEFER later"))
        self.assertGreaterEqual(time.monotonic() - begin, 2.9)
        self.daemon.wait_for_log("NOTICE: the pause has ended")
        self.assertNotIn("paused", self.say("list"))
        self.assertEqual(self.say("resume"), "Nothing to change: limits are not paused.\n")

    def test_the_default_is_one_hour(self):
        self.say("pause")
        left = json.loads(self.pause_file.read_text())["until"] - time.time()
        self.assertLess(abs(left - 3600), 60)

    def test_shown_on_top_of_everything(self):
        self.say("pause", "2h")
        file = self.daemon.folder / "limits"
        file.write_text("receive 9/h --user bob@example.org\n")
        for words, status in ((("list",), 0), (("usage",), 0), (("usage", "alice@example.org"), 0),
                              (("service", "status"), 0), (("doctor",), 3), (("show", "3"), 0),
                              (("receive", "9/h", "--user", "bob@example.org"), 0),
                              (("set", "4", "8/h"), 0),
                              (("off", "4"), 0), (("on", "4"), 0), (("import", str(file)), 0),
                              (("remove", "4"), 0)):
            self.assertTrue(self.say(*words, status=status).startswith(
                "Warning: Limits are paused until "), words)
        for words in (("send", "7/h", "--print-sql"), ("set", "3", "7/h", "--dry-run")):
            self.assertNotIn("Warning: Limits are paused", self.say(*words))
        for words, status in ((("list",), 0), (("usage",), 0), (("service", "status"), 0),
                              (("show", "3"), 0)):
            [warning] = json.loads(self.say(*words, "--json", status=status))["warnings"]
            self.assertIn("Limits are paused until", warning)
        found = json.loads(self.say("doctor", "--json", status=3))["findings"]
        [finding] = [each for each in found if each["check"] == "daemon.pause"]
        self.assertEqual(finding["fix"], "carbonio-limits resume")
        self.say(*finding["fix"].split()[1:])
        self.assertNotIn("daemon.pause", self.say("doctor", "--json", status=3))
        self.assertNotIn("paused", self.say("list"))

    def test_what_a_pause_lets_through_is_not_refused(self):
        self.use_up()
        who = ("usage", "alice@example.org")

        def counts():
            [use] = json.loads(self.say(*who, "--json"))["usage"]
            return use["refused"], use["let_through"]
        self.assertTrue(eventually(lambda: counts() == (1, 0)))
        self.say("pause")
        self.assertEqual(self.ask_many(self.daemon, 3), ["DUNNO"] * 3)
        self.assertTrue(eventually(lambda: counts() == (1, 3)))
        self.assertRegex(self.say(*who), r"  1, (just now|\d+ s ago); 3 let through in a pause  .*\n"
                                         r"Refused in the last 24 hours; 'carbonio-limits refused' shows more[.]\n")
        since = json.loads(self.say(*who, "--json"))["refused_since"]
        self.assertLess(abs(since + 86400 - time.time()), 60)
        self.say("resume")
        self.assertEqual(self.daemon.ask(), "DEFER later")
        self.assertTrue(eventually(lambda: counts() == (2, 3)))

    def test_what_is_only_monitored_is_so_in_a_pause(self):
        self.say("send", "1/h", "--anyone", "--verdict", "none")
        self.say("remove", "3")
        self.say("pause")
        self.ask_many(self.daemon, 3)

        def counts():
            [use] = json.loads(self.say("usage", "alice@example.org", "--json"))["usage"]
            return use["refused"], use["let_through"]
        self.assertTrue(eventually(lambda: counts() == (2, 0)))

    def test_explain_says_so_and_what_would_be_without(self):
        mail = ("explain", "--from", "alice@example.org", "--to", "bob@example.com",
                "--client", "192.0.2.10")
        self.use_up()
        self.assertTrue(self.say(*mail).startswith("REFUSED FOR NOW\n"))
        self.say("pause", "2h", "--uncounted")
        said = self.say(*mail)
        self.assertRegex(said, r"^Warning: Limits are paused until .*\nPASSES\n"
                               r"  because  limits are paused\n  Postfix  action=DUNNO\n"
                               r"  else     without the pause: REFUSED FOR NOW: quota 3 of policy 6 .* "
                               r"is used up: 2 of 2 messages .*; action=DEFER later\n")
        explained = json.loads(self.say(*mail, "--json"))
        self.assertTrue(explained["passes"])
        self.assertFalse(explained["pause"]["counted"])
        self.assertEqual(explained["answer"]["action"], "action=DEFER later")
        self.assertEqual(len(explained["warnings"]), 1)
        self.say("resume")
        explained = json.loads(self.say(*mail, "--json"))
        self.assertEqual((explained["passes"], explained["pause"], explained["warnings"]),
                         (False, None, []))

    def test_a_later_pause_replaces_an_earlier_one(self):
        self.say("pause", "2h")
        self.say("pause", "1h", "--uncounted")
        self.assertIn("is not counted", self.say("list"))
        self.assertEqual(len(list(self.pause_file.parent.glob("*.pause.json*"))), 1)

    def test_durations(self):
        for words in (("1s",), ("90s",), ("10", "min"), ("10min",), ("2hours",), ("7day",), ("1week",)):
            self.say("pause", *words)
        for words in (("0s",), ("8day",), ("2week",), ("10",), ("soon",), ("-1h",), ("1.5h",), ("1h,2h",),
                      ("1h/2h",), ("",), ("99999999999999999999s",), ("\x1b[31m",)):
            said = self.say("pause", *words, status=1)
            self.assertEqual(said.count("\n"), 1)
            self.assertNotIn("\x1b", said)
            if not words[0].startswith("-"):
                self.assertIn("not a valid duration: '", said)
        self.assertIn("unexpected argument", self.say("pause", "1", "h", "2", status=1))
        self.assertIn("does not accept --database", self.say("pause", "--database", "x", status=1))

    def test_works_while_no_rules_can_be_read(self):
        self.daemon.stop()
        self.daemon.database.parent.rename(self.daemon.folder / "moved")
        self.daemon.spawn()
        self.assertTrue(eventually(self.daemon.status_file.exists))
        self.assertTrue(self.daemon.ask().startswith("DEFER"))
        self.say("pause")
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertIn("Warning: Limits are paused", self.say("service", "status", status=3))
        self.say("resume")
        self.assertTrue(self.daemon.ask().startswith("DEFER"))
        self.assertIn("Warning: ALL MAIL IS DEFERRED", self.say("service", "status", status=3))

    def test_a_request_that_is_refused_passes_too(self):
        self.say("pause")
        with self.daemon.connect() as connection:
            self.assertEqual(connection.ask(client_address="nonsense"), "DUNNO")

    def test_without_a_daemon_it_says_so_and_is_in_force_at_the_start(self):
        self.use_up()
        self.daemon.stop()
        said = self.say("pause", status=2)
        self.assertIn("is not running, and Postfix answers 451 to all mail if it asks it", said)
        self.assertNotIn("all mail passes", said)
        self.assertIn("The policy daemon is not running", self.say("list"))
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.daemon.stop()
        self.assertIn("The pause has ended", self.say("resume"))

    def test_without_a_folder_for_the_pid_file(self):
        self.daemon.stop()
        self.daemon.pid_file.parent.rename(self.daemon.folder / "moved")
        self.assertIn("there is no folder", self.say("pause", status=2))

    @needs_root
    def test_of_other_users_only_the_daemons_may(self):
        command = [self.daemon.programs / "carbonio-limits", "pause"]

        def as_user(user):
            return subprocess.run(command, user=user, group=user, extra_groups=[], text=True,
                                  capture_output=True, timeout=60, check=False,
                                  env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)})

        done = as_user(12345)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("run this command as root or as the user", done.stderr)
        self.assertEqual(self.pause_file.exists(), False)
        owner = self.daemon.pid_file.parent.stat().st_uid
        self.assertEqual(as_user(owner).returncode, 0)
        self.say("pause")  # root's is the owner's as well
        self.assertEqual(self.pause_file.stat().st_uid, owner)


class Headlines(DaemonTest):
    """What `list` and `usage` say on top where no limit is in force."""

    def test_quotas_off(self):
        daemon = self.make_daemon(policy() + quota(2), modules=("Accounting",))
        for words in (("list",), ("usage",), ("service", "status")):
            self.assertTrue(daemon.command(*words).stdout.startswith(
                "Warning: Quotas is switched off: no limit is in force"), words)

    def test_all_mail_is_deferred_by_a_row(self):
        daemon = self.make_daemon(policy() + quota(2, track="user@example.tk"))
        said = "Warning: ALL MAIL IS DEFERRED by quotas 3: 'user@example.tk' is not a valid Track; "
        for words in (("list",), ("usage",), ("service", "status")):
            self.assertTrue(eventually(lambda words=words: daemon.command(
                *words, check=False).stdout.startswith(said)), words)
        self.assertRegex(daemon.command("list").stdout, r"\n +3 .* invalid\n")
        daemon.command("pause", "1h")
        self.assertNotIn("ALL MAIL", daemon.command("list").stdout)
        daemon.command("resume")
        daemon.sql("UPDATE quotas SET Track = 'Policy' WHERE ID = 3")
        self.assertTrue(eventually(lambda: "ALL MAIL" not in daemon.command("list").stdout))

    def test_the_daemon_is_down(self):
        daemon = self.make_daemon(policy() + quota(2), start=False)
        for command in ("list", "usage"):
            self.assertTrue(daemon.command(command).stdout.startswith(
                "Warning: The policy daemon is not running"), command)
            self.assertTrue(json.loads(daemon.command(command, "--json").stdout)["warnings"])
        daemon.start()
        for command in ("list", "usage"):
            self.assertNotIn("Warning", daemon.command(command).stdout)
            self.assertEqual(json.loads(daemon.command(command, "--json").stdout)["warnings"], [])

    def test_nothing_about_another_database(self):
        daemon = self.make_daemon(start=False)
        daemon.command("init", "--no-prov", "--database", str(daemon.database.with_name("other")))
        self.assertNotIn("Warning", daemon.command("list", "--database",
                                                   str(daemon.database.with_name("other"))).stdout)


if __name__ == "__main__":
    unittest.main()
