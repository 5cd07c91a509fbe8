#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`simulate` on logs as Postfix writes them: whom limits would have hit, in each form of log and
output, and a clear line for logs that are none."""

import contextlib
import datetime
import fcntl
import grp
import gzip
import json
import lzma
import os
import pathlib
import pty
import re
import shlex
import shutil
import stat
import struct
import subprocess
import termios
import unittest
import xml.etree.ElementTree as ElementTree
import zoneinfo

from mail_log import MailLog
from plugin_case import NOBODY, PROGRAM, Plugin

OWN = """INSERT INTO policy_group_members (PolicyGroupID, Member)
  VALUES (2, '@example.org');"""


# As `block` writes it.
BLOCK = """INSERT INTO policies (Name, Priority) VALUES ('carbonio-limits block {0}', -1000);
INSERT INTO policy_members (PolicyID, Source, Destination) SELECT max(ID), '{0}', 'any' FROM policies;
INSERT INTO access_control (PolicyID, Name, Verdict, Data) SELECT max(ID), 'block', 'REJECT', 'no'
  FROM policies;"""


class Case(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.sql(OWN)
        self.log = self.home / "mail.log"

    def json(self, *words, **more):
        return json.loads(self.run_it("simulate", *words, "--json", **more))

    def on_a_terminal(self, *words, **streams):
        """What it writes to a terminal of 80 columns; `streams` are elsewhere."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        child = subprocess.Popen([PROGRAM, *words], **{"stdout": its, "stderr": its, **streams},
                                 env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home),
                                      "NO_COLOR": "1", "TERM": "xterm"})
        os.close(its)
        text = b""
        with contextlib.suppress(OSError):  # it ends with EIO
            while part := os.read(ours, 4096):
                text += part
        os.close(ours)
        self.assertEqual(child.wait(timeout=60), 0, text)
        return text.decode()

    def tried(self, log, *words):
        return self.json(*words, log.write(self.log))

    def who(self, result):
        return {account["who"]: (account["refused"], account["mails"], account["peak"])
                for account in result["accounts"]}


