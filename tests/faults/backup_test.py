# SPDX-License-Identifier: AGPL-3.0-only
"""Automatic backups, their use at a start, `carbonio-limits restore`, and rule tables that were
recreated."""

import sqlite3
import unittest

from faults_case import ALICE, GARBAGE, RULES, FaultsTest, Load, eventually, policy, quota


class AtStart(FaultsTest):
    def test_a_damaged_file_is_replaced_by_the_backup(self):
        daemon = self.make_fast(RULES)
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 4)
        self.wait_for_backup(daemon)
        daemon.stop()
        with open(daemon.database, "r+b") as file:
            file.write(GARBAGE)
        daemon.start()
        self.assertEqual(daemon.ask(sender="new@example.org"), "DUNNO")
        self.assertEqual(daemon.query("SELECT CounterLimit FROM quotas_limits WHERE ID = 4"),
                         [(10,)])
        daemon.wait_for_log("ERROR", str(self.backup_of(daemon)))
        [kept] = self.aside(daemon, "damaged")
        self.assertEqual(kept.read_bytes()[:len(GARBAGE)], GARBAGE)

    def test_a_missing_one_is_replaced_by_a_fresh_one(self):
        daemon = self.make_fast(RULES)
        self.ask_many(daemon, 4)
        self.wait_for_backup(daemon)
        daemon.stop()
        daemon.database.unlink()
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(daemon.query("SELECT max(ID) FROM policies"), [(5,)])
        daemon.wait_for_log("WARN", "restore", str(self.backup_of(daemon)))


class Backup(FaultsTest):
    def test_it_is_a_sound_copy_of_the_same_mode_and_owner(self):
        daemon = self.make_fast(RULES)
        daemon.database.chmod(0o640)
        daemon.sql("UPDATE policies SET Description = 'changed' WHERE ID = 6;")
        daemon.restart()
        daemon.sql("UPDATE policies SET Description = 'changed again' WHERE ID = 6;")
        copy = self.backup_of(daemon)

        def description():
            with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as database:
                found = database.execute("SELECT Description FROM policies WHERE ID = 6").fetchall()
            database.close()
            return found
        self.assertTrue(eventually(copy.exists))
        self.assertTrue(eventually(lambda: description() == [("changed again",)]))
        for field in ("st_uid", "st_gid"):
            self.assertEqual(getattr(copy.stat(), field), getattr(daemon.database.stat(), field))
        self.assertEqual(copy.stat().st_mode & 0o777, 0o640)
        with sqlite3.connect(copy) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(database.execute("PRAGMA journal_mode").fetchall(), [("delete",)])
        database.close()

    def test_at_most_one_in_each_interval(self):
        daemon = self.make_fast(RULES, options={"database": {"backup_interval": 86400}})
        self.wait_for_backup(daemon)
        before = self.backup_of(daemon).stat()
        for number in range(3):
            daemon.sql(f"UPDATE policies SET Description = '{number}' WHERE ID = 6;")
            daemon.wait_for_log("NOTICE", "rules version", count=2 + number)
        daemon.restart()
        after = self.backup_of(daemon).stat()
        self.assertEqual((after.st_ino, after.st_mtime), (before.st_ino, before.st_mtime))

    def test_none_where_they_are_switched_off(self):
        daemon = self.make_fast(RULES, options={"database": {"backup_interval": 0}})
        other = self.make_fast(RULES)
        self.wait_for_backup(other)
        self.assertFalse(self.backup_of(daemon).exists())


class TablesRecreated(FaultsTest):
    def test_a_rule_table_dropped_and_recreated_is_noticed(self):
        daemon = self.make_fast(policy() + quota(3, period=86400))
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 3 + ["DEFER later"])
        [(schema,)] = daemon.query("SELECT sql FROM sqlite_master WHERE name = 'quotas_limits'")
        daemon.sql("BEGIN; CREATE TABLE kept AS SELECT * FROM quotas_limits;"
                   f"DROP TABLE quotas_limits; {schema};"
                   "INSERT INTO quotas_limits SELECT * FROM kept;"
                   "UPDATE quotas_limits SET CounterLimit = 5 WHERE ID = 4; DROP TABLE kept;"
                   "COMMIT;")
        self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 2 + ["DEFER later"])
        daemon.sql("UPDATE quotas_limits SET CounterLimit = 6 WHERE ID = 4;")
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER later"])
        daemon.wait_for_log("NOTICE", "recreated")

    def test_in_two_steps_too(self):
        daemon = self.make_fast(policy() + quota(3, period=86400))
        self.ask_many(daemon, 4)
        [(schema,)] = daemon.query("SELECT sql FROM sqlite_master WHERE name = 'quotas_limits'")
        daemon.sql("DROP TABLE quotas_limits;")
        self.assertEqual(daemon.ask(), "DEFER later")  # the previous rules stay in force
        daemon.sql(schema + ";INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit)"
                            " VALUES (4, 3, 'MessageCount', 4);")
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER later"])


class Restored(FaultsTest):
    def test_what_was_restored_is_in_force_by_the_next_request(self):
        daemon = self.make_fast(policy() + quota(5, period=86400))
        self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 3)
        copy = daemon.database.with_name("copy")
        daemon.command("backup", str(copy))
        daemon.sql("UPDATE quotas_limits SET CounterLimit = 100 WHERE ID = 4;")
        self.assertEqual(self.ask_many(daemon, 20), ["DUNNO"] * 20)
        with Load(daemon, sender="load@example.org") as load:
            daemon.command("restore", str(copy))
            self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 2 + ["DEFER later"])
        self.assertIsNone(load.broken)
        self.assertEqual(daemon.counter(ALICE), 5)


if __name__ == "__main__":
    unittest.main()
