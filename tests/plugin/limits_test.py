#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""show, set, on, off, remove, export, import, reset, backup and restore on a database: what rows
they leave, and what they leave alone."""

import concurrent.futures
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from plugin_case import ARTICLE, NOBODY, PROGRAM, Plugin

TABLES = ["policies", "policy_members", "policy_groups", "policy_group_members", "quotas",
          "quotas_limits", "quotas_tracking"]
# Every kind of limit as export writes it, in the order of their IDs.
LINES = """\
send 20/min,200/h,50M/day --everyone
send 100/h --domain a.org
send 5000/day --user "o'brien@a.org"
send 10000/day --domain a.org --per domain --verdict hold --off
send 100/h --client 192.0.2.0/24 --per client
send 50/h --anyone --per account --verdict none
send 60/h --group sales --except %staff b.org boss@a.org --message 'It'\\''s {used}; "no" -- # $x'
receive 125/min --everyone
receive 60/min --user support@a.org --per user --verdict defer --name 'Help desk'
send '50 recipients/message,25M/message,30 messages/h' --user carl@b.org
send '200 distinct/day' --user dora@b.org
"""


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Limits(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.sql("INSERT INTO policy_groups (Name) VALUES ('sales'), ('staff');")

    def rows(self):
        return [self.sql(f"SELECT * FROM {table}") for table in TABLES]

    def export(self):
        return "".join(line + "\n" for line in self.run_it("export").splitlines()
                       if not line.startswith(("#", "group ")))

    def import_(self, text, *options, status=0):
        return self.run_it("import", "-", *options, status=status, input=text.encode())

    def test_export_is_what_was_imported_and_importing_it_changes_nothing(self):
        self.assertIn("11 created, 0 changed", self.import_(LINES))
        self.assertEqual(self.export(), LINES)
        before = self.files()
        self.assertIn("0 created, 0 changed, 0 removed, 11 unchanged", self.import_(LINES))
        self.assertEqual(self.files(), before)
        self.import_(LINES, "--remove-others")
        self.assertEqual(self.files(), before)

    def test_a_file_without_limits_removes_nothing(self):
        self.import_(LINES)
        before = self.files()
        for text in ("", "# send 1/h\n\n"):
            self.assertIn("contains no limits", self.import_(text, "--remove-others", status=2))
            self.assertEqual(self.files(), before)

    def test_import_shows_the_difference(self):
        self.import_(LINES)
        other = LINES.replace("100/h --domain", "150/h --domain").replace(
            "receive 125/min --everyone\n", "")
        before = self.files()
        out = self.import_(other, "--dry-run", "--remove-others")
        self.assertEqual(self.files(), before)
        for line in ("- send 100/h --domain a.org", "+ send 150/h --domain a.org",
                     "- receive 125/min --everyone", "0 would be created, 1 changed, 1 removed, 9 left unchanged"):
            self.assertIn(line, out)
        self.assertIn("not in the file", self.import_(other))
        self.assertIn("receive 125/min", self.export())
        self.import_(other, "--remove-others")
        self.assertEqual(self.export(), other)

    def test_import_reports_a_forgery_gap_once(self):
        open_ = "send 100/h --anyone\nsend 5/h --user a@a.org\nsend 6/h --user b@a.org\n"
        for options in (("--dry-run",), ()):
            out = self.import_(open_, *options)
            self.assertEqual(
                out.count("mail from outside that forges such a sender is not limited"), 1, out)
            self.assertIn("(the same is true of 1 more)", out)
        self.assertNotIn("forges", self.import_(open_))  # nothing changed
        # Two that are open for a name are still one name.
        self.assertIn("(the same is true of 1 more)",
                      self.import_("send 50/h --anyone --domain a.org\n"))
        self.assertNotIn("forges", self.import_(open_.replace("--user", "--anyone --user"),
                                                "--remove-others"))

    def test_import_names_members_that_are_not_valid(self):
        lines = b"group g a@own.example;b@own.example 10.0.0.0/99 c@own.example '<d@own.example>'\n"
        for options in (("--dry-run",), ()):
            said = " ".join(self.run_it("import", "-", *options, input=lines).split())
            self.assertIn("Note: 3 group members are not valid, such as "
                          "'a@own.example;b@own.example'; 'carbonio-limits doctor' shows what fixes them.",
                          said)
        self.assertNotIn("not valid", self.run_it("import", "-", input=lines))
        self.assertIn("Note: 1 group member is not valid, such as 'x;y'; ", " ".join(
            self.run_it("import", "-", input=b"group h x;y c@own.example\n").split()))

    def test_import_is_all_or_nothing(self):
        self.import_(LINES)
        before = self.files()
        for text, because in [("send 1/h\nsend 2/h\n", "line 2"), ("send 1/h\nlist\n", "line 2"),
                              ("send 1/h --message 'x\n", "line 1: missing closing quotation mark"),
                              ("send 1/h --dry-run\n", "cannot be used in a file"), ("send\n", "line 1"),
                              ("send 1/h --group nobody\n", "no group nobody"),
                              ("row policies Name=x Priority=1 ID=9\n", "line 1: ID is set by import"),
                              ("row policies Name=x Priority=1\nrow quotas policyid=3 Name=x\n",
                               "line 2: policyid is set by import itself; leave it out"),
                              ("\xff\x00\n", "is not UTF-8"), ("\xff\n", "line 1"), ("remove 3\n", "neither send nor receive")]:
            self.assertIn(because, self.import_("send 7/h --domain first.org\n" + text
                                                if because == "no group nobody" else text,
                                                status=2), text)
            self.assertEqual(self.files(), before)
        self.run_it("import", "/nonexistent", status=2)
        self.run_it("import", "/", status=2)

    def test_files_of_other_systems_and_of_other_kinds(self):
        for text in ("\ufeff" + LINES, LINES.replace("\n", "\r\n"), LINES.replace("\n", "\r")):
            self.assertIn(f"{len(LINES.splitlines())} ", self.import_(text))
            self.assertEqual(self.export(), LINES)
        for text in (ARTICLE, "-- limits\nBEGIN;\n", "\ufeffinsert into policies", "PRAGMA x;"):
            file = self.home / "some file.sql"
            file.write_text(text)
            err = self.run_it("import", str(file), status=2)
            self.assertIn(f"is SQL, not a file of limits; to run it: sqlite3 {self.database} < "
                          f"'{file}'; nothing was changed", err)
        self.assertIn("is not UTF-8", self.run_it("import", "-", status=2,
                                                  input=LINES.encode("utf-16")))
        self.assertIn("is a database", self.run_it("import", str(self.database), status=2))

    def test_sql_given_to_import_is_run_by_the_command_it_names(self):
        file = self.home / "article.sql"
        file.write_text(ARTICLE)
        err = self.run_it("import", str(file), status=2)
        command = err.split("to run it: ")[1].split("; nothing")[0]
        subprocess.run(command, shell=True, check=True)
        self.assertIn("10/min", self.run_it("list"))

    def test_an_export_moves_no_cursor_and_reads_back(self):
        bad = "a\\b\x1b[31m\x7f\x9b31m\x85\u202e\u2066\u2028\u00e4'\"c"
        quoted = bad.replace("'", "''")
        self.sql(f"""
            INSERT INTO policy_groups (Name) VALUES ('{quoted}'), ('--off');
            INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES
              (5, '{quoted}'), (6, '--off');
            INSERT INTO policies (Name, Priority, Description) VALUES ('{quoted}', 7, '{quoted}');
            INSERT INTO policy_members (PolicyID, Source) VALUES (6, '{quoted}');
            INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES
              (6, '{quoted}', 'Sender:user@domain', 60, 'REJECT', '{quoted}');
            INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (3, 'MessageCount', 1);
            INSERT INTO checkhelo_blacklist (Helo) VALUES ('{quoted}');""")
        text = self.run_it("export")
        self.assertTrue(all(c == "\n" or c.isprintable() for c in text), text)
        self.assertIn("\u00e4", text)
        other = str(self.home / "other.db")
        self.run_it("init", "--no-prov", "--database", other)
        self.import_(text, "--database", other)
        for query in ("Name FROM policy_groups", "Member FROM policy_group_members",
                      "Name, Description FROM policies", "Source FROM policy_members",
                      "Name, Data FROM quotas", "Helo FROM checkhelo_blacklist"):
            query = f"SELECT {query} ORDER BY 1"
            self.assertEqual(self.sql(query, other), self.sql(query), query)

    def test_a_group_without_a_name_is_left_out(self):
        self.sql("INSERT INTO policy_groups (Name) VALUES ('');"
                 "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (5, 'x@y.example');")
        text = self.run_it("export")
        self.assertIn("# a group without a name is left out", text)
        self.assertNotIn("y.example", text)
        self.assertIn("0 created", self.import_(text))

    def test_an_infinite_amount_travels(self):
        self.sql("UPDATE quotas_limits SET CounterLimit = 9e999 WHERE ID = 3;"
                 "UPDATE quotas SET Period = -9e999 WHERE ID = 2;")
        text = self.run_it("export")
        self.assertIn(" CounterLimit=9e999\n", text.replace(" Disabled=0", ""))
        other = str(self.home / "other.db")
        self.run_it("init", "--no-prov", "--database", other)
        self.import_(text, "--database", other)
        for column, table in (("CounterLimit", "quotas_limits"), ("Period", "quotas")):
            self.assertEqual(self.sql(f"SELECT typeof({column}) FROM {table} WHERE "
                                      f"typeof({column}) <> 'integer'", other), ["real"])

    def test_a_pipe_without_another_end_is_not_waited_for(self):
        fifo = self.home / "fifo"
        os.mkfifo(fifo)
        log = ("simulate", "5/h", str(fifo))
        for words, why in ((("import", str(fifo)), "is a pipe to which no one writes"),
                           (("export", str(fifo)), "no one reads this pipe"), (log, "empty")):
            self.assertIn(why, self.run_it(*words, status=2))
        self.assertIn("1 created", self.run_it(
            "-c", f"{PROGRAM} import <(sleep 0.3; echo send 7/h)", program="bash"))
        self.assertIn("send 7/h --everyone\n", self.run_it("-c", f"{PROGRAM} export >(cat) | cat",
                                                           program="bash"))

    def test_names_of_checkhelo_that_are_off_or_gone_travel(self):
        """A new database has four names in checkhelo_blacklist, which are on."""
        self.assertNotIn("checkhelo_blacklist", self.run_it("export"))
        self.sql("UPDATE checkhelo_blacklist SET Disabled = 1 WHERE Helo = 'localhost';"
                 "DELETE FROM checkhelo_blacklist WHERE Helo = '127.0.0.1';"
                 "INSERT INTO checkhelo_blacklist (Helo) VALUES ('spam.example');"
                 "INSERT INTO greylisting_whitelist (Source, Disabled) VALUES ('192.0.2.1', 1);")
        text = self.export()
        before = self.files()
        self.import_(text)
        self.assertEqual(self.files(), before)
        other = str(self.home / "other.db")
        self.run_it("init", "--no-prov", "--database", other)
        self.sql("INSERT INTO greylisting_whitelist (Source) VALUES ('192.0.2.1');", other)
        for options in (("--dry-run",), ()):
            out = self.import_(text, "--database", other, *options)
            self.assertIn("- row greylisting_whitelist Source=192.0.2.1 Disabled=0\n", out)
            self.assertIn("+ row greylisting_whitelist Source=192.0.2.1 Disabled=1\n", out)
        self.assertEqual(self.sql("SELECT Helo, Disabled FROM checkhelo_blacklist ORDER BY Helo",
                                  other),
                         ["127.0.0.1|1", "[127.0.0.1]|0", "localhost|1", "localhost.localdomain|0",
                          "spam.example|0"])
        self.assertEqual(self.sql("SELECT Source, Disabled FROM greylisting_whitelist", other),
                         ["192.0.2.1|1"])
        lines = self.run_it("export", "--database", other).splitlines()
        self.assertEqual(sorted(line for line in lines if line.startswith("row ")),
                         sorted(line for line in text.splitlines() if line.startswith("row ")))

    def test_a_long_file_takes_linear_time(self):
        """Measured as CPU time, which other programs hardly change. Ten times as many lines would
        take a hundred times as long if it were quadratic."""
        few, many = self.cpu_of_a_long_file(1_000), self.cpu_of_a_long_file(10_000)
        self.assertLess(many, 35 * few)

    def cpu_of_a_long_file(self, count):
        lines = "".join(f"send {i + 1}/h --user u{i}@d{i % 100}.org\n" for i in range(count))
        lines += "send 100/h --everyone\n"
        lines += "".join(f"send 9/h --domain d{i}.org\n" for i in range(100))
        self.setUp()  # an empty database
        before = cpu_of_children()
        self.assertIn(f"{count + 101} created", self.import_(lines))
        self.assertIn(f"{count + 101} unchanged", self.import_(lines))
        self.assertEqual(sorted(self.export().splitlines()), sorted(lines.splitlines()))
        self.run_it("list", "--json")
        self.assertIn(f"u{count - 1}@d99.org",
                      self.run_it("show", "3") + self.run_it("show", str(count + 3)))
        return cpu_of_children() - before

    def test_planning_needs_no_lock(self):
        self.import_(LINES)
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            for command in (["send", "7/h", "--dry-run"], ["remove", "3", "--dry-run"],
                            ["send", "7/h", "--print-sql"], ["send", "100/h", "--domain", "a.org"]):
                self.run_it(*command)
            self.assertIn("0 would be created, 1 changed",
                          self.import_("send 7/h --domain a.org\n", "--dry-run"))
            self.assertIn("has locked it", self.run_it("send", "7/h", status=2))

    def test_an_import_that_is_interrupted_leaves_nothing(self):
        self.import_(LINES)
        file = self.home / "many"
        file.write_text("".join(f"send {i + 1}/h --domain d{i}.org\n" for i in range(5000)))
        before = self.dump()
        for delay in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6):
            with subprocess.Popen([PROGRAM, "import", str(file)], stdout=subprocess.PIPE,
                                  env={"ZEXTRAS_HOME": str(self.home)}) as running:
                time.sleep(delay)
                running.send_signal(signal.SIGINT)
                running.communicate()
            after = self.dump()
            if len(after) > len(before) + 20_000:
                break  # all of it was written before
            self.assertEqual(after, before)
        self.assertEqual(self.sql("PRAGMA integrity_check"), ["ok"])

    def test_remove_leaves_nothing(self):
        before = self.rows()
        self.import_(LINES)
        self.sql("INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
                 "SELECT ID, 'Sender:x@a.org', 1, 1 FROM quotas_limits WHERE ID > 3")
        ids = [str(limit["id"]) for limit in json.loads(self.run_it("list", "--json"))["limits"]
               if limit["policy_id"] > 5]
        random.Random(1).shuffle(ids)
        self.assertEqual(len(ids), len(LINES.splitlines()))
        self.run_it("remove", *ids)
        self.assertEqual(self.rows(), before)

    def test_off_and_on_change_nothing_in_the_end(self):
        self.import_(LINES)
        text = self.export()
        self.assertIn("applies to o'brien@a.org again", self.run_it("off", "7"))
        self.assertIn("--off", self.export().splitlines()[2])
        self.assertIn("already off", self.run_it("off", "7"))
        self.run_it("on", "7")
        self.assertEqual(self.export(), text)

    def test_limits_created_by_hand(self):
        self.sql(ARTICLE + "UPDATE quotas SET LastQuota=1, Comment='mine' WHERE ID=3;")
        self.assertIn("LastQuota=1", self.export())  # which no command can express
        self.assertIn("receive 125/min --anyone --name", self.export())
        before = self.files()
        self.import_(self.export())
        self.assertEqual(self.files(), before)
        self.run_it("set", "3", "20/min")
        self.run_it("off", "4")
        self.assertEqual(self.sql("SELECT ID, PolicyID, Disabled, LastQuota FROM quotas WHERE ID>2"),
                         ["3|6|0|1", "4|6|1|0"])
        self.run_it("set", "2", "30/h,5M/h")  # Track SenderIP:/24 has no words
        self.assertEqual(self.sql("SELECT Track, Period FROM quotas WHERE PolicyID=5"),
                         ["Recipient:user@domain|3600", "SenderIP:/24|3600", "SenderIP:/24|3600"])
        self.run_it("remove", "4", "3")
        self.assertEqual(self.sql("SELECT count(*) FROM policies WHERE ID=6"), ["0"])

    def test_rows_that_are_not_limits_stay_unchanged(self):
        self.sql("INSERT INTO quotas (PolicyID,Name,Track) VALUES (1,'x','Policy')")
        before = self.files()
        for command in (["show", "3"], ["set", "3", "1/h"], ["on", "3"], ["remove", "3"],
                        ["remove", "1", "3"]):
            self.assertIn("row 3 of table quotas cannot be used as a limit: its period, amount or type is "
                          "missing or invalid", self.run_it(*command, status=2))
        self.assertIn("there is no limit 9", self.run_it("off", "9", status=2))
        self.assertEqual(self.files(), before)
        self.assertIn("# row 3 of table quotas", self.run_it("export"))

    def test_an_amount_below_1_is_not_shown_as_missing(self):
        for amount in ("0.5", "-1"):
            self.sql("DELETE FROM quotas WHERE ID > 2; DELETE FROM quotas_limits WHERE QuotasID > 2;"
                     "INSERT INTO quotas (ID,PolicyID,Name,Track,Period,Verdict) VALUES (3,1,'x','Policy',60,'REJECT');"
                     "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES "
                     f"(3,'MessageCount',{amount})")
            self.assertIn("row 3 of table quotas cannot be used as a limit: the period, amount or type is missing "
                          "or invalid; 'carbonio-limits", self.run_it("list"))

    def test_usage_says_what_is_not_counted(self):
        self.run_it("send", "50", "recipients/message,25M/message", "9/h")
        self.assertIn("50 recipients/message and 25M/message of limit 3 are about each message, and "
                      "have no usage.", self.run_it("usage", "--limit", "3"))
        self.run_it("set", "3", "50 recipients/message")
        self.assertIn("50 recipients/message of limit 3 is about each message, and has no usage.",
                      self.run_it("usage", "--limit", "3"))
        self.run_it("set", "3", "9 messages/h")
        self.assertEqual(self.run_it("usage", "--limit", "3").splitlines()[0],
                         "No usage of limit 3 at the moment.")

    def test_reset_says_what_has_no_counters(self):
        self.run_it("send", "50 recipients/message")
        said = "50 recipients/message of limit 3 is about each message, and has no counters."
        for command in (["--limit", "3"], ["x@a.org", "--limit", "3"], ["--limit", "3", "--dry-run"]):
            self.assertEqual(self.run_it("reset", *command).strip(), said)
        self.run_it("set", "3", "50 recipients/message,9/h")
        self.assertEqual(self.run_it("reset", "--limit", "3").strip(), "Cleared all counters of limit 3.")

    def test_distinct_recipients_typed_as_two_words(self):
        self.run_it("send", "200", "distinct/day", "--user", "x@a.org")
        self.assertIn("200 distinct/day", self.run_it("list"))
        self.run_it("set", "3", "7", "distinct/h")
        self.assertEqual(json.loads(self.run_it("show", "3", "--json"))["typed"],
                         "send '7 distinct/h' --user x@a.org")
        self.assertEqual(self.sql("SELECT Type, CounterLimit FROM quotas_limits WHERE QuotasID = 3"),
                         ["DistinctRecipients|7"])
        for limit, why in (("0 distinct/day", "an amount of 0 would let nothing through"),
                           ("1001 distinct/day", "at most 1000 distinct recipients can be counted"),
                           ("5 distinct", "the period is missing")):
            refused = self.run_it("send", limit, status=1)
            self.assertIn(why, refused)
            self.assertEqual(len(refused.splitlines()), 1, refused)

    def test_show(self):
        self.import_(LINES)
        out = self.run_it("show", "3")
        self.assertIn("Except    @a.org (limit 6, 100/h)", out)
        self.assertNotIn("another row", out)
        self.assertIn("4 is another row of limit 3 in table quotas", self.run_it("show", "4"))
        shown = json.loads(self.run_it("show", "10", "--json"))
        self.assertEqual(shown["typed"], LINES.splitlines()[5])

    def test_injected_failures_leave_the_database_bit_for_bit(self):
        self.import_(LINES)
        self.sql("INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
                 "VALUES (4, 'Sender:x@a.org', 1, 1)")
        changes = self.home / "changes"
        changes.write_text("send 30/min --everyone\nsend 7/h --user new@a.org\nreceive 1/h --user x@a.org\n")
        commands = [["set", "3", "30/min"], ["off", "6"], ["remove", "6"], ["remove", "3"],
                    ["reset", "x@a.org"], ["send", "1/h"], ["send", "1/h", "--user", "new@a.org"],
                    ["on", "8"], ["import", str(changes)], ["import", str(changes), "--remove-others"]]
        for table in TABLES:
            for what in ("INSERT", "UPDATE", "DELETE"):
                self.sql(f"CREATE TRIGGER stop BEFORE {what} ON {table} "
                         "BEGIN SELECT RAISE(ABORT, 'no room'); END")
                for command in commands:
                    before = self.files()
                    done = subprocess.run([PROGRAM, *command], capture_output=True, check=False,
                                          env={"ZEXTRAS_HOME": str(self.home)})
                    if done.returncode == 0:
                        continue
                    self.assertEqual((done.returncode, done.stderr.count(b"\n"), done.stdout),
                                     (2, 1, b""), (table, what, command))
                    self.assertIn(b"nothing was changed", done.stderr)
                    self.assertEqual(self.files(), before)
                self.sql("DROP TRIGGER stop")
                self.run_it("import", "-", "--remove-others", input=LINES.encode())
                self.assertEqual(self.export().count("\n"), LINES.count("\n"))

    def test_two_at_once_lose_nothing(self):
        self.import_("".join(f"send {i + 1}/h --domain d{i}.org\n" for i in range(16)))
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda i: self.run_it("set", str(i + 3), f"{i + 100}/h"), range(16)))
        self.assertEqual(self.export(),
                         "".join(f"send {i + 100}/h --domain d{i}.org\n" for i in range(16)))

    def test_fuzzed_words(self):
        pieces = ["3", "0", "-1", "1/h", "99999999999999999999", "'", "\";--", "\n", "a@b.c", "%", "",
                  "--limit", "--json", "--dry-run", "-", "--", "\udcff", "x" * 300, "/", "--top"]
        dice = random.Random(5)
        for _ in range(150):
            command = dice.choice(["show", "set", "on", "off", "remove", "reset", "usage", "export"])
            words = [dice.choice(pieces) for _ in range(dice.randrange(4))]
            if command == "export":
                words = words[:0]
            done = subprocess.run([PROGRAM, command, *words], capture_output=True, timeout=20,
                                  env={"ZEXTRAS_HOME": str(self.home)}, check=False)
            self.assertIn(done.returncode, (0, 1, 2), (command, words, done.stderr))
            self.assertEqual(done.stderr.count(b"\n"), int(done.returncode != 0), (command, words))
        self.assertEqual(self.sql("PRAGMA integrity_check"), ["ok"])

    def test_hostile_names_are_shown_escaped(self):
        self.sql("INSERT INTO policies (Name, Priority) VALUES ('a' || char(10, 27) || '[2J', 0);"
                 "INSERT INTO policy_members (PolicyID, Source) VALUES (6, '@a.org,' || char(27));"
                 "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES "
                 "(6,'x','Sender:' || char(7),60,'DEFER','x' || char(10));"
                 "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',1)")
        for command in (["list"], ["show", "3"], ["export"], ["off", "3"], ["set", "3", "2/h"]):
            out = self.run_it(*command)
            self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f]")


class Backup(Plugin):
    def test_backup_is_one_file_that_can_be_restored(self):
        self.init()
        self.run_it("send", "100/h")
        before = self.dump()
        copy = self.home / "copy.db"
        self.run_it("backup", str(copy))
        self.assertEqual(self.sql("PRAGMA journal_mode; PRAGMA integrity_check", copy),
                         ["delete", "ok"])
        self.assertIn("exists already", self.run_it("backup", str(copy), status=2))
        self.run_it("remove", "3")
        self.run_it("restore", str(copy))
        self.assertCountEqual(self.dump(), before)
        self.assertEqual(self.sql("PRAGMA journal_mode; PRAGMA integrity_check"), ["wal", "ok"])
        self.assertEqual(len(self.files()), 2)  # the database is unchanged

    def test_restoring_another_file_changes_nothing(self):
        self.init()
        text = self.home / "text"
        text.write_text("no database" * 1000)
        other = self.home / "other"
        self.sql("CREATE TABLE t (a)", other)
        before = self.files()
        for file in (text, other, self.home / "missing", self.home, self.database):
            self.assertIn("nothing was changed", self.run_it("restore", str(file), status=2))
            self.assertEqual(self.files(), before)

    def test_restore_reports_what_is_wrong_with_the_copy(self):
        self.init()
        missing = self.run_it("restore", str(self.home / "missing"), status=2)
        self.assertIn(f"there is no file {self.home / 'missing'}; give a copy", missing)
        self.assertNotIn("carbonio-limits init", missing)
        self.assertIn(f"{self.home} is a folder", self.run_it("restore", str(self.home), status=2))

    def test_restore_of_a_copy_that_cannot_be_written(self):
        """Its header says write-ahead, and its folder is root's: SQLite would create files there."""
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        self.run_it("send", "7/h")
        copy = self.home / "root/copy.db"
        copy.parent.mkdir(mode=0o755)
        self.run_it("release")
        shutil.copyfile(self.database, copy)
        with open(copy, "r+b") as file:
            file.seek(18)
            file.write(b"\2\2")
        copy.chmod(0o644)
        self.run_it("remove", "3")
        self.assertIn("Restored limits", self.run_it("restore", str(copy)))
        self.assertIn("send 7/h --everyone\n", self.run_it("export"))
        self.assertEqual([path.name for path in copy.parent.iterdir()], ["copy.db"])

    def test_no_advice_to_move_away_a_file_given_by_mistake(self):
        self.init()
        text = self.home / "text"
        text.write_text("no database" * 1000)
        err = self.run_it("list", "--database", str(text), status=2)
        self.assertTrue(err.endswith("file is not a database; check the file name\n"), err)
        err = self.run_it("list", "--database", str(self.home), status=2)
        self.assertIn(f"{self.home} is a folder", err)

    def test_release_leaves_one_plain_file_that_stays_our_database(self):
        self.assertIn("There is no database", self.run_it("release"))
        self.init()
        self.run_it("send", "100/h")
        before = self.dump()
        self.assertEqual(self.sql("PRAGMA journal_mode"), ["wal"])
        for _ in range(2):  # the second time nothing is left to do
            self.assertIn("is now one plain file", self.run_it("release"))
            self.assertEqual(self.sql("PRAGMA journal_mode"), ["delete"])
            self.assertEqual(list(self.files()), [self.database.name])
            self.assertEqual(self.dump(), before)
        self.run_it("set", "3", "200/h")
        self.assertIn("200/h", self.run_it("list"))

    def test_release_is_refused_while_a_program_has_the_database_open(self):
        self.init()
        with contextlib.closing(sqlite3.connect(self.database)) as reader:
            reader.execute("SELECT count(*) FROM policies").fetchall()
            self.assertIn("carbonio-limits service stop", self.run_it("release", status=2))
        self.assertEqual(self.sql("PRAGMA journal_mode"), ["wal"])
        self.run_it("release")


    def test_restore_of_a_damaged_backup_changes_nothing(self):
        self.init()
        self.run_it("send", "100/h")
        copy = self.home / "copy.db"
        self.run_it("backup", str(copy))
        content = bytearray(copy.read_bytes())
        before = self.files()
        for name, damaged in (("cut off", content[:len(content) // 2]),
                              ("garbage inside", content[:5000] + b"x" * 9000 + content[14000:])):
            with self.subTest(name):
                copy.write_bytes(damaged)
                self.assertIn("nothing was changed", self.run_it("restore", str(copy), status=2))
                self.assertEqual(self.files(), before)

    def test_restore_while_another_writes_changes_nothing(self):
        self.init()
        copy = self.home / "copy.db"
        self.run_it("backup", str(copy))
        self.run_it("send", "100/h")
        before = self.dump()
        holder = sqlite3.connect(self.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        self.assertIn("nothing was changed", self.run_it("restore", str(copy), status=2))
        holder.execute("ROLLBACK")
        holder.close()
        self.assertEqual(self.dump(), before)


@unittest.skipUnless(os.geteuid() == 0, "mounting a small disk takes root")
class FullDisk(Plugin):
    """The database's folder is a disk of its own, with no room left."""

    def setUp(self):
        super().setUp()
        folder = self.database.parent
        folder.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "none", folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"no disk can be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        self.init()
        self.run_it("send", "100/h")

    @contextlib.contextmanager
    def full(self):
        filler = self.database.parent / "filler"
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(b"x" * 4096)
        yield
        filler.unlink()

    def check(self):
        copy = self.home / "copy.db"
        self.run_it("backup", str(copy))
        many = self.home / "many"
        many.write_text("".join(f"send {i + 1}/h --domain d{i}.org\n" for i in range(300)))
        before = self.dump()
        for command in (["import", str(many)], ["restore", str(copy)], ["backup"]):
            with self.subTest(command[0]):
                with self.full():
                    err = self.run_it(*command, status=2)
                self.assertRegex(err, "disk is full|No space left")
                self.assertEqual(self.dump(), before)
        self.run_it("restore", str(copy))
        self.run_it("set", "3", "5/h")
        self.assertEqual(self.sql("PRAGMA integrity_check"), ["ok"])

    def test_no_command_does_half_of_its_work(self):
        self.check()

    def test_no_command_does_half_of_its_work_while_the_daemon_runs(self):
        reader = sqlite3.connect(self.database)
        self.addCleanup(reader.close)
        reader.execute("SELECT count(*) FROM policies").fetchall()
        self.check()


@unittest.skipUnless(os.geteuid() == 0, "becoming another user takes root")
class Owner(Plugin):
    def test_root_leaves_no_files_of_its_own(self):
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        copy = self.home / "copy"
        for command in (["send", "1/h"], ["set", "3", "2/h"], ["off", "3"], ["on", "3"],
                        ["export", str(self.home / "limits.txt")], ["backup"],
                        ["backup", str(copy)], ["restore", str(copy)], ["reset", "a@b.c"],
                        ["import", str(self.home / "limits.txt")], ["remove", "3"], ["release"]):
            self.run_it(*command)
        exported = self.home / "limits.txt"  # as any output: the user's who called
        self.assertEqual(exported.stat().st_uid, 0)
        self.assertEqual({path.stat().st_uid for path in self.home.rglob("*") if path != exported},
                         {NOBODY})

    def test_another_user_is_told_which_user_to_become(self):
        self.init()
        self.run_it("send", "1/h")
        before = self.files()
        program = self.home / "carbonio-limits"
        shutil.copy(PROGRAM, program)
        for command in (["show", "3"], ["set", "3", "2/h"], ["off", "3"], ["on", "3"],
                        ["remove", "3"], ["export"], ["import", "/dev/null"], ["reset", "a@b.c"],
                        ["backup"], ["restore", "/dev/null"], ["release"], ["usage"]):
            err = self.run_it(*command, status=2, program=program, user=NOBODY, group=NOBODY,
                              extra_groups=[], cwd="/")
            self.assertIn("run this command as root", err)
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
