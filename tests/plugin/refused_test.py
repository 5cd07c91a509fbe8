#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`refused`, and what the daemon remembers for it in limits_events: of all modules, over restarts, a
crash, backup and restore, while the database is locked, and within bounds in a flood."""

import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))

import json_keys  # noqa: E402
from daemon_case import (  # noqa: E402
    ATTRIBUTES, SANITIZED, DaemonTest, bin_dir, eventually, format_request, insert, last, policy,
    quota)
from replay_test import Clock  # noqa: E402


class Case(DaemonTest):
    rules = policy() + quota(2, period=3600)

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(self.rules)

    def say(self, *words, status=0):
        done = self.daemon.command(*words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        return done.stdout if status == 0 else done.stderr

    def refused(self, *words):
        return json.loads(self.say("refused", *words, "--json"))["refused"]

    def times(self, *words):
        return {event["who"]: event["times"] for event in self.refused(*words)}

    def ask(self, count, sender="alice@example.org", **attributes):
        return [self.daemon.ask(sender=sender, **attributes) for _ in range(count)]

    def wait_for(self, wanted, *words):
        self.assertTrue(eventually(lambda: self.times(*words) == wanted),
                        f"{self.times(*words)} is not {wanted}")

    def put_event(self, seconds_ago=0, **columns):
        """As a daemon of earlier days wrote it."""
        at = int((time.time() - seconds_ago) * 1000)
        values = {"Minute": at // 60000, "Kind": "refused", "Module": "Quotas", "RowID": 4,
                  "TrackKey": "Sender:x@example.org", "Verdict": "defer", "FirstSeen": at,
                  "LastSeen": at, "Times": 1, **columns}
        self.daemon.sql(insert("limits_events", **values))


class ByHour(Case):
    rules = policy() + quota(2, period=3600) + quota(1000, period=86400)

    def hours(self, *words):
        return json.loads(self.say("refused", "--by-hour", *words, "--json"))

    def test_counts_of_each_hour_and_limit_and_whom(self):
        now = datetime.datetime.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        ago = (now - hour).total_seconds()  # seconds since its beginning
        for seconds, columns in ((ago - 1, {"Times": 3}), (ago + 2, {"Times": 4}),
                                 (ago + 3, {"Times": 5, "TrackKey": "Sender:y@example.org"}),
                                 (ago + 3602, {"Times": 7, "Module": "CheckSPF", "RowID": 0,
                                               "TrackKey": "SenderIP:192.0.2.1/32"}),
                                 (ago + 3602, {"Times": 9, "RowID": 99}),
                                 (ago - 1, {"Times": 11, "Kind": "watched"})):
            self.put_event(seconds, **columns)
        begin = int(hour.timestamp())
        found = self.hours()
        self.assertEqual([(row["begin"], row["by"], row["id"], row["times"])
                          for row in found["hours"]],
                         [(begin, "limit 3", 3, 3), (begin - 3600, "limit 3", 3, 9),
                          (begin - 7200, "a removed limit", None, 9),
                          (begin - 7200, "CheckSPF", None, 7)])
        self.assertEqual(found["times"], 28)
        self.assertEqual(found["whom"][0], {"who": "x@example.org", "times": 16})
        self.assertEqual(len(self.hours("--top", "1")["whom"]), 1)
        self.assertEqual(self.hours("--watched")["times"], 11)
        self.assertEqual(self.hours("y@example.org")["times"], 5)
        self.assertEqual(self.hours("--limit", "3")["times"], 12)
        text = self.say("refused", "--by-hour")
        self.assertRegex(text, r"HOUR +BY +TIMES\n\S+ +limit 3 +3\n")
        self.assertRegex(text, r"WHO +TIMES\nx@example.org +16\n")

    def test_nothing(self):
        self.assertEqual(self.say("refused", "--by-hour"),
                         "Nothing was refused in the last 30 days.\n")
        self.assertEqual(self.hours()["hours"], [])

    def test_it_does_not_follow(self):
        self.assertIn("--by-hour", self.say("refused", "--by-hour", "--follow", status=1))


class Freed(Case):
    """Who was freed by an admin is not refused any longer, whatever was true then."""

    def setUp(self):
        super().setUp()
        self.ask(3)
        self.wait_for({"alice@example.org": 1})
        self.assertGreater(self.free_at(), time.time() + 60)

    def free_at(self):
        [event] = self.refused()
        return event["free_at"]

    def assert_free(self):
        self.assertLessEqual(self.free_at(), time.time())
        self.assertRegex(self.say("refused"), r"now\n")

    def test_by_a_reset(self):
        self.say("reset", "bob@example.org")
        self.assertGreater(self.free_at(), time.time() + 60)
        self.say("reset", "alice@example.org")
        self.assert_free()

    def test_by_a_reset_of_all(self):
        self.say("reset", "--limit", "3")
        self.assert_free()

    def test_refused_again_after_a_reset(self):
        self.say("reset", "alice@example.org")
        self.ask(3)
        self.assertTrue(eventually(lambda: self.free_at() > time.time() + 60))

    def test_by_a_higher_limit(self):
        self.say("set", "3", "1/h")
        self.assertGreater(self.free_at(), time.time() + 60)
        self.say("set", "3", "5/h")
        self.assert_free()

    def test_by_another_verdict(self):
        self.daemon.sql("UPDATE quotas SET Verdict = NULL WHERE ID = 3;")
        self.assert_free()

    def test_by_switching_off(self):
        self.say("off", "3")
        self.assert_free()

    def test_by_removal(self):
        self.say("remove", "3")
        self.assert_free()


class Refused(Case):
    def test_names_as_postfix_logs_them(self):
        self.ask(3, client_address="198.51.100.7")
        self.wait_for({"alice@example.org": 1})
        for word in ("<alice@example.org>", "[198.51.100.7]", "unknown[198.51.100.7]"):
            self.assertEqual(self.times(word), {"alice@example.org": 1}, word)
        self.assertEqual(self.times("<bob@example.org>"), {})
        self.assertIn("alice@example.org", self.say("usage", "<alice@example.org>"))
        self.say("reset", "<alice@example.org>")
        self.assertEqual(self.ask(1), ["DUNNO"])

    def test_who_when_how_often_by_what_from_where_and_until_when(self):
        self.assertEqual(self.say("refused"), "Nothing was refused in the last 30 days.\n")
        before = time.time()
        self.assertEqual(self.ask(5), ["DUNNO"] * 2 + ["DEFER later"] * 3)
        self.ask(3, sender="bob@example.org", client_address="198.51.100.9", sasl_username="bob")
        self.wait_for({"alice@example.org": 3, "bob@example.org": 1})
        latest, other = self.refused()
        self.assertEqual((latest["who"], other["who"]), ("bob@example.org", "alice@example.org"))
        for key, wanted in {
                "kind": "refused", "key": "Sender:bob@example.org", "module": "Quotas", "row_id": 4,
                "id": 3, "verdict": "defer", "client": "198.51.100.9", "login": "bob",
                "sender": "bob@example.org", "recipient": ATTRIBUTES["recipient"], "used": 2,
                "limit": 2}.items():
            self.assertEqual(latest[key], wanted, key)
        self.assertTrue(before - 1 < latest["first"] <= latest["last"] < time.time() + 1)
        self.assertLess(abs(latest["free_at"] - before - 3600), 60)
        lines = self.say("refused").splitlines()
        self.assertRegex(lines[0], "^WHO +TIMES +SINCE +UNTIL +BY +FROM +FREE IN$")
        self.assertRegex(lines[1], r"^bob@example\.org +1 +\d\d:\d\d +limit 3 +198\.51\.100\.9 +"
                                   r"(59 min|60 min|1 h)$")
        self.assertRegex(lines[2], r"^alice@example\.org +3 +\d\d:\d\d")

    def test_survives_a_restart_and_a_crash(self):
        self.ask(4)
        self.daemon.restart()  # what has happened in the last second is written at the end
        self.wait_for({"alice@example.org": 2})
        self.ask(1)
        self.wait_for({"alice@example.org": 3})
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.times(), {"alice@example.org": 3})
        [use] = json.loads(self.say("usage", "alice@example.org", "--json"))["usage"]
        self.assertEqual(use["refused"], 3)

    def test_what_is_written_at_the_end_is_all(self):
        for number in range(300):
            self.ask(3, sender=f"u{number}@example.org")
        self.daemon.stop()
        self.assertEqual(self.daemon.query("SELECT count(*) FROM limits_events"), [(300,)])

    def test_backup_and_restore_keep_it(self):
        self.ask(3)
        self.wait_for({"alice@example.org": 1})
        copy = self.daemon.database.with_name("copy")
        self.say("backup", str(copy))
        self.ask(2, sender="alice@example.org")
        self.ask(3, sender="bob@example.org")
        self.wait_for({"alice@example.org": 3, "bob@example.org": 1})
        self.say("restore", str(copy))
        self.assertEqual(self.times(), {"alice@example.org": 3, "bob@example.org": 1})
        self.daemon.sql("DELETE FROM limits_events")
        self.say("restore", str(copy))
        self.assertEqual(self.times(), {"alice@example.org": 1})

    def test_spells(self):
        for seconds_ago in (30, 1800, 3500, 3600 * 3, 3600 * 3 + 1000, 86400 * 3):
            self.put_event(seconds_ago, Times=2)
        found = self.refused()
        self.assertEqual([event["times"] for event in found], [6, 4, 2])
        self.assertAlmostEqual(found[0]["last"] - found[0]["first"], 3470, delta=2)
        self.put_event(10, RowID=5)
        self.assertEqual(len(self.refused()), 4, "another limit is another line")

    def test_times(self):
        now = time.time()
        self.put_event(7200, TrackKey="Sender:old@example.org")
        self.put_event(60, TrackKey="Sender:new@example.org")
        self.assertEqual(set(self.times("--since", "1h")), {"new@example.org"})
        self.assertEqual(set(self.times("--since", "3h")), {"new@example.org", "old@example.org"})
        stamp = datetime.datetime.fromtimestamp(now - 3600).strftime("%Y-%m-%d %H:%M:%S")
        self.assertEqual(set(self.times("--since", stamp)), {"new@example.org"})
        self.put_event(86400 + 60, TrackKey="Sender:yesterday@example.org")
        self.assertNotIn("yesterday@example.org", self.times("--today"))
        self.assertEqual(self.say("refused", "nobody@example.org", "--since", stamp),
                         f"Nothing was refused of nobody@example.org since {stamp}.\n")
        lines = self.say("refused", "yesterday@example.org").splitlines()
        self.assertRegex(lines[1], r" \d\d-\d\d \d\d:\d\d ")

    def test_wrong_use_is_one_line(self):
        for words, wanted in (
                (("--since", "yesteryear"), "not a valid time: 'yesteryear'; write 09:00"),
                (("--since", "2026-02-30"), "not a valid time: '2026-02-30'"),
                (("--since", "2999-01-01"), "the time '2999-01-01' is in the future"),
                (("--since", ""), "not a valid time: ''"),
                (("--since", "1h", "--today"), "--since and --today cannot be combined"),
                (("--follow", "--json"), "--follow and --json cannot be combined"),
                (("--limit", "x"), "'x'"),
                (("--top", "0"), "not a valid --top: '0'"),
                (("",), "the address is empty"),
                (("a@example.org", "b@example.org"), "unexpected argument 'b@example.org'"),
                (("--sinc", "1h"), "--sinc")):
            self.assertIn(wanted, self.say("refused", *words, status=1), words)
        self.assertIn("no limit 99", self.say("refused", "--limit", "99", status=2))

    def test_whom(self):
        self.ask(3, client_address="198.51.100.9", sasl_username="Alice",
                 recipient="carl@example.net")
        self.wait_for({"alice@example.org": 1})
        for name in ("alice@example.org", "ALICE@Example.org", "example.org", "@example.org", "alice",
                     "198.51.100.9", "198.51.100.0/24", "carl@example.net"):
            self.assertEqual(self.times(name), {"alice@example.org": 1}, name)
        for name in ("bob@example.org", "example.com", "198.51.100.8", "198.51.101.0/24", "ali",
                     "' OR 1=1 --", "x" * 100_000):
            self.assertEqual(self.times(name), {}, name[:20])

    def test_whom_in_both_spellings(self):
        self.daemon.sql("DELETE FROM policy_group_members WHERE Member = '@example.com';")
        self.ask(3)
        self.wait_for({"alice@example.org": 1})
        for name in ("alice", "login alice", "Alice@example.org"):
            self.assertEqual(self.times(name), {"alice@example.org": 1}, name)

    def test_by_one_limit(self):
        self.daemon.sql(policy("bob@example.org") + quota(1, period=3600))
        self.ask(3)
        self.ask(3, sender="bob@example.org")
        self.wait_for({"bob@example.org": 2}, "--limit", "4")
        self.wait_for({"alice@example.org": 1}, "--limit", "3")
        self.say("remove", "4")
        self.assertIn("a removed limit", self.say("refused", "bob@example.org"))
        self.assertIn("no limit 4", self.say("refused", "--limit", "4", status=2))

    def test_watched_and_let_through(self):
        self.daemon.sql("UPDATE quotas SET Verdict = NULL WHERE ID = 3")
        self.ask(4)
        self.wait_for({"alice@example.org": 2}, "--watched")
        self.assertEqual(self.refused(), [])
        self.assertRegex(self.say("refused", "--watched"), r"VERDICT\n.* watched\n")
        self.daemon.sql("UPDATE quotas SET Verdict = 'DEFER' WHERE ID = 3")
        self.say("pause")
        self.ask(3)
        self.assertTrue(eventually(lambda: len(self.refused("--watched")) == 2))
        self.assertIn(" let through\n", self.say("refused", "--watched"))
        self.assertEqual(self.refused(), [])

    def test_the_latest_come_first_and_not_too_many(self):
        for number in range(30):
            self.put_event(100 - number, TrackKey=f"Sender:u{number}@example.org")
        lines = self.say("refused").splitlines()
        self.assertEqual(len(lines), 22)
        self.assertTrue(lines[1].startswith("u29@example.org "))
        self.assertEqual(lines[-1], "10 more; --top 30 shows them all.")
        self.assertEqual(len(self.say("refused", "--top", "30").splitlines()), 31)
        self.assertEqual(len(self.refused()), 30)
        self.assertEqual(len(self.refused("--top", "2")), 2)

    def test_names_are_escaped_and_fit_a_terminal(self):
        evil = "Sender:\x1b[31m\x07" + "x" * 300 + "\n\u202e@example.org"
        self.put_event(TrackKey=evil, Client="1\x1b[0m", Verdict="de\nfer", Module="Quo\ntas")
        out = self.say("refused")
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\u202e]")
        self.assertEqual(out.count("\n"), 2)
        [event] = self.refused()
        self.assertEqual(event["key"], evil)
        for number in range(3):
            self.put_event(86400 * number, TrackKey=f"Sender:{'long.name' * 4}{number}@example.org",
                           Client="2001:db8:1234:5678:9abc:def0:1234:5678")
        shown = subprocess.run(
            ["script", "-qec", f"stty cols 80; NO_COLOR=1 {bin_dir()}/carbonio-limits --zextras-home "
             f"{self.daemon.folder} refused", "/dev/null"],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout
        self.assertIn("WHO", shown)
        for line in shown.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_follow_prints_what_happens(self):
        for number in range(12):
            self.put_event(100 - number, TrackKey=f"Sender:u{number}@example.org")
        with subprocess.Popen(
                [bin_dir() / "carbonio-limits", "refused", "--follow"], stdout=subprocess.PIPE,
                text=True, env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)}) as follower:
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")))
            reader.start()
            self.assertTrue(eventually(lambda: len(lines) == 10), lines)
            self.assertRegex(lines[-1], r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  u11@example\.org refused by "
                                        r"limit 3 \(defer\)\n$")
            self.ask(3)
            self.assertTrue(eventually(lambda: len(lines) == 11), lines)
            self.assertIn("alice@example.org refused by limit 3 (defer), from ", lines[-1])
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=30), 0)
            reader.join(30)

    def test_of_a_database_that_no_daemon_of_this_version_has_opened(self):
        self.daemon.stop()
        self.daemon.sql("DROP TABLE limits_events;"
                        "UPDATE limits_rules_version SET SchemaVersion = 1;")
        self.assertIn("Nothing was refused", self.say("refused"))
        self.assertEqual(json.loads(self.say("usage", "--json"))["refused_since"], None)
        self.say("send", "7/h", "--anyone")
        self.daemon.start()
        self.assertEqual(self.daemon.query("SELECT count(*) FROM limits_events"), [(0,)])

    def test_dropped_while_the_daemon_runs_it_is_made_again(self):
        self.daemon.sql("DROP TABLE limits_events")
        self.assertEqual(self.ask(3)[-1], "DEFER later")
        self.assertTrue(eventually(lambda: self.ask(1) and self.refused()))


class Modules(Case):
    rules = ""

    def setUp(self):
        DaemonTest.setUp(self)
        self.daemon = self.make_daemon(modules=("AccessControl", "Accounting", "CheckHelo",
                                                "Greylisting", "Quotas"))

    def test_all_modules_are_remembered(self):
        self.daemon.sql(
            policy("blocked@example.org") +
            insert("access_control", PolicyID=last("policies"), Name="a", Verdict="REJECT",
                   Data="go away") +
            policy("counted@example.org") +
            insert("accounting", PolicyID=last("policies"), Name="b", Track="Sender:user@domain",
                   AccountingPeriod=0, MessageCountLimit=1, Verdict="DEFER") +
            policy("grey@example.org") +
            insert("greylisting", PolicyID=last("policies"), Name="c", UseGreylisting=1,
                   GreylistPeriod=60, Track="SenderIP:/24", GreylistAuthValidity=3600,
                   GreylistUnAuthValidity=3600) +
            policy("helo@example.org") +
            insert("checkhelo", PolicyID=last("policies"), Name="d", RejectInvalid=1))
        self.ask(1, sender="blocked@example.org")
        self.ask(3, sender="counted@example.org")
        self.ask(1, sender="grey@example.org")
        self.ask(1, sender="helo@example.org", helo_name="not valid")
        self.wait_for({"blocked@example.org": 1, "counted@example.org": 2, "grey@example.org": 1,
                       "helo@example.org": 1})
        by = {event["who"]: event for event in self.refused()}
        self.assertEqual(by["blocked@example.org"]["detail"], "go away")
        out = self.say("refused")
        for wanted in ("AccessControl 1", "Accounting 1", "Greylisting", "CheckHelo"):
            self.assertIn(wanted, out)
        self.assertEqual(self.times("grey@example.org"), {"grey@example.org": 1})


    def test_reset_clears_the_counters_of_accounting(self):
        day = time.strftime("%Y-%m-%d")
        self.daemon.sql(
            policy() +
            insert("accounting", PolicyID=last("policies"), Name="a", Track="Sender:user@domain",
                   AccountingPeriod=0, MessageCountLimit=1, Verdict="REJECT") +
            insert("accounting", PolicyID=last("policies"), Name="for the bill",
                   Track="Sender:user@domain", AccountingPeriod=2) +
            insert("accounting_tracking", AccountingID=1, TrackKey="Sender:anna@example.org",
                   PeriodKey="2020-01-01", LastUpdate=1577836800, MessageCount=7,
                   MessageCumulativeSize=0))
        anna, bob = "anna@example.org", "bob@example.org"
        for who in (anna, bob):
            self.assertEqual(self.daemon.ask(sender=who, instance=f"{who}.1"), "DUNNO")
            self.assertRegex(self.daemon.ask(sender=who, instance=f"{who}.2"), "^REJECT")
        self.assertTrue(eventually(lambda: self.daemon.sql(
            "SELECT count(*) FROM accounting_tracking").strip() == "5"))
        self.assertIn("Would clear the counters of anna@example.org in accounting row 1.",
                      self.say("reset", anna, "--dry-run"))
        self.assertIn("Cleared the counters of anna@example.org in accounting row 1.",
                      self.say("reset", anna))
        self.assertEqual(self.daemon.ask(sender=anna, instance="after"), "DUNNO")
        self.assertRegex(self.daemon.ask(sender=bob, instance="his"), "^REJECT")
        self.assertTrue(eventually(lambda: self.daemon.sql(
            f"SELECT sum(MessageCount) FROM accounting_tracking WHERE AccountingID = 1 AND "
            f"TrackKey = 'Sender:{anna}' AND PeriodKey IN ('2020-01-01', '{day}')").strip() == "8"))
        self.assertEqual(self.daemon.sql(
            "SELECT MessageCount FROM accounting_tracking WHERE AccountingID = 2 AND "
            f"TrackKey = 'Sender:{anna}'").strip(), "2")


class Events(Case):
    """What is in the table besides refusals."""

    def kinds(self, *kinds):
        return self.daemon.query(
            f"SELECT Kind, Who, Detail, TrackKey FROM limits_events WHERE Kind IN {kinds + ('',)} "
            "ORDER BY ID")

    def test_near_is_remembered_once(self):
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 10 WHERE ID = 4")
        self.ask(7)
        self.ask(3)
        self.assertTrue(eventually(lambda: self.kinds("near")))
        self.assertEqual(self.daemon.query("SELECT Used, CounterLimit, Times FROM limits_events"),
                         [(8.0, 10.0, 1)])

    def test_near_may_be_off_or_elsewhere(self):
        daemon = self.make_daemon(self.rules +
                                  "UPDATE quotas_limits SET CounterLimit = 10 WHERE ID = 4;",
                                  options={"notify": {"near": 0}})
        daemon.ask()
        for _ in range(11):
            daemon.ask()
        self.assertTrue(eventually(lambda: daemon.query("SELECT Kind FROM limits_events")))
        self.assertEqual(daemon.query("SELECT DISTINCT Kind FROM limits_events"), [("refused",)])

    def test_a_command_that_changes_rules_is_named(self):
        self.say("send", "7/h", "--anyone")
        self.say("set", "3", "8/h")
        self.say("list")
        self.assertTrue(eventually(lambda: len(self.kinds("rules")) == 2))
        self.ask(1)
        time.sleep(2.5)
        found = self.kinds("rules")
        self.assertEqual([row[2] for row in found], ["carbonio-limits send 7/h --anyone",
                                                     "carbonio-limits set 3 8/h"])
        self.assertTrue(all(row[1] for row in found), found)

    def test_rules_typed_by_hand_are_told(self):
        self.ask(1)
        time.sleep(1.5)  # the daemon has seen the version before
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 9 WHERE ID = 4")
        self.assertTrue(eventually(lambda: self.kinds("rules")))
        [(_, who, detail, _)] = self.kinds("rules")
        self.assertEqual((who, detail),
                         (None, "not by carbonio-limits: typed by hand, or by another program"))

    def test_reset_pause_and_resume_are_told_with_who(self):
        self.ask(3)
        self.say("reset", "alice@example.org")
        self.assertEqual([(row[2], row[3]) for row in self.kinds("reset")],
                         [("carbonio-limits reset alice@example.org", "Sender:alice@example.org")])
        self.say("reset", "--limit", "3")
        self.assertEqual(self.kinds("reset")[-1][2:], ("carbonio-limits reset --limit 3", ""))
        self.say("pause", "10min", "--uncounted")
        self.assertTrue(eventually(lambda: self.kinds("paused")))
        self.say("resume")
        self.assertTrue(eventually(lambda: self.kinds("resumed")))
        (_, by, paused, _), = self.kinds("paused")
        (_, ended_by, _, _), = self.kinds("resumed")
        self.assertRegex(paused, r"^until 20\d\d-.*, mail is not counted$")
        self.assertTrue(by)
        self.assertEqual(by, ended_by)

    def test_restore_is_told_and_no_change_by_hand(self):
        copy = self.daemon.database.with_name("copy")
        self.say("backup", str(copy))
        self.say("restore", str(copy))
        self.ask(1)
        time.sleep(2.5)
        self.assertEqual([row[2] for row in self.kinds("rules")],
                         [f"carbonio-limits restore {copy}"])

    def test_a_lock_that_lasts_is_told_and_events_wait_for_its_end(self):
        self.ask(2)
        with subprocess.Popen(["sqlite3", str(self.daemon.database)], stdin=subprocess.PIPE,
                              text=True) as admin:
            admin.stdin.write("BEGIN IMMEDIATE;\n")
            admin.stdin.flush()
            time.sleep(0.5)
            deadline = time.monotonic() + 8
            answers = []
            while time.monotonic() < deadline:
                start = time.monotonic()
                answers += self.ask(1)
                self.assertLess(time.monotonic() - start, 5)
                time.sleep(0.1)
            self.assertEqual(set(answers), {"DEFER later"})
            admin.stdin.close()
            admin.wait(timeout=30)
        self.assertTrue(eventually(lambda: self.kinds("recovered")))
        self.assertEqual(len(self.kinds("trouble")), 1)
        self.wait_for({"alice@example.org": len(answers)})

    def test_a_clock_set_back_keeps_what_was(self):
        self.daemon = self.make_daemon(self.rules, start=False)
        clock = Clock(self.daemon.folder / "clock")
        self.daemon.environment.update(clock.environment())
        self.daemon.start()
        self.assertEqual(self.ask(3).count("DEFER later"), 1)
        self.wait_for({"alice@example.org": 1})
        clock.set(-3600)
        refused = 1 + self.ask(3).count("DEFER later")
        self.assertGreater(refused, 1)
        self.wait_for_sum(refused)
        clock.set(0)
        refused += self.ask(1).count("DEFER later")
        self.wait_for_sum(refused)
        self.assertIn("alice@example.org", self.say("refused"))

    def wait_for_sum(self, wanted):
        self.assertTrue(eventually(lambda: sum(
            event["times"] for event in self.refused()) == wanted), (wanted, self.refused()))

    def test_the_perl_daemons_tables_are_as_they_were(self):
        copy = self.daemon.database.with_name("perl")
        self.say("backup", str(copy))
        self.ask(3)
        self.wait_for({"alice@example.org": 1})

        def tables(database):
            return subprocess.run(
                ["sqlite3", database, "SELECT name, sql FROM sqlite_master WHERE tbl_name NOT LIKE "
                 "'limits%' ORDER BY name; SELECT Version FROM limits_rules_version;"],
                capture_output=True, text=True, check=True).stdout
        self.assertEqual(tables(self.daemon.database), tables(copy))
        self.assertIn("quotas_tracking", tables(copy))


class Flood(Case):
    rules = policy() + quota(1, "MessageCumulativeSize", period=3600)  # refuses each mail

    def rss_kib(self):
        pid = int(self.daemon.pid_file.read_text())
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def test_a_hundred_thousand_senders_stay_within_the_bounds(self):
        count = 20_000 if SANITIZED else 100_000
        before = self.rss_kib()
        minutes = time.time() // 60
        at_once = 200
        with self.daemon.connect() as connection:
            for start in range(0, count, at_once):
                connection.send(b"".join(
                    format_request({**ATTRIBUTES, "instance": f"f.{number}",
                                    "sender": f"u{number}@flood.example"})
                    for number in range(start, start + at_once)))
                for _ in range(at_once):
                    self.assertEqual(connection.answer(), "DEFER later")
        self.daemon.ask(sender="after@example.org")
        minutes = time.time() // 60 - minutes + 1
        self.assertTrue(eventually(lambda: self.kinds_told()))
        rows = self.daemon.query("SELECT count(*) FROM limits_events")[0][0]
        self.assertLessEqual(rows, 10_000 * minutes + 10)
        self.assertGreater(rows, 1000)
        self.assertTrue(self.daemon.wait_for_log("of different senders came at once"))
        if not SANITIZED:
            self.assertLess(self.rss_kib() - before, 64 * 1024)
        self.assertEqual(self.daemon.ask(), "DEFER later")

    def kinds_told(self):
        return self.daemon.query("SELECT 1 FROM limits_events WHERE Kind = 'trouble'")

    def test_the_table_holds_a_hundred_thousand_rows(self):
        self.daemon.stop()
        self.daemon.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101000) "
            "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
            "LastSeen, Times) SELECT i, 'refused', 'Quotas', 4, 'Sender:u' || i, 'defer', "
            "unixepoch() * 1000 - 200000 + i, unixepoch() * 1000 - 200000 + i, 1 FROM n;")
        self.daemon.start()
        self.ask(1)
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT count(*) FROM limits_events")[0][0] <= 100_000))
        start = time.monotonic()
        self.say("refused")
        self.say("usage")
        self.assertLess(time.monotonic() - start, 20)


if __name__ == "__main__":
    unittest.main()
