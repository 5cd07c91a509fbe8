#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`notify`: what a real daemon refuses becomes mail, by a stand-in for sendmail that keeps it, or
JSON for a program. The clock of the command is moved by libfaketime."""

import email
import email.policy
import json
import os
import pathlib
import re
import resource
import shlex
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))

from advice_examples import policy as own_policy  # noqa: E402
from daemon_case import SANITIZED, DaemonTest, eventually, insert, last, policy, quota  # noqa: E402
from doctor_test import OWN_GROUPS  # noqa: E402
from replay_test import faketime  # noqa: E402

SENDMAIL = """#!/bin/sh
printf '%s\\n' "$@" >{0}/arguments
n=$(ls {0} | grep -c mail)
cat >{0}/mail.$n.part && mv {0}/mail.$n.part {0}/mail.$n
"""
MINUTE, HOUR, DAY = 60, 3600, 86400


class Case(DaemonTest):
    rules = policy() + quota(2, period=3600)

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(self.rules)
        home = self.daemon.folder
        self.state = home / "data/cbpolicyd/notify"
        self.own_config = home / "conf/carbonio-limits.conf"
        self.box = home / "box"
        self.box.mkdir()
        self.program("common/sbin/sendmail", SENDMAIL.format(self.box))
        self.program("common/sbin/postconf", "#!/bin/sh\nexit 1\n")
        owner = self.daemon.database.stat()
        for folder in (self.box, self.state.parent):
            os.chown(folder, owner.st_uid, owner.st_gid)

    def program(self, name, text):
        path = self.daemon.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def say(self, *words, later=0, status=0, memory=None):
        """`notify` as it is run `later` seconds from now; by the timer as the daemon's user."""

        def begin():
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            if later:
                self.become_owner()

        environment = {**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)}
        if later:
            environment |= faketime() | {"FAKETIME": f"{later:+d}"}
        done = subprocess.run([self.daemon.programs / "carbonio-limits", "notify", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              env=environment, preexec_fn=begin)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
        return done.stderr if status else done.stdout

    def become_owner(self):
        if os.geteuid() == 0:
            owner = self.daemon.database.stat()
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)

    def due(self, later, mails=0, **more):
        """What one run sends."""
        before = set(self.box.glob("mail.*"))
        out = self.say("--due", later=later, **more)
        fresh = sorted(set(self.box.glob("mail.*")) - before)
        self.assertEqual(len(fresh), mails, [path.read_text() for path in fresh])
        return self.parse(fresh[0]) if mails else out

    @staticmethod
    def parse(path):
        return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)

    @staticmethod
    def text_of(mail, kind="plain"):
        return mail.get_body((kind,)).get_content()

    def switch_on(self, *words):
        self.say("--to", "admin@example.com", *words)

    def refuse(self, sender="anna@example.org", count=3, **attributes):
        before = self.times()
        for _ in range(count):
            self.daemon.ask(sender=sender, **attributes)
        self.assertTrue(eventually(lambda: self.times() > before))

    def times(self):
        return self.daemon.query("SELECT coalesce(sum(Times), 0) FROM limits_events "
                                 "WHERE Kind = 'refused'")[0][0]

    def wait_for_hand(self):
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT 1 FROM limits_events WHERE Kind = 'rules' AND Who IS NULL")))

    def put_event(self, **columns):
        at = int((time.time() - 120) * 1000)
        self.daemon.sql(insert("limits_events", **{
            "Minute": at // 60000, "Kind": "refused", "Module": "Quotas", "RowID": 4,
            "TrackKey": "Sender:x@example.org", "Verdict": "defer", "FirstSeen": at, "LastSeen": at,
            "Times": 1, **columns}))


