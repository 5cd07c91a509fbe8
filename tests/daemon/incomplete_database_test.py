# SPDX-License-Identifier: AGPL-3.0-only
"""Databases that lack tables or columns: of PolicyD 2.0, made without some modules, or with tables
dropped. The daemon adds what is missing, at its start or while it runs, and limits stay."""

import json
import os
import subprocess
import time
import unittest

from daemon_case import (
    ALICE, DaemonTest, article, bin_dir, eventually, insert, policy, quota)

DEFERRED = f"DEFER {article.SEND_TEXT}"
MODULES = ("accounting", "accounting_tracking", "access_control", "amavis_rules", "checkhelo",
           "checkhelo_blacklist", "checkhelo_whitelist", "checkhelo_tracking", "checkspf",
           "greylisting", "greylisting_whitelist", "greylisting_autowhitelist",
           "greylisting_autoblacklist", "greylisting_tracking")
# What 2.1 has and 2.0 has not.
POLICYD_20 = ("ALTER TABLE quotas DROP COLUMN LastQuota;"
              "DROP TABLE accounting; DROP TABLE accounting_tracking;"
              "ALTER TABLE session_tracking RENAME COLUMN UnixTimestamp TO Timestamp;")


def schema(daemon):
    """Tables and their columns."""
    return set(daemon.query("SELECT m.name, lower(c.name) FROM sqlite_master m, "
                            "pragma_table_info(m.name) c WHERE m.type = 'table'"))


class Case(DaemonTest):
    def perl_database(self, sql=""):
        """A stopped daemon on a database as the Perl daemon leaves it, and then changed by `sql`."""
        daemon = self.make_daemon(start=False)
        ours = daemon.query("SELECT type, name FROM sqlite_master WHERE name LIKE 'limits\\_%'"
                            " ESCAPE '\\' AND type IN ('trigger', 'table') ORDER BY type DESC")
        daemon.sql("".join(f"DROP {kind} {name};" for kind, name in ours) +
                   "ALTER TABLE quotas_tracking DROP COLUMN State;"
                   "PRAGMA journal_mode=DELETE;" + article.POLICY + article.SEND + sql)
        daemon.give_to_service_user()
        return daemon


class AtTheStart(Case):
    def test_whatever_is_missing_is_added_and_the_limit_holds(self):
        whole = schema(self.make_daemon())
        cases = {
            "PolicyD 2.0": POLICYD_20,
            "no accounting": "DROP TABLE accounting;",
            "no modules": "".join(f"DROP TABLE {table};" for table in MODULES),
            "no counters": "DROP TABLE quotas_tracking;",
            "no sessions": "DROP TABLE session_tracking;",
            "no LastQuota": "ALTER TABLE quotas DROP COLUMN LastQuota;",
            "no comments": "ALTER TABLE policy_members DROP COLUMN Comment;",
            "another spelling": "ALTER TABLE policies RENAME TO p; ALTER TABLE p RENAME TO Policies;",
        }
        for name, sql in cases.items():
            with self.subTest(name):
                daemon = self.perl_database(sql)
                before = daemon.query("SELECT Name, Period, Verdict, Data FROM quotas")
                daemon.start()
                self.assertEqual(self.ask_many(daemon, 11), ["DUNNO"] * 10 + [DEFERRED])
                self.assertEqual(daemon.counter(ALICE), 10)
                self.assertEqual(daemon.query("SELECT Name, Period, Verdict, Data FROM quotas"),
                                 before)
                self.assertEqual({(table.lower(), column) for table, column in schema(daemon)},
                                 {(table.lower(), column) for table, column in whole})
                self.assertEqual(daemon.query("SELECT DISTINCT LastQuota FROM quotas"), [(0,)])

    def test_it_is_said_once(self):
        daemon = self.perl_database(POLICYD_20)
        daemon.start()
        daemon.wait_for_log("NOTICE", "added to the database:", "quotas.LastQuota",
                            "session_tracking.UnixTimestamp", "table accounting")
        daemon.restart()
        daemon.wait_for_log("cbpolicyd", "started, pid", count=2)
        self.assertEqual(daemon.log().count("added to the database"), 1)
        self.assertNotIn("ERROR", daemon.log())

    def test_the_times_of_old_messages_stay_and_new_ones_are_written(self):
        daemon = self.perl_database(POLICYD_20 + "INSERT INTO session_tracking (Instance, Timestamp)"
                                                 " VALUES ('old', 12345);")
        daemon.start()
        daemon.ask(instance="new")
        daemon.ask(instance="new", protocol_state="END-OF-MESSAGE", queue_id="Q1")
        rows = dict(daemon.query("SELECT Instance, UnixTimestamp FROM session_tracking"))
        self.assertEqual(rows["old"], 12345)
        self.assertLess(abs(rows["new"] - time.time()), 60)

    def test_doctor_says_what_is_missing_and_its_fix_is_enough(self):
        daemon = self.perl_database(POLICYD_20)
        before = self.limits(daemon)
        found = daemon.command("doctor", check=False).stdout
        self.assertIn("quotas.LastQuota", found)
        self.assertNotIn("init", found)
        daemon.start()  # as `service restart` does
        self.assertNotIn("missing", daemon.command("doctor", check=False).stdout)
        self.assertEqual(self.limits(daemon), before)

    def limits(self, daemon):
        return json.loads(daemon.command("list", "--json").stdout)["limits"]

    def test_a_database_of_another_program_is_left_alone(self):
        daemon = self.make_daemon(start=False, database=False)
        daemon.sql("CREATE TABLE notes (text); CREATE TABLE policies (text);")
        daemon.give_to_service_user()
        daemon.start()
        self.assertEqual(daemon.ask(), "DEFER Mail limits cannot be read at the moment; please try "
                                       "again later")
        daemon.wait_for_log("ERROR", "is not a CBPolicyD database")
        self.assertEqual(daemon.query("SELECT name FROM sqlite_master ORDER BY 1"),
                         [("notes",), ("policies",)])
        self.assertIn("is not a CBPolicyD database", daemon.command("doctor", check=False).stdout)

    def test_restore_takes_an_incomplete_copy(self):
        old = self.perl_database(POLICYD_20)
        daemon = self.make_daemon()
        daemon.command("restore", str(old.database))
        self.assertTrue(eventually(lambda: daemon.ask() == DEFERRED))
        self.assertEqual(schema(daemon), schema(self.make_daemon()))