class Simulate(Case):
    def test_whom_a_limit_hits_how_often_and_when_first(self):
        log = MailLog()
        for second in range(15):
            log.wait(60).mail("anna@example.org", f"b{second}@example.com")
        log.wait(60).mail("carl@example.org").mail("eve@elsewhere.net", "anna@example.org",
                                                   client="203.0.113.9")
        result = self.tried(log, "10/h")
        self.assertEqual(self.who(result), {"anna@example.org": (5, 15, 15),
                                            "carl@example.org": (0, 1, 1)})
        self.assertEqual([result[key] for key in ("refused", "hit", "found", "messages", "late")],
                         [5, 1, 2, 17, 0])
        mails = self.json("10/h", self.log, "--mails")["mails"]
        self.assertEqual([mail["recipient"] for mail in mails],
                         [f"b{number}@example.com" for number in range(10, 15)])
        self.assertEqual(mails[0]["time"], result["first"])
        text = self.run_it("simulate", "10/h", self.log)
        self.assertIn("It would have refused 5 mails (29 %) of 1 of 2 accounts, first on ", text)
        self.assertRegex(text, r"anna@example.org +10/h +15 +15 +5 \(33 %\) +0 ")
        self.assertNotIn("█", text)  # which is for terminals
        self.assertEqual(self.tried(log, "15/h")["refused"], 0)
        self.assertIn("None of it would have been refused", self.run_it("simulate", "15/h", self.log))

    def test_on_a_terminal_it_fits_eighty_columns_and_has_bars(self):
        log = MailLog()
        for number in range(15):
            log.wait(60).mail("anna.with.a.long.name@department.example.org", f"b{number}@example.com")
            log.mail("carl@example.org")
        log.write(self.log)
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                 "(2, '@department.example.org');")
        text = self.on_a_terminal("simulate", "10/h", self.log)
        self.assertIn("████████", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_how_far_it_is_is_shown_on_a_terminal_alone(self):
        log = MailLog()
        for number in range(2000):
            log.wait(1).mail(f"u{number % 50}@example.org", f"b{number}@example.com")
        self.log.write_bytes(gzip.compress(log.text().encode()) * 1500)  # takes more than a second
        table = self.home / "table"
        with table.open("w") as file:
            shown = self.on_a_terminal("simulate", "1000/h", self.log, stdout=file)
        self.assertRegex(shown, r"^\rReading the log +\d+ % ")
        self.assertTrue(shown.endswith("\r\033[K"), shown)  # it is removed
        self.assertRegex(table.read_text(), r"^Limit: ")
        self.assertNotIn("\r", table.read_text())
        self.assertNotIn("Reading", self.on_a_terminal("simulate", "1000/h", self.log,
                                                       stderr=subprocess.DEVNULL))
        log.write(self.log)
        self.assertNotIn("Reading", self.on_a_terminal("simulate", "1000/h", self.log))

    def test_each_recipient_counts_once_and_content_filters_none(self):
        log = MailLog()
        log.mail("anna@example.org", "a@example.com", "b@example.com", filtered=True)
        log.wait(1).mail("anna@example.org", "c@example.com", filtered=True)
        result = self.tried(log, "2/h")
        self.assertEqual(self.who(result), {"anna@example.org": (1, 3, 3)})
        self.assertEqual(result["messages"], 2)

    def test_per_account_joins_login_and_web_mail(self):
        log = MailLog()
        log.mail("anna@example.org", "a@example.com", login="anna@example.org", client="192.0.2.8")
        log.wait(1).mail("anna@example.org", "b@example.com", client="10.0.0.20")  # web mail
        log.wait(1).mail("other@example.org", "c@example.com", login="anna@example.org",
                         client="192.0.2.8")
        self.assertEqual(list(self.who(self.tried(log, "2/h", "--per", "account")).values()),
                         [(1, 3, 3)])

    def test_sizes(self):
        log = MailLog()
        for number in range(4):
            log.wait(60).mail("anna@example.org", f"b{number}@example.com", size=400 * 1024)
        result = self.tried(log, "1M/h")
        self.assertEqual(self.who(result), {"anna@example.org": (2, 4, 1600)})

    def test_mails_and_refused_are_recipients_whatever_is_counted(self):
        log = MailLog()
        for number in range(3):
            log.wait(60).mail("anna@example.org", *(f"b{number}-{each}@example.com" for each in range(5)),
                              size=2000)
        log.wait(60).mail("anna@example.org", "b0-0@example.com", size=2000)
        log.write(self.log)
        for limit, refused, peak in (("1 message/h", 11, 4), ("2 messages/h", 6, 4),
                                     ("5 distinct/h", 10, 15), ("5/h", 11, 16), ("4KiB/h", 6, 8)):
            self.assertEqual(self.who(self.json(limit, self.log)),
                             {"anna@example.org": (refused, 16, peak)}, limit)
        self.assertRegex(self.run_it("simulate", "1 message/h", self.log),
                         r"anna@example.org +1 message/h +4 +16 +11 \(69 %\) ")

    def test_all_recipients_of_a_message_that_is_too_large_are_refused(self):
        log = MailLog()
        log.mail("anna@example.org", *(f"b{number}@example.com" for number in range(50)), size=9000)
        log.wait(1).mail("carl@example.org", size=2000)
        log.write(self.log)
        for limit in ("5KiB/message", "5KiB/h", "49 recipients/message"):
            result = self.json(limit, "--mails", self.log)
            wanted = 1 if "recipients" in limit else 50
            self.assertEqual((result["refused"], len(result["mails"])), (wanted, wanted), limit)
        self.assertEqual(len({mail["recipient"] for mail in
                              self.json("5KiB/h", "--mails", self.log)["mails"]}), 50)
        self.assertIn("refused 50 mails (98 %) of 1 account, first on",
                      " ".join(self.run_it("simulate", "5KiB/message", self.log).split()))

    def test_a_limit_for_some_has_its_exceptions(self):
        self.run_it("send", "100/h", "--user", "boss@example.org")
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("boss@example.org", f"b{number}@example.com")
            log.mail("anna@example.org", f"b{number}@example.com")
        self.assertEqual(self.who(self.tried(log, "2/h")), {"anna@example.org": (1, 3, 3)})
        self.assertEqual(self.who(self.json("2/h", "--user", "boss@example.org", self.log)),
                         {"boss@example.org": (1, 3, 3)})
        self.assertEqual(self.sql("SELECT count(*) FROM quotas_limits"), ["4"])  # nothing changed

    def test_current_and_a_file(self):
        self.run_it("send", "2/h")
        exported = self.home / "limits.txt"
        exported.write_text(self.run_it("export"))
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com")
        self.assertEqual(self.tried(log, "--current")["refused"], 1)
        self.run_it("set", "3", "3/h")
        self.assertEqual(self.json("--current", self.log)["refused"], 0)
        self.assertEqual(self.json("--against", exported, self.log)["refused"], 1)

    def test_from_login_group_and_client(self):
        self.sql("INSERT INTO policy_groups (Name) VALUES ('sales'); INSERT INTO policy_group_members "
                 "(PolicyGroupID, Member) SELECT max(ID), 'anna@example.org' FROM policy_groups;")
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"a{number}@example.com", client="10.0.0.9")
            log.mail("carl@example.org", f"c{number}@example.com", client="10.0.0.8")
            log.mail("x@example.org", f"x{number}@example.com", client="10.0.0.7", login="scanner")
        log.write(self.log)
        for words in (("--group", "sales"), ("--from", "10.0.0.8"), ("--login", "scanner"),
                      ("--client", "10.0.0.8"),
                      ("--from", "10.0.0.8", "10.0.0.6/31", "--except", "x@example.org")):
            result = self.json("2/h", *words, self.log)
            self.assertEqual(list(self.who(result).values()), [(1, 3, 3)], words)
        mails = self.json("2/h", "--from", "10.0.0.8", "--mails", self.log)["mails"]
        self.assertEqual([mail["recipient"] for mail in mails], ["c2@example.com"])

    def test_a_block_of_today_refuses_no_mail_of_last_week(self):
        self.sql(BLOCK.format("anna@example.org"))
        self.run_it("send", "2/h")
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com")
        self.assertEqual(self.tried(log, "2/h")["refused"], 1)
        self.assertEqual(self.json("--current", self.log)["refused"], 1)

    def test_what_else_is_in_force_is_said(self):
        self.run_it("send", "2/h")
        self.sql("INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod, MessageCountLimit) "
                 "VALUES (1, 'a', 'Sender:user@domain', 0, 1);")
        folder = self.home / "conf"
        folder.mkdir()
        for quotas in (1, 0):
            (folder / "cbpolicyd.conf").write_text(
                f"[database]\nDSN=DBI:SQLite:dbname={self.database}\n[Quotas]\nenable={quotas}\n"
                "[Accounting]\nenable=1\n")
            notes = self.tried(MailLog().mail(), "--current")["notes"]
            self.assertEqual(len(notes), 2 - quotas, notes)
            self.assertIn("1 row of the module Accounting was not tried", notes)
        self.assertIn("Quotas is switched off", notes[0])
        self.assertEqual(self.json("2/h", self.log)["notes"], [])

    def test_new_figures_of_a_limit(self):
        self.run_it("send", "100/h", "--user", "anna@example.org")
        [row] = [row for row in json.loads(self.run_it("list", "--json"))["limits"]
                 if row["who"] == "anna@example.org"]
        limit = str(row["id"])
        self.run_it("off", limit)
        before = self.run_it("export")
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com").mail("carl@example.org")
        result = self.tried(log, "set", limit, "2/h", "9/day")  # as if it was on
        self.assertEqual(self.who(result), {"anna@example.org": (1, 3, 3)})
        self.assertEqual(result["limits"], ["send 2/h,9/day --user anna@example.org"])
        self.assertEqual(self.run_it("export"), before)
        for words, status, answer in (
                (("set",), 1, "the ID is missing"), (("set", limit), 1, "the limit is missing"),
                (("set", "x", "2/h"), 1, "not a valid ID"), (("set", limit, "2/x"), 1, "2/x"),
                (("set", limit, "2/h", "--per", "user"), 1, "keeps its target"),
                (("set", "99", "2/h", self.log), 2, "there is no limit 99")):
            self.assertIn(answer, self.run_it("simulate", *words, status=status), words)

    def test_a_limit_that_only_monitors_shows_what_it_would_refuse(self):
        log = MailLog()
        for number in range(90):
            log.wait(120).mail("anna@example.org", f"b{number}@example.com")
        refused = self.tried(log, "10/h")["refused"]  # 10 pass in each hour
        self.assertEqual(refused, 60)
        result = self.json("10/h", "--verdict", "none", self.log)
        self.assertEqual(result["refused"], refused)
        self.assertEqual(result["limits"], ["send 10/h --everyone --verdict none"])
        self.assertIn("would refuse with verdict defer", " ".join(result["notes"]))
        self.run_it("send", "10/h", "--verdict", "none")
        result = self.json("--current", self.log)
        self.assertEqual((result["refused"], self.who(result)["anna@example.org"]), (0, (0, 90, 30)))
        [note] = result["notes"]
        [command] = re.findall("'carbonio-limits (simulate set .*)' shows", note)
        self.assertEqual(json.loads(self.run_it(*shlex.split(command), self.log, "--json"))["refused"],
                         refused)
        self.run_it("send", "20/h")
        result = self.json("--current", self.log)
        self.assertEqual(result["refused"], 30)

    def test_the_command_for_a_limit_that_only_monitors_has_quotation_marks(self):
        self.run_it("send", "2 messages/h", "--verdict", "none")
        log = MailLog()
        for number in range(3):
            log.wait(60).mail("anna@example.org", f"b{number}@example.com")
        [note] = self.tried(log, "--current")["notes"]
        [command] = re.findall("'carbonio-limits (simulate set .*)' shows", note)
        words = shlex.split(command)
        self.assertEqual(words[-1], "2 messages/h", command)
        self.assertEqual(json.loads(self.run_it(*words, self.log, "--json"))["refused"], 1)

    def test_mail_that_is_rejected_is_not_tried_again(self):
        log = MailLog()
        for number in range(3):
            log.mail(f"x{number}@elsewhere.net", "anna@example.org", client="203.0.113.9")
        log.write(self.log)
        text = " ".join(self.run_it("simulate", "receive", "2/h", "--per", "user", self.log).split())
        self.assertIn("rejected mail is not tried again, and mail programs", text)
        self.assertIn("Mail: less than a minute of mail in 1 file", text)

    def test_programs_do_not_retry_mail_that_is_deferred(self):
        log = MailLog()
        for number in range(3):
            log.wait(35).mail("anna@example.org", f"b{number}@example.com")
        log.write(self.log)
        text = " ".join(self.run_it("simulate", "send", "2/h", self.log).split())
        self.assertIn("None of them would have come later: mail programs and web mail do not retry.", text)
        self.assertIn("Mail: 1 minute of mail in 1 file", text)

    def test_received_mail_comes_late_from_servers_and_not_from_programs(self):
        log = MailLog()
        for number in range(3):
            log.wait(1).mail(f"x{number}@elsewhere.net", "anna@example.org", client="203.0.113.9")
        result = self.tried(log, "receive", "2/h", "--per", "user", "--verdict", "defer")
        self.assertEqual((result["refused"], result["late"]), (1, 1))
        self.assertGreaterEqual(result["longest_wait"], 3500)
        result = self.json("receive", "2/h", "--per", "user", self.log)  # reject
        self.assertEqual((result["refused"], result["late"]), (1, 0))

    def test_tries_of_one_mail_are_one_mail(self):
        log = MailLog()
        log.mail("anna@example.org", "a@example.com")
        for _ in range(3):
            log.wait(600).refused(to="b@example.com")
        log.wait(1800).mail("anna@example.org", "b@example.com")
        # A limit that lets the first try pass has seen two mails; the log had five lines.
        self.assertEqual(self.who(self.tried(log, "100/day")), {"anna@example.org": (0, 2, 2)})
        # One that does not lets the third try pass.
        result = self.json("1/20min", self.log)
        self.assertEqual((result["refused"], result["late"], result["longest_wait"]), (1, 1, 600))
        # Mails in the same minute are several.
        log = MailLog()
        for _ in range(5):
            log.wait(2).refused(to="b@example.com")
        self.assertEqual(self.who(self.tried(log, "2/h")), {"anna@example.org": (3, 5, 5)})

    def test_refusals_by_others_are_no_mail(self):
        log = MailLog().mail().refused(text="Relay access denied")
        self.assertEqual(self.tried(log, "10/h")["recipients"], 1)
        self.run_it("send", "1/h", "--message", "Genug für heute: {limit} je {period}")
        log.refused(text="Genug für heute: 1 je hour")
        self.assertEqual(self.tried(log, "10/h")["recipients"], 2)