class SwitchedOnAndOff(Case):
    def test_nothing_happens_until_it_is_switched_on(self):
        self.assertIn("Notices are off", self.say())
        self.refuse()
        self.due(2 * MINUTE)
        self.assertFalse(self.state.exists())
        self.assertIn("Nothing to change", self.say("--off"))

    def test_on_sends_one_to_try_and_off_ends_it(self):
        self.own_config.write_text("[notify]\n# mine\nnear=70\n")
        self.refuse()
        self.assertIn("Notices go to admin@example.com and b@example.com. A test notice was sent",
                      self.say("--to", "admin@example.com", "b@example.com"))
        [mail] = self.box.glob("mail.*")
        mail = self.parse(mail)
        self.assertEqual(mail["To"], "admin@example.com, b@example.com")
        self.assertRegex(mail["Subject"], r"^\[.+\] Mail limits: notices are on$")
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        self.assertEqual((self.box / "arguments").read_text().splitlines()[-3:],
                         ["--", "admin@example.com", "b@example.com"])
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o640)
        self.assertEqual(self.state.stat().st_uid, self.daemon.database.stat().st_uid)
        self.assertIn("at most one per hour", self.say())
        self.due(2 * MINUTE)  # what was refused before is not told
        self.say("--off")
        self.assertEqual(self.own_config.read_text(), "[notify]\n# mine\nnear=70\n")
        self.assertFalse(self.state.exists())
        self.refuse("bob@example.org")
        self.due(2 * MINUTE)

    def test_that_nothing_runs_it_is_shown(self):
        self.switch_on()
        self.assertNotIn("Nothing has run", self.say())
        hour_ago = time.time() - HOUR
        os.utime(self.state, (hour_ago, hour_ago))
        self.assertIn("Nothing has run 'carbonio-limits notify --due' since ", self.say())
        self.due(0)
        self.assertNotIn("Nothing has run", self.say())

    def test_refuses_what_is_no_address(self):
        for address in ("", "anna", "a@b@", "a b@example.org", "a@example.org\nBcc: x@example.org",
                        "-t@example.org", "a,b@example.org", "<a@example.org>", "a@exa mple.org",
                        "a@example..org", "a\t@example.org", "x" * 65 + "@example.org",
                        "\u00e4@example.org", "\x1b[1m@example.org"):
            with self.subTest(address=address):
                self.assertIn("not a valid mail address: '", self.say("--to", address, status=1))
        many = [f"a{number}@example.org" for number in range(11)]
        self.assertIn("at most 10", self.say("--to", *many, status=1))
        for program in ("", "relative", "/x\ny", "/" + "x" * 1024):
            with self.subTest(program=program):
                self.assertIn("not a valid program: '", self.say("--command", program, status=1))
        for time_of_day in ("", "7", "24:00", "07:60", "07:00:00", "morning", "7:00"):
            with self.subTest(time=time_of_day):
                self.assertIn("not a valid time of day: '",
                              self.say("--to", "a@example.org", "--report", time_of_day, status=1))
        self.assertIn("no one to send a report to", self.say("--report", "07:00", status=1))
        self.assertIn("use only one of", self.say("--off", "--due", status=1))
        self.assertIn("use only one of", self.say("--off", "--report", "07:00", status=1))
        self.assertFalse(self.own_config.exists())
        self.assertFalse(self.state.exists())

    def test_an_address_that_is_refused_leaves_the_earlier_one(self):
        self.switch_on()
        kept = self.own_config.read_text()
        for address in ("#a@b.c", ";a@b.c", "a..b@example.org", ".a@example.org", "a.@example.org",
                        "*@example.org", "a*@example.org"):
            for words in ((address,), ("b@example.org", address)):
                with self.subTest(words=words):
                    self.assertIn(f"not a valid mail address: '{address}'",
                                  self.say("--to", *words, status=1))
        self.assertEqual(self.own_config.read_text(), kept)
        self.assertIn("Notices go to admin@example.com, at most", self.say())

    def test_enable_is_named_only_where_the_configuration_is_missing(self):
        self.own_config.write_text("[notify]\nsendmail=relative\n")
        said = self.say("--to", "admin@example.com", status=2)
        self.assertIn("not a valid sendmail in [notify]: 'relative'", said)
        self.assertNotIn("creates it", said)
        self.own_config.unlink()
        config = self.own_config.with_name("cbpolicyd.conf")
        elsewhere = config.rename(config.with_name("elsewhere.conf"))
        self.addCleanup(elsewhere.rename, config)
        self.assertIn("; 'carbonio-limits enable' creates it",
                      self.say("--to", "admin@example.com", status=2))

    def test_a_sendmail_that_is_missing_is_said_at_once(self):
        (self.daemon.folder / "common/sbin/sendmail").unlink()
        self.own_config.write_text("[notify]\nsendmail=/nonexistent/sendmail\n")
        self.assertIn("the test notice was not sent: /nonexistent/sendmail: cannot be started",
                      self.say("--to", "admin@example.com", status=2))


