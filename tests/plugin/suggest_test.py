#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`suggest`: figures from a log, exceptions as ready lines, limits that only watch, and what they
have seen. Each printed command is typed."""

import json
import re
import shlex
import unittest

from mail_log import MailLog
from plugin_case import Plugin
from simulate_test import BLOCK, OWN


class Suggest(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.sql(OWN)
        self.log = self.home / "mail.log"

    def usual(self, days=7):
        """Ten accounts that send up to 20 a day, and a newsletter with 500."""
        log = MailLog(days_ago=10)
        for day in range(days):
            for number in range(20):
                for account in range(10):
                    if number < 2 * account + 1:
                        log.mail(f"u{account}@example.org", f"b{day}-{number}@example.com")
                log.wait(600)
            for number in range(500):
                log.wait(2).mail("news@example.org", f"n{day}-{number}@example.com")
            log.wait(86_400 - 20 * 600 - 1000)
        return log.write(self.log)

    def json(self, *words):
        return json.loads(self.run_it("suggest", *words, "--json"))

    def type(self, command):
        words = shlex.split(command)
        self.assertEqual(words[0], "carbonio-limits")
        return self.run_it(*words[1:])

    def test_figures_above_the_peaks_and_exceptions_as_lines(self):
        self.usual()
        result = self.json(self.log, "--hit", "10%")
        self.assertEqual(result["commands"],
                         ["carbonio-limits send 10/min,30/h,100/day --everyone",
                          "carbonio-limits send 40/min,600/h,1200/day --user news@example.org"])
        self.assertEqual((result["refused"], result["a_day"], result["today_a_day"]), (0, 100, None))
        self.assertEqual(result["accounts"][0]["who"], "news@example.org")
        text = self.run_it("suggest", self.log, "--hit", "10%")
        self.assertIn("An account without a limit of its own that is hacked could then send at most 100 "
                      "mails a day, where today no limit per user holds", text.replace("\n", " "))
        for command in result["commands"]:
            self.assertIn(f"    {command}\n", text)
            self.type(command)
        simulated = json.loads(self.run_it("simulate", "--current", self.log, "--json"))
        self.assertEqual(simulated["refused"], 0)
        self.assertEqual(self.json(self.log, "--hit", "10%")["today_a_day"], 100)

    def test_a_share_of_nobody_says_who_decides(self):
        self.usual(days=1)
        text = self.run_it("suggest", self.log).replace("\n", " ")
        self.assertIn("carbonio-limits send 40/min,600/day", text)
        self.assertIn("news@example.org alone sends 500 a day", text)
        self.assertIn("less than a day is little", text)

    def test_who_cannot_be_named_is_noted_and_gets_no_limit(self):
        log = MailLog(days_ago=10)
        for number in range(300):
            log.wait(60).mail('"a@b"@example.org', f"b{number}@example.com")
            log.mail("news@example.org", f"n{number}@example.com")
        for number in range(8):
            log.mail(f"u{number}@example.org")
        log.write(self.log)
        result = self.json(self.log, "--hit", "20%")
        self.assertEqual(len(result["commands"]), 2)
        [above] = [note for note in result["notes"] if "no option gives it a limit" in note]
        self.assertFalse(above.endswith("."))
        self.assertIn("less than a day is little: figures from a week or more hold better",
                      result["notes"])
        text = " ".join(self.run_it("suggest", self.log, "--hit", "20%").split())
        self.assertIn("; 1 account is above the first line (at most 20 % of all) and gets a limit of "
                      "its own:", text)
        for note in result["notes"]:
            self.assertIn(f"{note}.", text)

    def test_what_has_a_counter_is_named(self):
        MailLog(days_ago=10).mail().write(self.log)
        for per, noun in (("user", "account"), ("login", "account"), ("domain", "domain"),
                          ("client", "client")):
            log = MailLog(days_ago=10).mail(login="anna@example.org" if per == "login" else "")
            text = " ".join(self.run_it("suggest", "--per", per, log.write(self.log)).split())
            self.assertIn(f"1 recipient, 1 {noun}.", text)
            self.assertIn(f"of all {noun}s could have had a limit", text)

    def test_watching_and_review(self):
        self.usual()
        self.assertIn("No limit only monitors", self.run_it("suggest", "--review"))
        before = self.dump()
        [typed] = [line.strip() for line in
                   self.run_it("suggest", "--hit", "10%", "--", self.log).splitlines()
                   if line.startswith("    carbonio-limits suggest")]
        self.assertEqual(self.dump(), before)
        text = self.type(typed)
        self.assertIn("carbonio-limits suggest --review", text.replace("\n", " "))
        rows = self.sql("SELECT count(*), count(Verdict) FROM quotas WHERE ID > 2")
        self.assertEqual(rows, ["6|0"])
        watched = json.loads(self.run_it("suggest", "--review", "--json"))["watched"]
        self.assertEqual([each["times"] for each in watched], [0, 0])
        limit = self.sql("SELECT ID FROM quotas_limits WHERE ID > 3 LIMIT 1")[0]
        self.sql("INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, "
                 "FirstSeen, LastSeen, Times) VALUES (strftime('%s', 'now') / 60, 'watched', "
                 f"'Quotas', {limit}, 'Sender:anna@example.org', 'none', "
                 "strftime('%s', 'now') * 1000, strftime('%s', 'now') * 1000, 7);")
        text = self.run_it("suggest", "--review")
        self.assertIn("7 mails came while it was used up, since ", " ".join(text.split()))
        self.assertIn("anna@example.org (7)", text)
        simulated = [line for line in text.splitlines() if "carbonio-limits simulate" in line]
        self.assertEqual(len(simulated), 1)
        self.assertIn("10 accounts had mail that counts", self.type(f"{simulated[0]} {self.log}"))
        for line in text.splitlines():
            if line.startswith("    carbonio-limits") and line not in simulated:
                self.type(line.strip())
        self.assertEqual(self.sql("SELECT count(*) FROM quotas WHERE ID > 2 AND Verdict IS NULL"),
                         ["0"])
        self.assertIn("No limit only monitors", self.run_it("suggest", "--review"))

    def watch(self, limit, times=0):
        """Makes a limit that only monitors, and what it has noted; the text of --review."""
        self.run_it("send", limit, "--verdict", "none")
        if times != 0:
            self.sql("INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, "
                     "FirstSeen, LastSeen, Times) SELECT strftime('%s', 'now') / 60, 'watched', "
                     "'Quotas', max(ID), 'Sender:anna@example.org', 'none', strftime('%s', 'now') * "
                     f"1000, strftime('%s', 'now') * 1000, {times} FROM quotas_limits;")
        return self.run_it("suggest", "--review")

    def test_commands_of_review_have_quotation_marks(self):
        self.usual(days=1)
        commands = [line.strip() for line in self.watch("3 messages/h", 7).splitlines()
                    if line.startswith("    carbonio-limits")]
        self.assertIn("carbonio-limits simulate set", commands[0])
        self.assertEqual(shlex.split(commands[0])[-1], "3 messages/h")
        self.assertIn("It would have refused", self.type(f"{commands[0]} {self.log}"))
        for command in commands[1:]:
            self.type(command)

    def test_what_review_says_is_true_of_limits_without_mail_and_of_each_message(self):
        self.assertIn("No mail above it is on record so far.", self.watch("3/h"))
        self.assertNotIn("30 days", self.run_it("suggest", "--review"))
        self.run_it("remove", self.sql("SELECT max(ID) FROM quotas")[0])
        text = " ".join(self.watch("5KiB/message", 7).split())
        self.assertIn("7 mails were above it, since ", text)
        self.assertIn("This shows how many it would have refused:", text)
        self.assertNotIn("does not count", text)

    def limits(self):
        return {limit["id"]: limit for limit in json.loads(self.run_it("list", "--json"))["limits"]}

    def test_review_changes_only_what_it_says(self):
        self.usual()
        for words in (("send", "100/h"), ("send", "700/day", "--user", "news@example.org"),
                      ("receive", "125/min")):
            self.run_it(*words)
        before = self.limits()
        words = ("suggest", self.log, "--hit", "10%", "--apply-watching")
        self.run_it(*words)
        watched = self.limits()
        self.assertEqual({number: watched[number] for number in before}, before)
        self.assertEqual(len(watched), len(before) + 2)
        self.run_it(*words)
        self.assertEqual(self.limits(), watched)
        text = self.run_it("suggest", "--review")
        flat = " ".join(text.split())
        send, news, receive = list(before)[-3:]
        self.assertIn(f"which changes limit {send}: 100/h → 10/min,30/h,100/day:", flat)
        self.assertIn(f"which changes limit {news}: 700/day → 40/min,600/h,1200/day:", flat)
        found = json.loads(self.run_it("suggest", "--review", "--json"))["watched"]
        self.assertEqual([each["changes"].split(":")[0] for each in found],
                         [f"limit {send}", f"limit {news}"])
        for line in text.splitlines():
            if line.startswith("    carbonio-limits"):
                self.type(line.strip())
        after = self.limits()
        self.assertEqual(list(after), list(before))
        self.assertEqual({number for number in before if after[number] != before[number]},
                         {send, news})
        self.assertEqual(after[receive], before[receive])

    def test_review_says_what_its_command_takes_away_from_other_limits(self):
        self.run_it("send", "40/h")
        self.run_it("send", "100/day", "--user", "anna@example.org", "--verdict", "none")
        text = " ".join(self.run_it("suggest", "--review").split())
        self.assertIn("Note: 40/h of limit 3 (for everyone) will no longer apply to "
                      "anna@example.org, which gets a limit of its own. To keep both: ", text)
        [watched] = json.loads(self.run_it("suggest", "--review", "--json"))["watched"]
        [warning] = watched["warnings"]
        self.assertIn(warning, text)
        [kept] = re.findall("To keep both: '(carbonio-limits send .*?)'", text)
        typed = self.type(kept)
        self.assertNotIn("Warning", typed)
        self.assertIn("40/h", str(self.limits()))
        self.run_it("remove", str(watched["id"]))
        self.assertIn("No limit only monitors", self.run_it("suggest", "--review"))

    def test_a_limit_that_watches_already_is_changed_with_a_warning(self):
        self.usual(days=1)
        self.run_it("send", "5/10min", "--verdict", "none")
        before = set(self.limits())
        text = " ".join(self.run_it("suggest", self.log, "--hit", "10%", "--apply-watching").split())
        self.assertIn("Warning: this takes 5/10min away from limit", text)
        self.assertEqual(text.count("Warning: "), 1)
        [kept] = re.findall("To keep all: '(carbonio-limits send .*?)'", text)
        self.assertEqual(kept, "carbonio-limits send 10/min,5/10min,30/h,100/day --everyone --verdict none")
        self.type(kept)
        self.assertEqual(len(set(self.limits()) - before), 1)

    def test_the_share_that_it_names_is_one_account(self):
        log = MailLog(days_ago=10)
        for number in range(500):
            log.wait(60).mail("news@example.org", f"n{number}@example.com")
        for account in ("anna", "carl"):
            log.mail(f"{account}@example.org")
        log.write(self.log)
        text = self.run_it("suggest", self.log)
        share = re.search(r"--hit\s+([0-9.]+%)", text)[1]
        commands = self.json(self.log, "--hit", share)["commands"]
        self.assertEqual(len(commands), 2)
        self.assertTrue(commands[1].endswith(" --user news@example.org"), commands)

    def test_bounds_of_the_share(self):
        MailLog(days_ago=10).mail().write(self.log)
        for share, wanted in (("0", 0), ("0%", 0), ("0.0001%", 1e-6), ("100%", 1), ("1e1", 0.1)):
            self.assertAlmostEqual(self.json(self.log, f"--hit={share}")["share"], wanted)
        for share in ("100.01%", "-1%", "nan", "inf", "%", "0.5 %", "5%%", "1e-400", "1e400", "x" * 5000):
            self.assertIn("not a valid --hit: ",
                          self.run_it("suggest", self.log, f"--hit={share}", status=1), share)

    def test_who_is_blocked_gets_no_limit_of_its_own(self):
        self.usual(days=1)
        self.sql(BLOCK.format("news@example.org"))
        result = self.json(self.log, "--hit", "10%")
        self.assertEqual(result["commands"], ["carbonio-limits send 10/min,30/h,100/day --everyone"])
        self.assertIn("news@example.org is blocked now, so its peaks are no part of the figures",
                      result["notes"])
        self.assertEqual(result["refused"], 470)
        self.assertNotIn("news@example.org", [each["who"] for each in result["accounts"]])
        MailLog(days_ago=10).mail("news@example.org").write(self.log)
        self.assertIn("is of those who are blocked now", self.run_it("suggest", self.log, status=2))

    def test_who_is_blocked_is_left_out_under_all_names(self):
        for who, other in (("news", "news@example.org"), ("news@example.org", "news"),
                           ("carl@example.org", "news")):
            with self.subTest(who=who):
                log = MailLog(days_ago=10)
                for login in ("news", "news@example.org", "carl@example.org"):
                    for _ in range(100):
                        log.mail("news@example.org", login=login)
                for number in range(20):
                    log.mail(f"u{number}@example.org", login=f"u{number}@example.org")
                log.write(self.log)
                self.sql(BLOCK.format(who) + "INSERT INTO policy_members (PolicyID, Source, "
                         f"Destination) SELECT max(ID), '${other}', 'any' FROM policies;")
                accounts = self.json(self.log, "--per", "account")["accounts"]
                named = [each["who"] for each in accounts]
                self.assertEqual([name for name in (who, other) if f"login {name}" in named], [])
                self.assertEqual(len(named), 21)
                self.sql("DELETE FROM policies WHERE Priority = -1000; DELETE FROM policy_members "
                         "WHERE PolicyID NOT IN (SELECT ID FROM policies); DELETE FROM "
                         "access_control;")

    def test_of_received_mail(self):
        log = MailLog(days_ago=10)
        for number in range(300):
            log.wait(60).mail(f"x{number}@elsewhere.net", "anna@example.org", client="203.0.113.9")
        log.write(self.log)
        text = " ".join(self.run_it("suggest", "receive", self.log).split())
        self.assertIn("A domain could then receive at most 400 mails a day, where today no limit per "
                      "domain holds", text)
        [command] = self.json("receive", self.log)["commands"]
        self.assertIn(f" {command} ", text)
        self.type(command)
        self.assertIn("instead of 400 by today's limit",
                      " ".join(self.run_it("suggest", "receive", self.log).split()))

    def test_who_could_send_how_much_and_who_receives_most(self):
        log = MailLog(days_ago=10)
        for number in range(300):
            log.wait(60).mail(f"x{number}@elsewhere.net", "anna@example.org", client="203.0.113.9")
        log.mail("x@elsewhere.net", "carl@example.org").mail()
        log.write(self.log)
        text = " ".join(self.run_it("suggest", "receive", "--per", "user", self.log).split())
        self.assertIn("anna@example.org alone receives 300 a day, the next 1;", text)
        for per, who in (("client", "A client"), ("domain", "A domain"),
                         ("user", "An account that is hacked")):
            text = " ".join(self.run_it("suggest", "--per", per, self.log).split())
            self.assertIn(f"{who} could then send at most 100 mails a day", text)

    def test_of_standard_input(self):
        text = self.run_it("suggest", "-", input=MailLog(days_ago=10).mail().text().encode())
        self.assertIn("before they refuse mail, with the same input:", " ".join(text.split()))

    def test_per_account(self):
        log = MailLog(days_ago=10)
        for number in range(300):
            log.wait(60).mail("x@example.org", f"b{number}@example.com", login="scanner")
        for account in range(20):
            log.mail(f"u{account}@example.org", "b@example.com", login=f"u{account}@example.org")
        log.write(self.log)
        commands = self.json(self.log, "--per", "account", "--hit", "5%")["commands"]
        self.assertEqual(len(commands), 2)
        self.assertIn("--login scanner", commands[1])
        for command in commands:
            self.type(command)
        simulated = json.loads(self.run_it("simulate", "--current", self.log, "--json"))
        self.assertEqual(simulated["refused"], 0)

    def test_wrong_use(self):
        self.usual(days=1)
        for words, answer in (
                (("--hit", "x"), "not a valid --hit"), (("--hit", "101%"), "not a valid --hit"),
                (("--per", "moon"), "not a valid --per"),
                (("receive", "--per", "account"), "choose user, domain or client"),
                (("--apply-watching", "--json"), "cannot be combined"),
                (("--review",), "reads no mail log")):
            self.assertIn(answer, self.run_it("suggest", *words, self.log, status=1), words)
        self.sql("DELETE FROM policy_group_members;")
        self.assertIn("none of the mail would count", self.run_it("suggest", self.log, status=2))


if __name__ == "__main__":
    unittest.main()