class Logs(Case):
    def mails(self):
        log = MailLog()
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com")
        return log

    def test_each_form(self):
        text = self.mails().text().encode()
        packed = {"gz": gzip.compress(text), "xz": lzma.compress(text)}
        if shutil.which("zstd"):
            packed["zst"] = subprocess.run(["zstd", "-c"], input=text, capture_output=True,
                                           check=True).stdout
        for ending, data in packed.items():
            self.log.write_bytes(data)
            self.assertEqual(self.json("2/h", self.log)["refused"], 1, ending)
        self.assertEqual(self.json("2/h", "-", input=text)["refused"], 1)

    def test_traditional_times(self):
        log = MailLog(rfc3339=False)
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com")
        self.assertEqual(self.tried(log, "2/h")["refused"], 1)

    def test_several_files_in_any_order_and_overlapping_hosts(self):
        log = self.mails()
        first = self.home / "mail.log.1"
        first.write_text("\n".join(log.lines[:5]) + "\n")
        self.log.write_text("\n".join(log.lines[5:]) + "\n")
        self.assertEqual(self.json("2/h", self.log, first)["refused"], 1)
        other = MailLog(host="mta2")
        other.wait(1).mail("anna@example.org", "z@example.com")
        other.write(first)
        result = self.json("2/h", self.log, first)
        self.assertEqual(result["messages"], 3)

    def test_limits_per_message_count_nothing_and_know_the_largest(self):
        log = MailLog()
        for size in (2000, 5000, 3000):
            log.wait(1).mail(size=size)
        log.mail("carl@example.org", *(f"b{number}@example.com" for number in range(4)), size=900)
        log.write(self.log)
        text = " ".join(self.run_it("simulate", "1KiB/message", self.log).split())
        self.assertIn("refused 3 mails (43 %) of 1 account, first on", text)
        self.assertRegex(text, r"anna@example.org 1KiB/message 5K - 3 0 ")
        [account] = self.json("1KiB/message", self.log)["accounts"]
        self.assertEqual((account["peak"], account["mails"], account["refused"]), (5, None, 3))
        self.assertIn(",5,,3,0,", self.run_it("simulate", "1KiB/message", self.log, "--csv"))
        [account] = self.json("3 recipients/message", self.log)["accounts"]
        self.assertEqual((account["who"], account["peak"], account["mails"], account["refused"]),
                         ("carl@example.org", 4, None, 1))
        text = self.run_it("simulate", "4 recipients/message", self.log)
        self.assertIn("None of it would have been refused.", text)

    def test_a_copy_of_a_file_counts_once(self):
        log = self.mails()
        log.refused(to="r@example.com").write(self.log)
        copy = self.home / "mail.log.1.save"
        log.write(copy)
        once = self.json("2/h", self.log)
        twice = self.json("2/h", self.log, copy)
        self.assertIn(f"{once['messages']} messages are in the log twice, as in a copy of a file, and "
                      "counted once", twice["notes"])
        for figure in ("messages", "recipients", "refused", "accounts"):
            self.assertEqual(twice[figure], once[figure])

    def test_since(self):
        log = self.mails().wait(3600 * 24)
        for number in range(3):
            log.wait(1).mail("anna@example.org", f"c{number}@example.com")
        log.write(self.log)
        self.assertEqual(self.json("2/h", self.log)["refused"], 2)
        since = log.time.strftime("%Y-%m-%d")
        self.assertEqual(self.json("2/h", self.log, "--since", since)["refused"], 1)
        self.assertEqual(self.json("2/h", self.log, "--since", "31day")["refused"], 2)
        self.assertIn("more than 10 years ago", self.run_it("simulate", "2/h", self.log, "--since",
                                                            "11000day", status=1))
        self.assertIn("not a valid time", self.run_it("simulate", "2/h", self.log, "--since", "x",
                                                      status=1))

    def test_what_was_left_out_is_said(self):
        log = self.mails()
        log.lines[3:3] = ["rubbish without a time"]
        log.wait(3600 * 36).mail("anna@example.org", "late@example.com")
        log.wait(-3600).mail("anna@example.org", "early@example.com")
        log.line("postfix/smtpd", "ABCDEF1: client=pc[10.0.0.9]")
        log.write(self.log)
        notes = " ".join(self.json("100/h", self.log)["notes"])
        for words in ("1 line could not be read, such as 'rubbish without a time'",
                      "no line for 1.5 days", "times go back once", "1 message was left out"):
            self.assertIn(words, notes)

    def test_a_file_that_ends_in_the_middle_of_a_gzip_block(self):
        log = self.mails()
        for number in range(2000):
            log.wait(1).mail(f"u{number * 7919 % 1000}@example.org", f"v{number}@example.com")
        data = gzip.compress(log.text().encode())
        self.log.write_bytes(data[:len(data) // 2])
        result = self.json("1000/h", self.log)
        self.assertIn("ends in the middle of compressed data; what comes before that was read",
                      " ".join(result["notes"]))
        self.assertGreater(result["messages"], 500)

    def test_bad_logs(self):
        empty = self.home / "empty.log"
        empty.write_text("")
        none = self.home / "none.log"
        none.write_text("Nov 20 10:00:00 web nginx[1]: started\n")
        wrong = self.home / "wrong.log"
        wrong.write_bytes(os.urandom(5000))
        for file, words in ((self.home / "missing.log", "No such file or directory"),
                            (self.home, "it is a folder; name the files in it"),
                            (empty, "empty.log is empty"),
                            (none, "no line of Postfix, as on a host that is no MTA"),
                            (wrong, "is not a syslog file; the first line is")):
            self.assertIn(words, self.run_it("simulate", "2/h", file, status=2), file)
        self.assertIn("there is no mail log /var/log/carbonio.log",
                      self.run_it("simulate", "2/h", status=2))

    @unittest.skipIf(os.geteuid() != 0, "takes root to be another user")
    def test_a_log_that_may_not_be_read(self):
        self.mails().write(self.log)
        self.log.chmod(0o640)
        for path in [self.database.parent, *self.database.parent.glob("*")]:
            os.chown(path, NOBODY, NOBODY)
        line = self.run_it("simulate", "2/h", self.log, status=2, user=NOBODY, group=NOBODY,
                           extra_groups=[])
        self.assertIn("Permission denied; run this as root\n", line)  # whose group it is
        # The log is read as root, who then becomes the owner of the database.
        self.assertEqual(self.json("2/h", self.log)["refused"], 1)

    ETC = r"""
        mount --bind "$1/etc" /etc
        say() { setpriv --reuid limitsadmin --regid limitsadmin --init-groups "$@"; }
        for words in "simulate 2/h $2" "history x@example.org --mail-log $2"; do
          ! say "$3" $words --json 2>"$1/message" || exit 9
          cat "$1/message" >&2
        done
        $(sed -n "s/.*after '\(.*\)' and a new login$/\1/p" "$1/message")
        say "$3" simulate 2/h "$2" --json
        """

    @unittest.skipIf(os.geteuid() != 0 or not shutil.which("unshare"), "takes root and unshare")
    def test_the_command_for_a_log_that_may_not_be_read(self):
        self.mails().write(self.log)
        self.log.chmod(0o640)
        os.chown(self.log, 0, grp.getgrnam("adm").gr_gid)
        etc = self.home / "etc"
        subprocess.run(["cp", "-a", "/etc", etc], check=True)
        for file, line in (("passwd", "limitsadmin:x:23456:23456::/nonexistent:/bin/sh"),
                           ("group", "limitsadmin:x:23456:"), ("shadow", "limitsadmin:!:19000::::::")):
            with (etc / file).open("a") as users:
                users.write(line + "\n")
        for path in [self.database.parent, *self.database.parent.glob("*")]:
            os.chown(path, 23456, 23456)

        def files():
            return {path.name: path.read_bytes() for path in etc.iterdir()
                    if path.is_file() and not path.name.endswith("-")}

        before = files()
        done = subprocess.run(["unshare", "--mount", "sh", "-ec", self.ETC, "sh", self.home, self.log,
                               PROGRAM], capture_output=True, text=True, timeout=120,
                              env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("Permission denied; run this as root, or as a member of the "
                                           "group adm, after 'usermod -aG adm limitsadmin' and a new "
                                           "login\n"), 2, done.stderr)
        self.assertEqual(json.loads(done.stdout)["refused"], 1)
        changed = {name for name, text in files().items() if before.get(name) != text}
        self.assertLessEqual(changed, {"group", "gshadow", ".pwd.lock"})
        lines = set(files()["group"].split(b"\n")) - set(before["group"].split(b"\n"))
        self.assertEqual([line.split(b":")[0] for line in lines], [b"adm"])

    @unittest.skipUnless(os.path.exists("/usr/share/zoneinfo/Europe/Berlin"), "no time zones here")
    def test_the_hour_that_comes_twice_when_summer_ends(self):
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
        day = datetime.datetime.now(zone).replace(hour=12, minute=0, second=0)
        while day.utcoffset() == (day - datetime.timedelta(days=1)).utcoffset() or day.dst():
            day -= datetime.timedelta(days=1)
        log = MailLog(rfc3339=False)
        for time in range(2):
            for minute in (10, 20, 30):
                log.time = day.replace(hour=2, minute=minute)
                log.mail("anna@example.org", f"b{time}-{minute}@example.com")
        log.write(self.log)
        done = subprocess.run(
            [PROGRAM, "simulate", "3/40min", self.log, "--json"], capture_output=True, check=True,
            timeout=60, env={"ZEXTRAS_HOME": str(self.home), "TZ": "Europe/Berlin"})
        result = json.loads(done.stdout)
        self.assertEqual((result["messages"], result["refused"], result["notes"]), (6, 0, []))

    def test_lines_without_end_and_queue_ids_that_never_end(self):
        with self.log.open("w") as file:
            file.write("x" * 1_000_000 + "\n")
            log = MailLog()
            for _ in range(110_000):
                log.line("postfix/smtpd", f"{log.queue_id()}: client=pc[10.0.0.9]")
            file.write(log.text())
            file.write(self.mails().text())
        result = self.json("2/h", self.log)
        self.assertEqual(result["refused"], 1)
        self.assertIn("queue IDs without an end were forgotten", " ".join(result["notes"]))


class Forms(Case):
    def setUp(self):
        super().setUp()
        log = MailLog()
        for number in range(12):
            log.wait(600).mail("<anna&\"x'@example.org".replace("<", "").replace("\"", ""),
                               f"b{number}@example.com")
            log.mail("carl@example.org")
        log.write(self.log)

    def test_csv(self):
        lines = self.run_it("simulate", "4/h", self.log, "--csv").splitlines()
        self.assertEqual(lines[0], "who,id,rate,limit,peak,mails,refused,late,first")
        self.assertEqual(len(lines), 3)
        self.assertEqual({len(line.split(",")) for line in lines}, {9})
        self.assertEqual(self.run_it("simulate", "4/h", self.log, "--csv", "--top", "1").splitlines(),
                         lines[:2])

    def test_csv_has_no_formulas(self):
        log = MailLog()
        names = ("=1+1@example.org", "+a@example.org", "-2+3@example.org", "@sum(1+9)@example.org")
        for name in names:
            log.mail(name)
        lines = self.run_it("simulate", "4/h", log.write(self.log), "--csv").splitlines()
        self.assertEqual({line.split(",")[0] for line in lines[1:]}, {f"'{name}" for name in names})

    @unittest.skipUnless(os.path.exists("/usr/share/zoneinfo/Asia/Kolkata"), "no time zones here")
    def test_hours_of_a_zone_with_half_an_hour(self):
        log = MailLog()
        log.wait(600).mail().wait(1800).mail()  # at 13:40 and 14:10
        picture = self.run_it("TZ=Asia/Kolkata", PROGRAM, "simulate", "4/h", log.write(self.log), "--svg",
                              "-", program="env")
        self.assertEqual(re.findall(r"<title>\S+ ([^<]+)</title>", picture), ["13:00: 1", "14:00: 1"])

    def test_a_picture_is_complete_and_escaped(self):
        picture = self.home / "peaks.svg"
        picture.write_text("x" * 100_000)  # which is replaced
        self.run_it("simulate", "4/h", self.log, "--svg", picture)
        text = picture.read_text()
        root = ElementTree.fromstring(text)
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assertIn("class=\"l\"", text)  # the limit
        self.assertIn("anna&amp;x&#39;@example.org", text)
        self.assertEqual(re.findall(r"(?:href|src|url)\b", text), [])
        self.run_it("simulate", "4/h", self.log, "--svg", picture, "--hours", "carl@example.org")
        self.assertIn("carl@example.org, mails by hour", picture.read_text())
        page = self.home / "page.html"
        self.run_it("simulate", "4/h", self.log, "--html", page)
        self.assertIn('<pre style="white-space:pre-wrap">', page.read_text())
        text = page.read_text()
        self.assertIn("<svg", text)
        self.assertNotIn("anna&x", text)
        self.assertEqual(stat.S_IMODE(page.stat().st_mode) & 0o111, 0)
        self.assertIn("nothing was counted for 'nobody'",
                      self.run_it("simulate", "4/h", self.log, "--svg", picture, "--hours",
                                  "nobody", status=1))
        self.assertIn("cannot write", self.run_it("simulate", "4/h", self.log, "--svg",
                                                  self.home / "no/such.svg", status=2))
        text = picture.read_text()
        new = self.home / "new.svg"
        for file in (picture, new):
            self.run_it("simulate", "4/h", self.home / "missing.log", "--svg", file, status=2)
        self.assertFalse(new.exists())
        self.assertEqual(picture.read_text(), text)

    def test_a_picture_on_standard_output(self):
        picture = self.run_it("simulate", "4/h", self.log, "--svg", "-")
        self.assertEqual(ElementTree.fromstring(picture).tag, "{http://www.w3.org/2000/svg}svg")
        self.assertEqual(self.json("4/h", self.log, "--svg", "-")["svg"], picture)
        self.assertFalse(pathlib.Path("-").exists())
        self.assertIn("cannot be combined", self.run_it("simulate", "4/h", self.log, "--svg", "-", "--csv",
                                                        status=1))

    def test_a_page_on_standard_output(self):
        page = self.home / "page.html"
        self.run_it("simulate", "4/h", self.log, "--html", page)
        self.assertEqual(self.run_it("simulate", "4/h", self.log, "--html", "-"), page.read_text())
        self.assertFalse(pathlib.Path("-").exists())
        for other in (("--csv",), ("--json",), ("--svg", "-")):
            self.assertIn("cannot be combined",
                          self.run_it("simulate", "4/h", self.log, "--html", "-", *other, status=1))

    def test_wrong_use(self):
        for words, answer in (
                ((), "the limit is missing"), (("--current", "4/h"), "only one of them"),
                (("4/h", "--json", "--csv"), "cannot be combined"),
                (("4/h", "--mails", "--csv"), "cannot be combined"),
                (("4/h", "--hours", "x"), "--hours is for a picture"),
                (("4/h", "--top", "0"), "not a valid --top"),
                (("4/x",), "4/x"), (("4/h", "--per", "moon"), "not a valid --per")):
            self.assertIn(answer, self.run_it("simulate", *words, self.log, status=1), words)


class SessionTracking(Case):
    def test_is_read_where_there_is_no_log(self):
        for number in range(3):
            self.sql("INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, "
                     f"Sender, Size, RecipientData) VALUES ('i{number}', 'Q{number}', "
                     f"strftime('%s', 'now') - 100 + {number}, '10.0.0.9', 'anna@example.org', 3, "
                     f"'/<b{number}@example.com>#0=1;');")
        result = self.json("2/h")
        self.assertEqual((result["source"], result["refused"]), ("session_tracking", 1))
        self.assertIn("has no mail that was refused for all its recipients",
                      " ".join(result["notes"]))


if __name__ == "__main__":
    unittest.main()