class Digest(Case):
    def test_the_first_refusal_is_told_soon_and_further_ones_hourly(self):
        self.switch_on()
        self.refuse(client_address="198.51.100.9", sasl_username="anna")
        self.due(0)  # the minute is not over
        mail = self.due(2 * MINUTE, mails=1)
        self.assertIn("anna@example.org refused", mail["Subject"])
        text = self.text_of(mail)
        self.assertRegex(text, r"anna@example\.org: refused once, at \d\d:\d\d, by limit 3 \(")
        self.assertIn("from 198.51.100.9", text)
        self.due(3 * MINUTE)  # told
        self.refuse("bob@example.org", 4)
        self.due(4 * MINUTE)  # within the hour
        mail = self.due(2 * MINUTE + HOUR, mails=1)
        self.assertIn("bob@example.org: refused twice", self.text_of(mail))
        self.assertNotIn("anna@example.org", self.text_of(mail))

    def test_who_goes_on_being_refused_is_told_once_a_day(self):
        self.switch_on()
        self.refuse()
        self.due(2 * MINUTE, mails=1)
        self.put_event(TrackKey="Sender:anna@example.org", Times=7, Verdict="again")
        self.due(3 * HOUR)
        mail = self.due(2 * MINUTE + DAY, mails=1)
        self.assertIn("refused 7 times", self.text_of(mail))

    def test_a_refusal_after_a_period_without_any_is_a_first_one(self):
        self.switch_on()
        self.refuse()
        self.due(2 * MINUTE, mails=1)
        for later, period in ((3 * HOUR, HOUR - MINUTE), (5 * HOUR, HOUR + MINUTE)):  # after the last
            at = int((time.time() + later) * 1000)
            self.daemon.sql(f"UPDATE limits_events SET LastSeen = {at - period * 1000};")
            self.put_event(TrackKey="Sender:anna@example.org", Minute=at // 60000, FirstSeen=at,
                           LastSeen=at, Verdict=f"at {later}")
            self.due(later + 2 * MINUTE, mails=int(period > HOUR))

    def test_how_often_is_set(self):
        self.own_config.write_text("[notify]\nevery=120\n")
        self.switch_on()
        self.assertIn("at most one per 2 minutes", self.say())
        self.refuse()
        self.due(2 * MINUTE, mails=1)
        self.refuse("bob@example.org")
        self.due(3 * MINUTE)
        self.due(4 * MINUTE, mails=1)

    def test_commands_do_what_they_say_and_nothing_else(self):
        self.daemon.sql(policy() + quota(50, period=86400))
        self.switch_on()
        self.refuse()
        self.refuse("bob@example.org")
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        commands = re.findall(r"^      (carbonio-limits (?:reset|block) .*)$",
                              text.replace(" \\\n      ", " "), re.MULTILINE)
        self.assertEqual(len(commands), 4, text)
        freeing = next(c for c in commands if c.startswith("carbonio-limits reset anna"))
        blocking = next(c for c in commands if c == "carbonio-limits block bob@example.org")
        limits = json.loads(self.daemon.command("list", "--json").stdout)["limits"]
        self.daemon.command(*shlex.split(freeing)[1:])
        self.assertEqual(self.daemon.ask(sender="anna@example.org"), "DUNNO")
        self.assertEqual(json.loads(self.daemon.command("list", "--json").stdout)["limits"], limits)
        self.daemon.command(*shlex.split(blocking)[1:])
        self.daemon.command("reset", "bob@example.org", "--limit", "3")
        self.assertTrue(self.daemon.ask(sender="bob@example.org").startswith("REJECT Sending is "))
        self.assertEqual(self.daemon.ask(sender="anna@example.org"), "DUNNO")

    def test_who_was_freed_meanwhile_does_not_wait(self):
        self.switch_on()
        self.refuse()
        self.refuse("bob@example.org")
        self.daemon.command("reset", "bob@example.org")
        text = " ".join(self.text_of(self.due(2 * MINUTE, mails=1)).split())
        self.assertRegex(text, "anna@example.org: refused(?:(?!: refused).)* Free in")
        self.assertNotRegex(text, "bob@example.org: refused(?:(?!: refused).)* Free in")

    def test_ten_thousand_senders_are_one_mail(self):
        self.switch_on()
        at = int((time.time() - 120) * 1000)
        self.daemon.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
            "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
            f"LastSeen, Times) SELECT {at // 60000}, 'refused', 'Quotas', 4, "
            f"'Sender:u' || i || '@example.org', 'defer', {at}, {at}, i FROM n;")
        mail = self.due(2 * MINUTE, mails=1)
        text = self.text_of(mail)
        self.assertIn("u10000@example.org and 9999 more refused", mail["Subject"])
        self.assertIn("u10000@example.org: refused 10000 times", text)
        self.assertIn("and 9990 more counters", text)
        self.assertLess(len(text), 10_000)
        self.due(3 * MINUTE)
        self.due(2 * HOUR)

    def test_a_real_flood_is_one_mail_in_bounded_memory(self):
        self.daemon.sql(policy() + quota(1, "MessageCumulativeSize", period=3600))
        self.wait_for_rules(self.daemon)
        self.switch_on()
        with self.daemon.connect() as connection:
            for block in range(100):
                numbers = range(block * 100, block * 100 + 100)
                connection.send(b"".join(self.request(sender=f"u{n}@example.org") for n in numbers))
                self.assertEqual({connection.answer() for _ in numbers}, {"DEFER later"})
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT count(*) FROM limits_events")[0][0] >= 5000))
        mail = self.due(2 * MINUTE, mails=1, memory=None if SANITIZED else 256 << 20)
        self.assertRegex(mail["Subject"], r"@example\.org and \d{4} more refused")
        self.assertLess(len(mail.as_bytes()), 50_000)
        self.due(3 * MINUTE)

    def test_names_of_strangers_neither_break_lines_nor_become_markup(self):
        self.switch_on()
        name = "<script>alert(1)</script>\r\nBcc: x@example.org\x1b[31m\u202e&\"@example.org"
        self.put_event(TrackKey="Sender:" + name, Client="<b>", Login="a\nb")
        mail = self.due(2 * MINUTE, mails=1)
        self.assertNotIn("Bcc", mail)
        html, text = self.text_of(mail, "html"), self.text_of(mail)
        self.assertIn("&lt;script&gt;", html)
        for markup in ("<script", "<b>"):
            self.assertNotIn(markup, html)
        for raw in ("\x1b", "\r", "\u202e"):
            self.assertNotIn(raw, html + text)
        self.assertIn(r"\x0aBcc", html)
        self.assertNotIn("carbonio-limits reset", text)  # cannot be typed
        raw = (self.box / "mail.1").read_bytes()
        self.assertTrue(raw.isascii())
        self.assertLessEqual(max(map(len, raw.splitlines())), 120)

    def test_text_fits_72_columns(self):
        self.switch_on()
        self.refuse("a.rather.long.name.of.a.person@mail.department.example.org", 5,
                    sasl_username="somebody@example.org")
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        self.assertLessEqual(max(map(len, text.splitlines())), 72, text)

    def test_near_and_watched(self):
        self.daemon.command("receive", "1/h", "--per", "user", "--verdict", "none")
        self.wait_for_rules(self.daemon)
        self.switch_on()
        for _ in range(2):
            self.daemon.ask(sender="carl@example.org", recipient="dora@example.com")
        self.put_event(Kind="near", TrackKey="Sender:emil@example.org", Used=8, CounterLimit=10)
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT 1 FROM limits_events WHERE Kind = 'watched'")))
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        self.assertRegex(text, r"Nearly used up\n\n  emil@example\.org: 8 of 10 used")
        self.assertRegex(text, r"Over limits that only monitor\n\n  dora@example\.com: once")
        self.assertIn("verdict none only monitors", " ".join(text.split()))
        self.assertNotRegex(text, r"\([^)]*\(")

    def test_a_counter_that_was_refused_is_not_told_as_nearly_used_up(self):
        self.switch_on()
        for name in ("anna", "emil"):
            self.put_event(Kind="near", TrackKey=f"Sender:{name}@example.org", Used=8,
                           CounterLimit=10)
        self.put_event(TrackKey="Sender:anna@example.org", Times=2)
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        self.assertIn("anna@example.org: refused twice", text)
        self.assertIn("emil@example.org: 8 of 10 used", text)
        self.assertNotIn("anna@example.org: 8 of 10 used", text)

    def test_limits_that_were_changed_by_hand(self):
        self.switch_on()
        self.daemon.command("send", "100/h")  # announced
        self.wait_for_rules(self.daemon)
        self.daemon.sql("UPDATE quotas SET Period = 61;")
        self.wait_for_hand()
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        self.assertEqual(text.count("the limits were changed"), 1, text)
        self.assertIn("typed by hand", text)

    def test_whoever_was_stopped_is_named_before_those_who_stand_out(self):
        self.switch_on()
        for number in range(12):
            self.put_event(Kind="locked", Verdict="block:1h", Who="limit 4",
                           TrackKey=f"SASLUsername:in{number}@example.org")
        self.put_event(Kind="rules", Who=None)
        for number in range(20):
            self.put_event(Kind="suspect", Verdict="notify", Who="limit 4",
                           TrackKey=f"SASLUsername:out{number}@example.org")
        mail = self.due(2 * MINUTE, mails=1)
        self.assertIn("login in0@example.org and 11 more stopped", mail["Subject"])
        text = self.text_of(mail)
        for number in range(12):
            self.assertIn(f"login in{number}@example.org was stopped", text)
            self.assertIn(f"carbonio-limits unblock in{number}@example.org --release", text)
        self.assertIn("the limits were changed", text)
        self.assertEqual(text.count("was NOT stopped"), 9, text)
        self.assertIn("and 11 more\n", text)

    def test_a_clock_that_was_set_back(self):
        self.switch_on()
        self.refuse()
        self.due(2 * DAY, mails=1)
        self.refuse("bob@example.org")
        self.due(2 * MINUTE, mails=1)
        self.due(3 * MINUTE)

    def test_another_database_is_not_told_from_its_beginning(self):
        for number in range(5):
            self.put_event(TrackKey=f"Sender:old{number}@example.org")
        self.switch_on()
        self.refuse()
        self.due(2 * MINUTE, mails=1)
        self.daemon.sql("DELETE FROM limits_events WHERE ID > 2;")
        self.due(2 * HOUR)

    def test_what_was_before_is_no_news_where_the_database_could_not_be_read(self):
        """A program that is new while it cannot be read begins when it can."""
        self.refuse()
        self.switch_on()
        program = self.program("take", f"#!/bin/sh\ncat >{self.box}/taken\n")
        self.own_config.write_text(self.own_config.read_text() + f"command={program}\n")
        self.daemon.database.chmod(0)
        self.addCleanup(self.daemon.database.chmod, 0o640)
        self.due(2 * MINUTE)
        self.assertIsNone(json.loads(self.state.read_text())["channels"]["command"]["told"])
        self.daemon.database.chmod(0o640)
        self.due(3 * MINUTE)
        self.assertFalse((self.box / "taken").exists())
        self.refuse("bob@example.org")
        self.due(4 * MINUTE, mails=1)
        self.assertEqual(json.loads((self.box / "taken").read_text())["refused"]["counters"], 1)

    def test_a_damaged_state_counts_as_an_empty_one(self):
        self.switch_on()
        for text in ("", "{}", "[]", "x" * (2 << 20), '{"channels": {"mail": 1}}'):
            with self.subTest(text=text[:10]):
                self.state.write_text(text)
                self.due(2 * MINUTE)


