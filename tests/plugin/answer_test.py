#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`answer`: steps of limits (--then) and of signals. A real daemon refuses mail, and events and
messages of other times are put in as rows; each step is taken once, is an event, a notice with the
command that undoes it, and can be undone; a mistake does not stop a company."""

import datetime
import email
import email.policy
import fcntl
import json
import os
import pathlib
import re
import shlex
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import DaemonTest, eventually, insert, policy, quota  # noqa: E402
import mmdb  # noqa: E402
from mail_log import MailLog  # noqa: E402

HOUR, DAY = 3600, 86400
BLOCKED = "REJECT Sending is blocked for this account; please contact your administrator"
LOGIN = {"sasl_username": "alice@example.org"}


class Case(DaemonTest):
    settings = "[block]\nafter=3\n"

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(10_000))
        self.daemon.config.with_name("carbonio-limits.conf").write_text(self.settings)
        owner = self.daemon.database.stat()
        os.chown(self.daemon.folder / "data/cbpolicyd", owner.st_uid, owner.st_gid)
        self.daemon.sql("DELETE FROM policy_group_members WHERE Member = '@example.com';")

    def say(self, *words, status=0):
        done = self.daemon.command(*words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        return done.stdout + done.stderr

    def due(self):
        return self.say("answer", "--due")

    def limit_id(self):
        """Of the limit with steps."""
        [limit] = [each for each in json.loads(self.say("list", "--json"))["limits"] if each["then"]]
        return limit["id"]

    def refuse(self, times, **attributes):
        for _ in range(times):
            self.assertRegex(self.daemon.ask(**attributes), "^(DEFER|REJECT) ")

    def wait_for_refusals(self, times):
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT coalesce(sum(Times), 0) FROM limits_events WHERE Kind = 'refused' AND Module = "
            "'Quotas'") == [(times,)]))

    def put_refusal(self, ago, times=1, key="SASLUsername:alice@example.org", row=None):
        time.sleep(0.002)  # one in the millisecond of the last step came before it
        at = int((time.time() - ago) * 1000)
        self.rows = getattr(self, "rows", 0) + 1
        minute = int(time.time()) // 60 - 3 * self.rows  # those of a minute would be one
        row = row or self.daemon.query("SELECT max(ID) FROM quotas_limits")[0][0]
        self.daemon.sql(
            "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
            f"LastSeen, Times) VALUES ({minute}, 'refused', 'Quotas', {row}, '{key}', 'defer', "
            f"{at}, {at}, {times});")

    def put_messages(self, number, ago=60, spread=1, **columns):
        values = {"ClientAddress": "198.51.100.7", "SASLUsername": "", "Sender": "x@example.org",
                  **columns}
        self.messages = getattr(self, "messages", 0)
        rows = []
        for _ in range(number):
            self.messages += 1
            words = {name: value.format(self.messages) for name, value in values.items()}
            at = int(time.time() - ago - (self.messages % spread))
            rows.append(f"('m.{self.messages}', 'Q{self.messages}', {at}, '{words['ClientAddress']}', "
                        f"'{words['SASLUsername']}', '{words['Sender']}')")
        self.daemon.sql("INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, "
                        f"ClientAddress, SASLUsername, Sender) VALUES {', '.join(rows)};")

    def blocked(self):
        return {each["who"]: each for each in json.loads(self.say("blocked", "--json"))["blocked"]
                if each["in_force"]}

    def steps(self):
        return self.daemon.query("SELECT Kind, Who, TrackKey, Verdict, Detail FROM limits_events "
                                 "WHERE Verdict <> '' AND Kind IN ('locked', 'suspect') ORDER BY ID")


class Limits(Case):
    def limit(self, then="block:1h", *more):
        self.say("send", "1/h", "--per", "account", "--anyone", "--then", then, *more)

    def test_refused_so_many_times_in_a_row(self):
        self.limit()
        self.daemon.ask(**LOGIN)
        self.refuse(2, **LOGIN)
        self.wait_for_refusals(2)
        self.assertEqual(self.due(), "")
        self.refuse(1, **LOGIN)
        self.wait_for_refusals(3)
        self.assertIn("alice@example.org: block:1h, refused 3 times in a row",
                      self.say("answer", "--dry-run"))
        self.assertEqual(self.blocked(), {})
        self.assertIn("alice@example.org: block:1h, refused 3 times in a row", self.due())
        block = self.blocked()["alice@example.org"]
        self.assertEqual((block["by"], block["until"] - block["since"]),
                         (f"limit {self.limit_id()}", HOUR))
        for attributes in (LOGIN, {"sender": "x@example.net", "sasl_username": "alice"}, {}):
            self.assertEqual(self.daemon.ask(**attributes), BLOCKED)
        self.assertEqual(self.daemon.ask(sasl_username="bob@example.org", sender="b@example.org"),
                         "DUNNO")
        self.assertEqual(self.due(), "")
        self.assertEqual(self.steps(), [("locked", f"limit {self.limit_id()}",
                                         "SASLUsername:alice@example.org", "block:1h",
                                         "refused 3 times in a row")])
        self.assertRegex(self.say("answer"), r"(?m)alice@example\.org +block:1h +limit")

    def test_twice_in_a_day(self):
        self.limit()
        self.put_refusal(5 * HOUR)
        self.assertEqual(self.due(), "")
        self.put_refusal(60)
        self.assertIn("refused for the second time in a day", self.due())
        self.assertEqual(set(self.blocked()), {"alice@example.org"})

    def test_an_admin_who_has_freed_someone_is_not_overruled(self):
        """By a reset, a higher limit or a pause."""
        self.limit()
        number = str(self.limit_id())
        self.daemon.ask(**LOGIN)
        self.refuse(3, **LOGIN)
        self.wait_for_refusals(3)
        self.say("pause", "1h")
        self.assertEqual(self.say("answer", "--dry-run"), "Nothing is due.\n")
        self.say("resume")
        self.assertIn("block:1h", self.say("answer", "--dry-run"))
        self.say("set", number, "9/h")
        self.assertEqual(self.say("answer", "--dry-run"), "Nothing is due.\n")
        self.say("set", number, "1/h")
        self.assertIn("block:1h", self.say("answer", "--dry-run"))
        self.say("reset", "alice@example.org")
        self.assertEqual(self.due(), "")
        self.assertEqual(self.blocked(), {})

    def test_steps_that_are_not_taken_are_not_shown(self):
        self.limit()
        number = str(self.limit_id())
        self.assertIn(f"limit {number}: block:1h, once", self.say("answer"))
        self.daemon.sql("UPDATE quotas SET Comment = 'then=explode' WHERE Comment LIKE 'then=%'")
        self.assertIn("No steps are set.", self.say("answer"))
        self.daemon.sql("UPDATE quotas SET Comment = 'then=block:1h' WHERE Comment LIKE 'then=%'")
        self.say("off", number)
        self.assertIn("No steps are set.", self.say("answer"))

    def test_what_is_over_or_of_another_limit_does_not_count(self):
        self.limit()
        self.put_refusal(2 * HOUR, 100)  # for two hours nothing
        self.put_refusal(60, 100, key="SASLUsername:bob@example.org", row=1)
        self.put_refusal(25 * HOUR, 100, key="SASLUsername:carl@example.org")
        self.put_refusal(60, 1, key="SASLUsername:carl@example.org")
        self.assertEqual(self.due(), "")

    def test_steps_follow_one_another_and_the_last_is_repeated(self):
        self.limit("notify,hold:1min,block:2h")
        for number, verdict in enumerate(("notify", "hold:1min", "block:2h", "block:2h"), 1):
            self.put_refusal(0, 3)
            self.assertIn("refused 3 times in a row", self.due())
            self.assertEqual(self.daemon.query(
                "SELECT sum(Times) FROM limits_events WHERE Verdict <> '' AND Kind IN ('locked', "
                "'suspect')"), [(number,)])
            self.assertEqual(self.steps()[-1][3], verdict)
            if verdict == "hold:1min":
                self.assertTrue(self.blocked()["alice@example.org"]["holds"])
                self.assertTrue(self.daemon.ask(**LOGIN).startswith("HOLD "))
                self.assertIn("holds mail", self.say("blocked"))
            # As if it had ended by itself.
            self.daemon.sql("DELETE FROM policy_members WHERE PolicyID IN (SELECT ID FROM policies "
                            "WHERE Name LIKE 'carbonio-limits block %');")
            time.sleep(0.01)

    def test_who_was_unblocked_begins_with_the_first_step(self):
        self.limit("notify,block:1h")
        for verdict in ("notify", "block:1h"):
            self.put_refusal(0, 3)
            self.due()
            self.assertEqual(self.steps()[-1][3], verdict)
        self.say("unblock", "alice@example.org")
        self.assertEqual(self.due(), "")
        self.assertEqual(self.blocked(), {})
        time.sleep(0.01)
        self.put_refusal(0, 3)
        said = self.due()
        self.assertIn("refused 3 times in a row", said)
        self.assertNotIn("block:1h", said)
        self.assertEqual(self.blocked(), {})

    def test_who_was_unblocked_in_another_spelling(self):
        self.limit()
        self.put_refusal(30, 3, key="SASLUsername:alice")
        self.say("block", "alice@example.org")
        self.assertEqual(self.due(), "")
        self.say("unblock", "alice@example.org")
        self.assertEqual((self.due(), self.blocked()), ("", {}))

    def test_a_login_that_looks_like_a_rule_harms_nobody(self):
        self.limit()
        self.put_refusal(30, 3, key="SASLUsername:!alice")
        self.due()
        self.assertEqual(set(self.blocked()), {"!alice"})
        for attributes in ({"sasl_username": "bob"}, {"sender": "carl@example.org"}):
            self.assertEqual(self.daemon.ask(**attributes), "DUNNO")
        self.assertEqual(self.daemon.ask(sasl_username="!alice"), BLOCKED)

    def test_a_login_with_a_slash_is_stopped_and_one_with_a_blank_is_told(self):
        self.limit()
        self.put_refusal(30, 3, key="SASLUsername:a/b@example.org")
        self.put_refusal(30, 3, key="SASLUsername:max m")
        self.assertIn("login max m: notify, refused 3 times in a row; not stopped: no rule can name "
                      "this sender", self.due())
        self.assertEqual(set(self.blocked()), {"a/b@example.org"})
        self.assertEqual(self.daemon.ask(sasl_username="a/b@example.org"), BLOCKED)

    def test_a_person_has_blocked_them_already(self):
        self.limit()
        self.put_refusal(30, 3)
        self.say("block", "alice@example.org")
        self.assertEqual(self.due(), "")
        self.assertIsNone(self.blocked()["alice@example.org"]["until"])

    def test_no_more_than_five_an_hour(self):
        self.limit()
        for number in range(8):
            self.put_refusal(30, 3, key=f"SASLUsername:user{number}@example.org")
        said = self.due()
        self.assertEqual(len(self.blocked()), 5)
        self.assertEqual(said.count("not stopped: 5 stopped automatically in the last hour, and "
                                    "[block] per_hour allows 5"), 3)
        self.assertEqual([each[0] for each in self.steps()].count("suspect"), 3)
        self.put_refusal(0, 3, key="SASLUsername:nine@example.org")
        self.assertIn("not stopped", self.due())
        self.assertEqual(len(self.blocked()), 5)
        self.daemon.sql(f"UPDATE limits_events SET FirstSeen = FirstSeen - {HOUR * 1000}, LastSeen = "
                        f"LastSeen - {HOUR * 1000} WHERE Kind = 'locked';")
        self.put_refusal(0, 3, key="SASLUsername:ten@example.org")
        self.due()
        self.assertEqual(len(self.blocked()), 6)

    def test_a_step_that_could_not_be_taken_comes_again(self):
        """Nobody is locked because the mild step before was not possible."""
        config = self.daemon.config.with_name("carbonio-limits.conf")
        config.write_text(self.settings + "per_hour=0\n")
        self.limit("notify,block:10min,block:7day")
        for expected in ("notify, refused", "not stopped: 0 stopped", "not stopped: 0 stopped"):
            self.put_refusal(0, 3)
            self.assertIn(expected, self.due())
            time.sleep(0.01)
        config.write_text(self.settings)
        self.put_refusal(0, 3)
        self.assertIn("login alice@example.org: block:10min, ", self.due())
        self.assertEqual(list(dict.fromkeys(each[3] for each in self.steps())),
                         ["notify", "notify only", "block:10min"])

    def test_who_is_never_blocked_is_only_told(self):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            self.settings + "never=alice@example.org\n")
        self.limit()
        self.put_refusal(30, 3)
        self.assertIn("not stopped: alice@example.org cannot be blocked: ", self.due())
        self.assertEqual((self.blocked(), [each[0] for each in self.steps()]), ({}, ["suspect"]))
        self.assertEqual(self.due(), "")

    def test_clients_of_own_networks_and_forged_senders_are_only_told(self):
        self.say("send", "1/h", "--client", "10.0.0.0/8", "--per", "client", "--then", "block:1h")
        self.put_refusal(30, 3, key="SenderIP:10.1.2.3/32")
        self.assertIn("clients of own networks are never stopped automatically", self.due())
        self.say("send", "1/h", "--client", "198.51.100.0/24", "--per", "client", "--then",
                 "block:1h")
        self.put_refusal(30, 3, key="SenderIP:198.51.100.7/32")
        self.due()
        self.assertEqual(set(self.blocked()), {"198.51.100.7"})
        self.say("send", "2/h", "--then", "notify")
        self.daemon.sql("UPDATE quotas SET Comment = 'then=block:1h' WHERE Comment = 'then=notify'")
        [[row]] = self.daemon.query("SELECT l.ID FROM quotas_limits l JOIN quotas q ON q.ID = "
                                    "l.QuotasID WHERE Track = 'Sender:user@domain' AND q.Comment = "
                                    "'then=block:1h'")
        self.put_refusal(30, 3, key="Sender:boss@example.org", row=row)
        self.due()
        self.assertEqual(set(self.blocked()), {"198.51.100.7"})
        self.assertEqual(self.steps()[-1][2:], (
            "Sender:boss@example.org", "notify only", "refused 3 times in a row; not stopped: others "
            "may have used this address"))

    def test_a_step_reads_back_and_goes_with_the_limit(self):
        self.limit("notify,block:90min")
        shown = self.say("show", str(self.limit_id()))
        self.assertIn("--then notify,block:90min", shown)
        exported = self.daemon.folder / "exported"
        exported.write_text(self.say("export"))
        self.assertIn("--then notify,block:90min", exported.read_text())
        other = self.make_daemon()
        other.command("import", str(exported))
        self.assertIn("--then notify,block:90min", other.command("export").stdout)
        self.say("set", str(self.limit_id()), "5/h,9/day")
        self.assertIn("--then notify,block:90min", self.say("export"))
        self.assertIn("then notify,block:90min → nothing",
                      self.say("send", "5/h,9/day", "--per", "account", "--anyone"))
        self.assertNotIn("--then", self.say("export"))
        self.assertEqual(self.daemon.query("SELECT count(*) FROM quotas WHERE Comment IS NOT NULL"),
                         [(0,)])

    def test_explain_and_doctor_know_them(self):
        self.limit()
        said = self.say("explain", "--from", "alice@example.org", "--to", "b@example.com", "--sasl",
                        "alice@example.org")
        self.assertIn("for long: block:1h", " ".join(said.split()))
        doctor = self.daemon.command("doctor", "--json", check=False).stdout
        self.assertIn("answers.stalled", doctor)
        self.due()
        doctor = self.daemon.command("doctor", "--json", check=False).stdout
        self.assertNotIn("answers.stalled", doctor)
        self.assertIn("answers.run", doctor)

    def test_a_run_that_fails_is_none(self):
        self.say("signal", "networks", "3")
        for again in ("RENAME COLUMN SASLUsername TO Other", "RENAME COLUMN Other TO SASLUsername"):
            self.daemon.sql(f"ALTER TABLE session_tracking {again};")
            fails = again.endswith("Other")
            self.assertEqual(self.daemon.command("answer", "--due", check=False).returncode != 0, fails)
            doctor = self.daemon.command("doctor", "--json", check=False).stdout
            self.assertEqual("answers.stalled" in doctor, fails)
            self.assertEqual("nothing has run" in self.say("answer"), fails)

    def test_wrong_steps(self):
        for steps, words in (("blok", "not a valid step: 'blok'"), ("block,", "not a valid step: ''"),
                             ("block:0s", "not a valid duration"), ("block:31day", "duration"),
                             ("lock:1h", "lock has no duration"),
                             (",".join(["notify"] * 9), "at most 8 steps")):
            self.assertIn(words, self.say("send", "1/h", f"--then={steps}", status=1))
        self.assertIn("would stop all", self.say("send", "1/h", "--per", "domain", "--then", "block:1h",
                                                 status=1))
        self.assertIn("needs --per account", self.say("send", "1/h", "--then", "block:1h", status=1))
        self.assertIn("needs a verdict", self.say("send", "1/h", "--verdict", "none", "--then",
                                                  "notify", status=1))
        self.assertIn("cannot be combined", self.say("answer", "--due", "--dry-run", status=1))

    def test_what_may_not_be_expected_of_steps_is_noted(self):
        lasts, nobody = "'{0}' without a duration lasts until", "no one gets notices; "
        limit = ("send", "1/h", "--per", "account", "--then")
        for words in (limit, ("signal", "networks", "5", "--then")):
            for steps, kind in (("notify,block", "block"), ("hold", "hold"), ("block:1h", None),
                                ("lock", None)):
                said = self.say(*words, steps).replace("\n", " ")
                self.assertEqual(" without a duration " in said, kind is not None, said)
                if kind:
                    self.assertIn(lasts.format(kind), said)
                self.assertIn(nobody, said)
        self.say("signal", "networks", "5", "--then", "block")
        said = self.say("answer").replace("\n", " ")
        self.assertIn(lasts.format("block"), said)
        self.assertIn(nobody, said)
        self.assertNotIn(nobody, self.say("send", "1/h", "--per", "account"))
        self.assertNotIn(nobody, self.say("signal", "networks", "off"))
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            "[notify]\ncommand=/bin/true\n")
        self.assertNotIn(nobody, self.say(*limit, "notify"))

    def test_only_one_run_at_a_time(self):
        self.limit()
        self.due()
        mark = self.daemon.folder / "data/cbpolicyd/answers"
        self.put_refusal(30, 3)
        with mark.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            self.assertEqual(self.due(), "")
            self.assertEqual(self.blocked(), {})
        self.assertIn("block:1h", self.due())


class Signals(Case):
    def test_networks_of_a_login(self):
        self.say("signal", "networks", "3", "--then", "notify,block:1h")
        for net in (1, 2):
            self.put_messages(2, SASLUsername="Alice@example.org", ClientAddress=f"203.0.{net}.7")
        self.put_messages(5, SASLUsername="bob", ClientAddress="203.0.9.{}")  # one network
        self.put_messages(5, ClientAddress="203.1.{}.1")                      # no login
        self.assertEqual(self.due(), "")
        self.put_messages(1, ago=30, SASLUsername="alice@example.org", ClientAddress="2001:db8::1")
        self.assertIn("alice@example.org: notify, from 3 client networks in a day (signal networks).",
                      self.due())
        self.assertEqual(self.due(), "")
        for net in range(3):  # since then
            self.put_messages(1, ago=-2, SASLUsername="alice@example.org",
                              ClientAddress=f"192.0.{net}.7")
        time.sleep(3)
        self.assertIn("block:1h, from 3 client networks", self.due())
        self.assertEqual(set(self.blocked()), {"alice@example.org"})
        self.assertEqual([each[3] for each in self.steps()], ["notify", "block:1h"])

    def test_a_mailing_service_uses_thousands_of_senders(self):
        self.put_messages(1500, SASLUsername="alice@example.org", Sender="s{}@example.org")
        self.say("signal", "senders", "1501", "--then", "block:1h")
        self.assertIn("login alice@example.org 1500", self.say("signal"))
        self.assertNotIn("block:1h", self.due())
        self.say("signal", "senders", "1500", "--then", "block:1h")
        self.assertIn("block:1h, 1500 sender addresses in a day", self.due())

    def test_senders_of_a_login(self):
        self.say("signal", "senders", "4", "--then", "block:1h")
        self.put_messages(3, SASLUsername="alice", Sender="s{}@example.net")
        self.put_messages(9, SASLUsername="bob", Sender="bob@example.org")
        self.put_messages(9, Sender="w{}@example.org", ClientAddress="10.0.0.5")
        self.assertEqual(self.due(), "")
        self.put_messages(1, SASLUsername="alice", Sender="s{}@example.net")
        self.assertIn("alice: block:1h, 4 sender addresses in a day (signal senders).", self.due())
        self.assertEqual(set(self.blocked()), {"alice"})
        explained = " ".join(self.say("explain", "--from", "x@example.org", "--to", "b@example.com",
                                      "--sasl", "alice").split())
        self.assertIn("block:1h about alice: 4 sender addresses in a day (signal senders)", explained)
        self.assertNotIn("signal senders", self.say("explain", "--from", "x@example.org", "--to",
                                                    "b@example.com", "--sasl", "bob"))

    def test_each_signal_has_its_own_steps_and_events(self):
        """Also if two take a step about the same account in the same minute."""
        self.say("signal", "senders", "3", "--then", "notify,hold:1h,block:7day")
        self.say("signal", "networks", "3", "--then", "notify")
        self.put_messages(3, SASLUsername="alice", Sender="s{}@example.net",
                          ClientAddress="198.51.{}.7")
        self.assertEqual(self.due().count("login alice: notify, "), 2)
        self.assertEqual(sorted(each[1] for each in self.steps()), ["signal networks", "signal senders"])
        self.put_messages(3, ago=-2, SASLUsername="alice", Sender="s{}@example.net")
        time.sleep(3)
        self.assertIn("alice: hold:1h, 3 sender addresses", self.due())

    def test_far_more_than_ever_before(self):
        self.say("signal", "rate", "20", "--factor", "3", "--then", "block:1h")
        for hour in range(2, 30):
            self.put_messages(10, ago=hour * HOUR, SASLUsername="news@example.org")
        self.put_messages(29, ago=60, SASLUsername="news@example.org")  # up to 3 times 10
        self.put_messages(19, ago=60, SASLUsername="new@example.org")
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            self.settings + "mailboxes=10.0.0.5\n")
        self.put_messages(20, ago=60, Sender="web@example.org", ClientAddress="10.0.0.5")
        self.put_messages(50, ago=60, Sender="out@example.org")  # from outside, without a login
        self.assertIn("web@example.org: block:1h, 20 messages in an hour, usually none",
                      self.due())
        self.assertEqual(set(self.blocked()), {"web@example.org"})
        self.put_messages(1, ago=60, SASLUsername="news@example.org")
        self.assertIn("news@example.org: block:1h, 30 messages in an hour, usually up to 10",
                      self.say("answer", "--dry-run"))

    def test_a_gateway_that_names_any_sender_stops_nobody(self):
        self.say("signal", "rate", "5", "--then", "block:1h")
        self.put_messages(5, Sender="boss@example.org", ClientAddress="10.0.0.6")
        self.assertIn("boss@example.org: notify, 5 messages in an hour, usually none; not stopped: others "
                      "may have used this address", self.due())
        self.assertEqual(self.blocked(), {})

    def test_at_night(self):
        def clock(minutes):
            return time.strftime("%H:%M", time.localtime(time.time() + 60 * minutes))
        self.say("signal", "night", "5", "--hours", f"{clock(-30)}-{clock(30)}")
        self.put_messages(5, ago=2 * HOUR, SASLUsername="day@example.org")
        self.put_messages(5, ago=600, SASLUsername="alice@example.org")
        self.assertIn("alice@example.org: notify, 5 messages at night", self.due())
        self.say("signal", "night", "5", "--hours", f"{clock(30)}-{clock(60)}")
        self.put_messages(5, ago=600, SASLUsername="bob@example.org")
        self.assertEqual(self.due(), "")

    def test_recipients_that_bounce_or_do_not_exist(self):
        log = self.daemon.folder / "mail.log"
        self.use_log(log)
        self.say("signal", "bounces", "4", "--then", "block:1h")
        bounced = "bounced (host mx said: 550 5.1.1 no such user)"
        lines = MailLog(days_ago=0)
        lines.time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=9)
        lines.mail("x@example.net", "a@example.com", login="Alice@example.org", status=bounced)
        lines.mail("x@example.net", "b@example.com", login="alice@example.org", status=bounced,
                   filtered=True)
        lines.mail("web@example.org", "c@example.com", client="10.0.0.5", status=bounced)
        lines.mail("out@example.net", *(f"{n}@example.com" for n in range(9)),
                   client="203.0.113.7", status=bounced)
        lines.write(log)
        self.assertEqual(self.due(), "")
        self.assertRegex(self.say("signal"), r"(?m)^bounces +4 +block:1h +login alice@example\.org 2, "
                                             r"web@example\.org 1$")
        lines.lines = []
        lines.unknown("d@example.org", login="alice@example.org")
        log.rename(log.with_name("mail.log-20261126"))  # rotated, with more in it
        with log.with_name("mail.log-20261126").open("a") as rotated:
            rotated.write(lines.text())
        lines.lines = []
        lines.unknown("e@example.org", login="alice@example.org")
        lines.write(log)
        said = self.say("answer", "--dry-run")
        self.assertIn("alice@example.org: block:1h, 4 recipients in an hour that bounced or do not "
                      "exist", said)
        self.assertEqual(self.say("answer", "--dry-run"), said)
        self.assertIn(said.strip(), self.due())
        self.assertEqual(set(self.blocked()), {"alice@example.org"})
        self.assertEqual(self.due(), "")
        self.say("signal", "bounces", "off")
        self.due()
        self.assertFalse((self.daemon.folder / "data/cbpolicyd/bounces").exists())

    def test_a_mail_log_that_cannot_be_read_is_said_once(self):
        log = self.daemon.folder / "mail.log"
        self.use_log(log)
        self.assertNotIn("cannot be counted", self.say("signal"))
        self.say("signal", "bounces", "1")
        self.assertIn("bounces cannot be counted: cannot read the mail log", self.say("signal"))
        self.assertIn(f"signal bounces cannot be counted: cannot read the mail log {log}: No such file",
                      self.due())
        self.assertEqual(self.due(), "")
        log.write_text("garbage\n")
        self.assertIn("has no lines of syslog", self.due())
        lines = MailLog(days_ago=0)
        lines.time = datetime.datetime.now(datetime.timezone.utc)
        lines.unknown("d@example.org", login="alice@example.org")
        with log.open("a") as file:
            file.write(lines.text())
        self.assertIn("alice@example.org: notify, 1 recipient in an hour", self.due())

    def test_countries_of_a_login(self):
        own = self.daemon.config.with_name("carbonio-limits.conf")
        file = self.daemon.folder / "countries.mmdb"
        file.write_bytes(mmdb.written({"203.0.0.0/16": "RU", "198.51.100.0/24": "DE",
                                       "192.0.2.0/24": "US", "10.0.0.0/8": "de"}))
        self.say("signal", "countries", "3", "--then", "block:1h")
        self.assertIn("signal countries cannot be counted: [block] countries names no file.",
                      self.say("answer", "--dry-run"))
        own.write_text(f"{self.settings}countries={file}\n")
        self.put_messages(2, SASLUsername="alice", ClientAddress="203.0.{}.7")
        self.put_messages(1, SASLUsername="alice", ClientAddress="198.51.100.7")
        self.put_messages(3, SASLUsername="bob", ClientAddress="203.0.{}.7")
        for unknown in ("10.1.2.3", "2001:db8::1", "100.64.0.1", "garbage"):
            self.put_messages(1, SASLUsername="alice", ClientAddress=unknown)
        self.assertEqual(self.due(), "")
        self.assertRegex(self.say("signal"), r"(?m)^countries +3 +block:1h +login alice 2, login bob 1$")
        self.put_messages(1, ago=30, SASLUsername="alice", ClientAddress="192.0.2.7")
        self.assertIn("alice: block:1h, from 3 countries in a day (signal countries).", self.due())
        self.assertEqual(set(self.blocked()), {"alice"})
        for damaged in (b"", b"x" * 5000, file.read_bytes()[:-40]):
            file.write_bytes(damaged)
            self.assertRegex(self.say("signal"), f"countries cannot be counted: cannot read {file}: .+")

    def use_log(self, log):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            f"{self.settings}mail_log={log}\n")

    def test_shown_set_and_switched_off(self):
        self.put_messages(3, SASLUsername="alice", Sender="s{}@example.net")
        said = self.say("signal")
        self.assertRegex(said, r"(?m)^senders +off +login alice 3$")
        self.assertIn("do not see web mail", said)
        self.assertIn("Set signal senders 4: notify; ", self.say("signal", "senders", "4"))
        self.assertIn("Nothing to change", self.say("signal", "senders", "4"))
        self.say("signal", "senders", "5", "--then", "lock")
        self.say("signal", "night", "9")
        self.say("signal", "rate", "9")
        names = [row[0] for row in self.daemon.query(
            "SELECT Name FROM policies WHERE Name LIKE 'carbonio-limits signal %' AND Disabled = 1 "
            "ORDER BY ID")]
        self.assertEqual(names, ["carbonio-limits signal senders 5 then lock",
                                 "carbonio-limits signal night 9 22:00-06:00 then notify",
                                 "carbonio-limits signal rate 9 x5 then notify"])
        shown = json.loads(self.say("signal", "--json"))["signals"]
        self.assertEqual([(each["name"], each["amount"], each["then"]) for each in shown],
                         [("networks", None, ""), ("senders", 5, "lock"), ("rate", 9, "notify"),
                          ("night", 9, "notify"), ("countries", None, ""), ("bounces", None, "")])
        self.assertEqual(self.daemon.ask(), "DUNNO")
        exported = self.daemon.folder / "exported"
        exported.write_text(self.say("export"))
        other = self.make_daemon()
        other.command("import", str(exported))
        self.assertEqual(json.loads(other.command("signal", "--json").stdout)["signals"][1]["then"],
                         "lock")
        for name in ("senders", "night", "rate"):
            self.assertIn(f"Signal {name} is off", self.say("signal", name, "off"))
        self.assertEqual(self.daemon.query("SELECT count(*) FROM access_control"), [(0,)])
        done = self.daemon.command("doctor", "--json", check=False)
        self.assertNotIn("signal", done.stdout)

    def test_what_is_not_given_stays_as_it_was_set(self):
        self.say("signal", "rate", "100", "--factor", "10", "--then", "notify,block:1h")
        self.assertIn("Set signal rate 120 x10: notify,block:1h; ", self.say("signal", "rate", "120"))
        self.assertIn("Set signal rate 120 x7: notify,block:1h; ",
                      self.say("signal", "rate", "120", "--factor", "7"))
        self.assertIn("Set signal rate 120 x7: lock; ",
                      self.say("signal", "rate", "120", "--then", "lock"))
        self.say("signal", "night", "9", "--hours", "23:00-05:00")
        self.assertIn("Set signal night 8 23:00-05:00: notify; ", self.say("signal", "night", "8"))
        self.say("signal", "rate", "off")
        self.assertIn("Set signal rate 120 x5: notify; ", self.say("signal", "rate", "120"))

    def signal_names(self, daemon=None):
        return [row[0] for row in (daemon or self.daemon).query(
            "SELECT Name FROM policies WHERE Name LIKE 'carbonio-limits signal %' ORDER BY ID")]

    def test_off_removes_every_policy_of_the_kind(self):
        for name in ("rate many then notify", "rate 9 x5 then lock", "night 9 22:00-06:00 then lock"):
            self.daemon.sql(insert("policies", Name=f"carbonio-limits signal {name}", Priority=0,
                                   Disabled=1))
        self.assertIn("Would set", self.say("signal", "rate", "9", "--dry-run"))
        self.assertIn("Signal rate is off", self.say("signal", "rate", "off"))
        self.assertEqual(self.signal_names(),
                         ["carbonio-limits signal night 9 22:00-06:00 then lock"])
        self.assertIn("Nothing to change", self.say("signal", "rate", "off"))

    def test_an_imported_signal_replaces_the_one_of_its_kind(self):
        self.say("signal", "networks", "5", "--then", "notify,block:1h")
        file = self.daemon.folder / "limits"
        file.write_text(self.say("export"))
        other = self.make_daemon()
        other.command("signal", "networks", "50")
        other.command("signal", "senders", "7")
        said = other.command("import", str(file)).stdout
        self.assertIn("- row policies 'Name=carbonio-limits signal networks 50 then notify'", said)
        self.assertIn("+ row policies 'Name=carbonio-limits signal networks 5 then notify,block:1h'",
                      said)
        self.assertEqual(self.signal_names(other),
                         ["carbonio-limits signal senders 7 then notify",
                          "carbonio-limits signal networks 5 then notify,block:1h"])
        self.assertEqual(other.query("SELECT count(*) FROM access_control"), [(2,)])
        again = other.command("import", str(file)).stdout
        self.assertNotIn("signal", again)

    def test_a_limit_is_no_signal_whatever_its_name(self):
        for name in ("carbonio-limits signal networks 5 then notify", "Carbonio-Limits block x"):
            self.assertIn("--name cannot begin with 'carbonio-limits '",
                          self.say("send", "2/h", "--name", name, status=1))
        self.say("send", "2/h", "--per", "domain")
        self.daemon.sql("UPDATE policies SET Name = 'carbonio-limits signal networks 5 then lock', "
                        "Disabled = 1 WHERE ID = (SELECT max(ID) FROM policies);")
        self.assertNotIn("--name 'carbonio-limits", self.say("export"))  # else import would refuse it
        self.assertRegex(self.say("signal"), r"(?m)^networks +off")
        self.assertIn("Nothing to change", self.say("signal", "networks", "off"))
        self.say("signal", "networks", "9")
        self.say("signal", "networks", "off")
        self.assertEqual(self.signal_names(), ["carbonio-limits signal networks 5 then lock"])

    def test_a_dry_run_prints_statements_that_do_the_same(self):
        said = self.say("signal", "networks", "5", "--dry-run")
        self.assertIn("Nothing was changed (--dry-run).", said)
        self.daemon.sql("\n".join(line for line in said.splitlines()
                                  if line.startswith(("INSERT", "DELETE"))))
        self.assertIn("Nothing to change", self.say("signal", "networks", "5"))

    def test_wrong_signals(self):
        for words, message in ((("network", "5"), "not a signal: 'network'"),
                               (("networks",), "how many? Example: carbonio-limits signal networks 10"),
                               (("networks", "0"), "not a valid number"),
                               (("networks", "1000001"), "not a valid number"),
                               (("countries", "251"), "give 1 to 250, or off"),
                               (("networks", "5x"), "not a valid number"),
                               (("networks", "5", "--factor", "2"), "of signal rate only"),
                               (("rate", "5", "--factor", "0"), "not a valid --factor"),
                               (("rate", "5", "--hours", "1-2"), "of signal night only"),
                               (("night", "5", "--hours", "22:00"), "not a valid --hours"),
                               (("night", "5", "--hours", "24:00-06:00"), "not a valid --hours"),
                               (("networks", "5", "--then", "x"), "not a valid step"),
                               (("--then", "notify"), "needs the NAME")):
            with self.subTest(words):
                self.assertIn(message, self.say("signal", *words, status=1))


class Notices(Case):
    def test_tell_each_step_with_the_command_that_undoes_it(self):
        home = self.daemon.folder
        sendmail = home / "common/sbin/sendmail"
        sendmail.parent.mkdir(parents=True)
        mails = home / "mails"
        mails.mkdir(mode=0o777)
        mails.chmod(0o777)
        sendmail.write_text(f"#!/bin/sh\ncat >{mails}/$(ls {mails} | wc -l)\n")
        sendmail.chmod(0o755)
        self.say("notify", "--to", "admin@example.org")
        self.say("send", "1/h", "--per", "account", "--anyone", "--then", "notify,block:1h")
        self.put_refusal(30, 3)
        self.due()
        self.put_refusal(0, 3)
        self.assertIn(": block:1h, refused 3 times", self.due())
        self.daemon.sql("UPDATE limits_events SET Minute = Minute - 2, FirstSeen = FirstSeen - "
                        "120000, LastSeen = LastSeen - 120000;")
        self.say("notify", "--due")
        mail = email.message_from_string((mails / "1").read_text(), policy=email.policy.default)
        self.assertIn("alice@example.org stopped", mail["Subject"],
                      self.daemon.query("SELECT ID, Minute, Kind, LastSeen FROM limits_events"))
        text = " ".join(mail.get_body(("plain",)).get_content().replace("\\\n", " ").split())
        self.assertIn("stands out and was NOT stopped", text)
        self.assertIn("was stopped automatically", text)
        [undo] = set(re.findall(r"carbonio-limits unblock \S+@example\.org", text))
        self.say(*shlex.split(undo)[1:])
        self.assertEqual(self.blocked(), {})


if __name__ == "__main__":
    unittest.main()