class WhileItRuns(Case):
    def test_dropped_tables_are_recreated_and_limits_stay(self):
        for table in ("quotas_tracking", "accounting", "session_tracking", "checkspf"):
            with self.subTest(table):
                daemon = self.make_daemon(article.POLICY + article.SEND)
                self.ask_many(daemon, 2)
                daemon.sql(f"DROP TABLE {table};")
                self.assertEqual(daemon.ask(), "DUNNO")
                self.assertTrue(eventually(
                    lambda: daemon.query("SELECT name FROM sqlite_master WHERE name = ?"
                                         .replace("?", f"'{table}'"))))
                daemon.wait_for_log("WARNING", "added empty", f"table {table}")
                daemon.ask(sender="x@y.example")
                self.assertTrue(eventually(lambda: daemon.counter("Sender:x@y.example") == 1))
                answers = self.ask_many(daemon, 11)
                self.assertEqual(answers.count(DEFERRED), len(answers) - answers.index(DEFERRED))
                self.assertIn(DEFERRED, answers)

    def test_a_script_may_drop_and_recreate_a_table(self):
        daemon = self.make_daemon(article.POLICY + article.SEND)
        daemon.ask()
        (made,), = daemon.query("SELECT sql FROM sqlite_master WHERE name = 'quotas'")
        daemon.sql("CREATE TABLE kept AS SELECT * FROM quotas; DROP TABLE quotas;")
        for _ in range(20):  # the previous rules apply, and nobody else makes the table
            self.assertEqual(daemon.ask(sender="x@y.example", instance="same"), "DUNNO")
            time.sleep(0.1)
        daemon.sql(f"{made}; INSERT INTO quotas SELECT * FROM kept;")
        self.assertEqual(self.ask_many(daemon, 10), ["DUNNO"] * 9 + [DEFERRED])
        self.assertNotIn("added empty", daemon.log())


class CleanUp(Case):
    def cleanup(self, daemon):
        return subprocess.run([bin_dir() / "cbpadmin", f"--config={daemon.config}", "--cleanup"],
                              text=True, capture_output=True, timeout=60,
                              env={**os.environ, **daemon.environment})

    def test_the_other_tables_are_cleaned(self):
        daemon = self.perl_database(
            "ALTER TABLE session_tracking RENAME COLUMN UnixTimestamp TO Timestamp;"
            "DROP TABLE greylisting_tracking;"
            "INSERT INTO session_tracking (Instance, Timestamp) VALUES ('old', 1);" +
            insert("quotas_tracking", QuotasLimitsID=4, TrackKey=ALICE, LastUpdate=1, Counter=1))
        done = self.cleanup(daemon)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("session_tracking: no such column: UnixTimestamp", done.stderr)
        self.assertRegex(done.stdout, r"greylisting_tracking +0 rows, +since there is no such table")
        self.assertEqual(daemon.query("SELECT count(*) FROM quotas_tracking"), [(0,)])
        daemon.start()
        done = self.cleanup(daemon)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(daemon.query("SELECT count(*) FROM session_tracking"), [(0,)])


if __name__ == "__main__":
    unittest.main()