class ReportCase(Case):
    def setUp(self):
        super().setUp()
        self.now = int(time.time())
        self.at = time.strftime("%H:%M", time.localtime(self.now + HOUR))

    def report(self, later):
        mail = self.due(later, mails=1)
        self.assertIn("daily report", mail["Subject"])
        return self.text_of(mail)

    def switch_report_on(self):
        self.switch_on()
        self.assertIn(f"A report goes to admin@example.com each day at {self.at}.",
                      self.say("--report", self.at))
        self.assertIn(f"and a report each day at {self.at}.", self.say())


class QuietDay(ReportCase):
    rules = OWN_GROUPS + own_policy() + quota(2, period=3600)  # doctor finds nothing

    def test_is_one_line_or_nothing(self):
        self.switch_report_on()
        self.daemon.sql("DELETE FROM limits_events;")
        text = self.report(HOUR + MINUTE)
        self.assertRegex(text, r"^The day until \d\d:\d\d: 0 messages, no limit reached, nothing wrong\.\n$")
        self.own_config.write_text(self.own_config.read_text() + "report_always=0\n")
        self.due(DAY + HOUR + MINUTE)
        at = int((time.time() + DAY + HOUR) * 1000) + 2 * MINUTE * 1000
        self.put_event(Minute=at // 60000, FirstSeen=at, LastSeen=at, TrackKey="Sender:anna@example.org")
        self.due(DAY + 2 * HOUR, mails=1)
        self.assertIn("anna@example.org: refused once", self.report(2 * DAY + HOUR + MINUTE))


class Report(ReportCase):
    def send_message(self, number, before, **columns):
        """As session_tracking has it, `before` seconds before now."""
        self.daemon.sql(insert("session_tracking", Instance=f"m{number}", QueueID="4bX",
                               UnixTimestamp=self.now - before, Sender="anna@example.org",
                               SASLUsername="", Size=1, **columns))

    def test_it_comes_once_a_day_whatever_notices_do(self):
        self.switch_report_on()
        self.assertEqual(len(list(self.box.glob("mail.*"))), 2)  # both to try
        self.refuse()
        self.due(50 * MINUTE, mails=1)
        self.assertIn("anna@example.org: refused once", self.report(HOUR + MINUTE))
        self.due(HOUR + 2 * MINUTE)
        self.due(DAY)
        self.report(DAY + HOUR + MINUTE)
        self.report(5 * DAY)  # the host was down: that of the last day
        self.due(5 * DAY + MINUTE)
        self.assertIn("The daily report is off", self.say("--report", "off"))
        self.due(7 * DAY)

    def test_one_that_was_not_sent_is_tried_again(self):
        self.switch_report_on()
        sendmail = self.daemon.folder / "common/sbin/sendmail"
        works = sendmail.read_text()
        sendmail.write_text("#!/bin/sh\nexit 75\n")
        self.assertIn("failed with status 75", self.due(HOUR + MINUTE, status=2))
        sendmail.write_text(works)
        self.due(HOUR + 5 * MINUTE)
        self.report(HOUR + 12 * MINUTE)
        self.due(HOUR + 30 * MINUTE)

    def test_a_clock_that_was_set_back(self):
        self.switch_report_on()
        self.report(5 * DAY + HOUR + MINUTE)
        self.due(MINUTE)
        self.report(HOUR + MINUTE)

    def test_figures_stand_beside_those_of_the_week_before(self):
        self.daemon.command("hook", "domain-created", "example.org")
        self.switch_report_on()
        week = 7 * DAY
        for number in range(5):
            self.send_message(number, number * MINUTE)
        self.send_message(5, week + HOUR)
        self.send_message(6, week + 2 * HOUR)
        self.send_message(7, 2 * DAY)  # of neither day
        self.send_message(8, 10 * DAY)
        self.daemon.sql(insert("session_tracking", Instance="x", QueueID="4bY", Size=1,
                               UnixTimestamp=self.now, Sender="x@example.net", SASLUsername="") +
                        insert("session_tracking", Instance="y", QueueID="4bZ", Size=1,
                               UnixTimestamp=self.now, Sender="x@example.net", SASLUsername="carl"))
        self.refuse()
        self.put_event(Kind="near", TrackKey="Sender:emil@example.org", Used=8, CounterLimit=10)
        old = (self.now - week) * 1000
        self.put_event(TrackKey="Sender:old@example.org", Minute=old // 60000, FirstSeen=old,
                       LastSeen=old, Times=4)
        older = old - 2 * DAY * 1000
        self.put_event(Kind="rules", TrackKey="", Minute=older // 60000, FirstSeen=older,
                       LastSeen=older)
        self.due(2 * MINUTE, mails=1)
        text = self.report(HOUR + MINUTE)
        flat = " ".join(text.split())
        self.assertIn("users of this server sent 6 messages (a week before: 2).", flat)
        self.assertIn("Refused: 1 counter, once (a week before: 1 counter, 4 times)", flat)
        self.assertIn("Nearly used up: 1 counter, once (a week before: none)", flat)
        self.assertIn("anna@example.org: 5 messages (a week before: 2)", flat)
        self.assertIn("carl: 1 message (a week before: 0)", flat)
        self.assertNotIn("x@example.net", text)
        self.assertRegex(flat, r"changed the limits \(carbonio-limits hook domain-created example.org\)")
        self.assertLessEqual(max(map(len, text.splitlines())), 72, text)

    def test_a_block_is_named_once(self):
        self.switch_report_on()
        for verb in ("block", "unblock"):
            self.daemon.command(verb, "two@example.net")
            self.assertTrue(eventually(lambda: self.daemon.query(
                "SELECT 1 FROM limits_events WHERE Kind = 'rules' AND "
                f"Detail LIKE 'carbonio-limits {verb} %'")), verb)
        flat = " ".join(self.report(HOUR + MINUTE).split())
        self.assertEqual(flat.count("(carbonio-limits block two@example.net)"), 1, flat)
        self.assertEqual(flat.count("(carbonio-limits unblock two@example.net)"), 1, flat)
        self.assertRegex(flat, r"blocked two@example.net \(carbonio-limits block ")
        self.assertNotIn("changed the limits (carbonio-limits block", flat)

    def test_it_has_what_doctor_finds(self):
        self.daemon.sql("UPDATE quotas SET Track = 'Nonsense';")
        self.wait_for_rules(self.daemon)
        self.wait_for_hand()
        self.switch_report_on()
        found = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)["findings"]
        track = next(each for each in found if each["state"] == "wrong" and "Nonsense" in each["what"])
        text = self.report(HOUR + MINUTE)
        self.assertRegex(text, r"(?m)^Wrong now: doctor finds \d+ problems?\n")
        self.assertIn(f"{track['what']}; {track['why']}.", " ".join(text.split()))
        self.assertIn("    To fix it:\n", text)

    def test_a_program_gets_it_as_json(self):
        program = self.program("take", f"#!/bin/sh\ncat >{self.box}/taken\n")
        self.say("--command", str(program), "--report", self.at)
        told = json.loads((self.box / "taken").read_text())
        self.assertEqual((told["type"], told["to"] - told["from"]), ("report", DAY))
        self.due(HOUR + MINUTE)
        told = json.loads((self.box / "taken").read_text())
        self.assertEqual((told["type"], told["messages_week_before"]), ("report", None))
        for key in ("refused", "near", "watched", "senders", "changes", "problems", "messages"):
            self.assertIn(key, told)


class Conditions(Case):
    def test_a_daemon_that_is_down_is_told_and_that_it_is_back(self):
        self.switch_on()
        self.daemon.stop()
        self.due(2 * MINUTE)  # it may just be restarting
        mail = self.due(3 * MINUTE, mails=1)
        self.assertIn("The policy daemon is not running", self.text_of(mail))
        self.due(30 * MINUTE)
        self.daemon.start()
        mail = self.due(40 * MINUTE, mails=1)
        self.assertIn("No longer so\n\n  The policy daemon is not running", self.text_of(mail))
        self.due(2 * HOUR)

    def test_all_mail_deferred(self):
        self.switch_on()
        self.daemon.sql(policy() + quota(1, track="Nonsense", period=60))
        self.wait_for_rules(self.daemon)
        self.wait_for_hand()
        self.due(2 * MINUTE, mails=1)  # rules changed by hand
        self.assertIn("ALL MAIL", self.text_of(self.due(13 * MINUTE, mails=1)))

    def test_database_trouble_is_told_and_its_end(self):
        self.switch_on()

        def trouble():
            return json.loads(self.daemon.status_file.read_text())["trouble"]

        held = sqlite3.connect(self.daemon.database, isolation_level=None)
        self.addCleanup(held.close)
        held.execute("BEGIN IMMEDIATE")
        self.daemon.ask(sender="anna@example.org")
        self.assertTrue(eventually(trouble))
        self.due(2 * MINUTE)  # may be over soon
        mail = self.due(3 * MINUTE, mails=1)
        self.assertIn("Database trouble", mail["Subject"])
        self.assertIn("'carbonio-limits doctor' shows what fixes it", " ".join(self.text_of(mail).split()))
        held.execute("ROLLBACK")
        self.assertTrue(eventually(lambda: trouble() is None))
        self.assertIn("No longer so\n\n  Database trouble", self.text_of(self.due(14 * MINUTE, mails=1)))

    def test_a_cluster_that_is_lost_and_back(self):
        self.switch_on()
        of_the_host = {"Module": "Core", "RowID": 0, "TrackKey": "", "Verdict": ""}
        self.put_event(Kind="engine_lost", Detail="10.0.0.5: timed out", **of_the_host)
        text = self.text_of(self.due(0, mails=1))
        self.assertIn("this host no longer shares its limits with the others (10.0.0.5: timed out).",
                      " ".join(text.split()))
        self.assertIn("      carbonio-limits cluster status\n", text)
        self.put_event(Kind="engine_back", **of_the_host)
        self.due(MINUTE)
        text = self.text_of(self.due(11 * MINUTE, mails=1))
        self.assertIn("shares its limits with the others again", text)

    def test_postfix_that_asks_nobody(self):
        self.program("common/sbin/postconf", """#!/bin/sh
case "$*" in
*-M*) echo 'smtp inet n - n - - smtpd' ;;
*-P*) ;;
*) echo 'smtpd_recipient_restrictions = permit_mynetworks' ;;
esac
""")
        self.switch_on()
        self.due(MINUTE)
        text = self.text_of(self.due(2 * MINUTE, mails=1))
        self.assertIn("does not ask the daemon", text)
        self.assertIn("carbonio-limits doctor", text)


class Failures(Case):
    def test_a_failing_sendmail_is_said_once_and_nothing_is_lost(self):
        self.switch_on()
        works = self.daemon.folder / "common/sbin/sendmail"
        kept = works.read_text()
        works.write_text("#!/bin/sh\necho 'queue file write error' >&2\nexit 75\n")
        self.refuse()
        self.assertIn("sendmail failed with status 75: queue file write error",
                      self.due(2 * MINUTE, status=2))
        self.due(3 * MINUTE)
        self.due(2 * MINUTE + HOUR)  # tried again, and not said again
        self.assertIn("was not sent", self.say())
        works.write_text(kept)
        self.assertIn("anna@example.org", self.text_of(self.due(3 * MINUTE + 2 * HOUR, mails=1)))
        self.assertNotIn("was not sent", self.say())

    def test_a_command_that_hangs_does_not_keep_mail_back(self):
        self.switch_on()
        program = self.program("hang", "#!/bin/sh\nexec sleep 600\n")
        self.own_config.write_text(self.own_config.read_text() + f"command={program}\n")
        self.due(0)  # the program gets what happens from now on
        self.refuse()
        begun = time.monotonic()
        self.assertIn("hang: timed out after 20 s; killed", self.due_with_mail())
        self.assertLess(time.monotonic() - begun, 50)

    def due_with_mail(self):
        before = len(list(self.box.glob("mail.*")))
        out = self.say("--due", later=2 * MINUTE, status=2)
        self.assertEqual(len(list(self.box.glob("mail.*"))), before + 1)
        return out

    def test_a_program_gets_json(self):
        program = self.program("take", f"#!/bin/sh\ncat >{self.box}/$1.json\n")
        self.say("--command", f"{program} first")
        self.assertEqual(json.loads((self.box / "first.json").read_text())["type"], "try")
        self.refuse()
        self.due(2 * MINUTE)
        told = json.loads((self.box / "first.json").read_text())
        self.assertEqual((told["type"], told["refused"]["counters"]), ("notice", 1))
        self.assertEqual(told["refused"]["top"][0]["who"], "anna@example.org")
        self.assertIn("anna@example.org", told["text"])
        self.say("--off")
        self.assertNotIn("command", self.own_config.read_text())

    def test_a_program_gets_its_words_as_a_shell_splits_them(self):
        program = self.program("my take", f"#!/bin/sh\ncat >/dev/null\nprintf '%s|' \"$@\" >{self.box}/words\n")
        self.say("--command", f"'{program}' a \"b c\" it\\'s '' #x")
        self.assertEqual((self.box / "words").read_text(), "a|b c|it's||#x|")
        self.refuse()
        (self.box / "words").unlink()
        self.due(2 * MINUTE)
        self.assertEqual((self.box / "words").read_text(), "a|b c|it's||#x|")

    def test_that_only_the_program_failed_is_said(self):
        program = self.program("take", "#!/bin/sh\nexit 3\n")
        said = self.say("--to", "admin@example.com", "--command", str(program), status=2)
        self.assertIn(f"notices are on; the mail was sent, but the program failed: {program} failed with "
                      "status 3; fix that", said)
        self.assertEqual(len(list(self.box.glob("mail.*"))), 1)
        self.program("common/sbin/sendmail", "#!/bin/sh\nexit 75\n")
        said = self.say("--to", "admin@example.com", status=2)
        self.assertIn("notices are on, but the test notice was not sent: ", said)

    def test_an_open_quotation_mark_is_refused(self):
        for program in ("/x/prog 'a", '/x/prog a "b c', "/x/it's"):
            self.assertIn("; the closing quotation mark is missing",
                          self.say("--command", program, status=1))
        self.assertFalse(self.own_config.exists())

    def test_a_program_gets_names_of_strangers_as_json_has_them(self):
        name = "<b>\n\x1b[31m\u202e\"\\@example.org"
        program = self.program("take", f"#!/bin/sh\ncat >{self.box}/taken\n")
        self.say("--command", str(program))
        self.put_event(TrackKey="Sender:" + name, Login="a\nb", Detail="\x07")
        self.daemon.sql("UPDATE limits_events SET Client = CAST(x'ff41' AS TEXT);")
        self.due(2 * MINUTE)
        raw = (self.box / "taken").read_bytes()
        self.assertEqual(raw.count(b"\n"), 1)
        self.assertFalse(re.search(rb"[\x00-\x09\x0b-\x1f]", raw), raw)
        [top] = json.loads(raw)["refused"]["top"]
        self.assertEqual((top["key"], top["login"]), ("Sender:" + name, "a\nb"))

    def test_a_sendmail_that_is_missing_is_said_once(self):
        self.switch_on()
        self.refuse()
        (self.daemon.folder / "common/sbin/sendmail").unlink()
        self.own_config.write_text(self.own_config.read_text() + "sendmail=/nonexistent/sendmail\n")
        self.assertIn("/nonexistent/sendmail: cannot be started", self.due(2 * MINUTE, status=2))
        self.due(2 * MINUTE + HOUR)

    def test_a_program_beside_mail_gets_what_happens_from_then_on(self):
        self.switch_on()
        self.refuse()
        program = self.program("take", f"#!/bin/sh\ncat >{self.box}/taken\n")
        self.assertIn("admin@example.com and the program", self.say("--command", str(program)))
        self.assertIn("to=admin@example.com\n", self.own_config.read_text())
        (self.box / "taken").unlink()
        self.due(2 * MINUTE, mails=1)
        self.assertFalse((self.box / "taken").exists())
        self.refuse("bob@example.org")
        self.due(3 * MINUTE)
        self.assertEqual(json.loads((self.box / "taken").read_text())["refused"]["counters"], 1)

    def test_a_program_that_prints_much_or_dies(self):
        for text, why in (("yes | head -c 10000000", "take: produced more than 65536 bytes of output; killed"),
                          ("kill -9 $$", "take failed with status 137"),
                          ("printf '\\033[31mno\\n\\n' >&2; exit 3", r"take failed with status 3: \x1b[31mno")):
            with self.subTest(text=text):
                program = self.program("take", f"#!/bin/sh\n{text}\n")
                self.assertIn(why, self.say("--command", str(program), status=2))

    def test_a_file_of_notices_that_cannot_be_written(self):
        """What is not remembered as told would be told each minute."""
        self.switch_on()
        self.refuse()
        folder = self.state.parent
        folder.chmod(0o555)
        self.addCleanup(folder.chmod, 0o755)
        self.assertIn("cannot write", self.due(2 * MINUTE, status=2))
        folder.chmod(0o755)
        self.due(2 * MINUTE, mails=1)

    def test_without_configuration_nothing_is_told_and_nothing_forgotten(self):
        self.switch_on()
        self.refuse()
        kept = self.own_config.read_text()
        self.own_config.write_text("[notify]\nto=nonsense\n")
        self.due(2 * MINUTE)
        self.own_config.write_text(kept)
        self.due(3 * MINUTE, mails=1)

    def test_two_runs_at_a_time_are_one(self):
        self.switch_on()
        self.program("common/sbin/sendmail",
                     "#!/bin/sh\nsleep 3\n" + SENDMAIL.format(self.box).split("\n", 1)[1])
        self.refuse()
        time.sleep(61)  # the same clock for both
        runs = [subprocess.Popen([self.daemon.programs / "carbonio-limits", "notify", "--due"],
                                 env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)})
                for _ in range(2)]
        self.assertEqual([run.wait(30) for run in runs], [0, 0])
        self.assertEqual(len(list(self.box.glob("mail.*"))), 2)


if __name__ == "__main__":
    unittest.main()
