# SPDX-License-Identifier: AGPL-3.0-only
"""The database file is deleted or replaced under the running daemon: mail is still answered, limits
hold, the log reports it, and a copy of the open file replaces it, unless a sound file already has."""

import os
import sqlite3
import unittest

from faults_case import ALICE, GARBAGE, FileTest, Load, eventually, policy, quota


class Gone(FileTest):
    def test_deleted(self):
        self.play(self.daemon.database.unlink, "is gone")
        self.assertEqual(self.aside(self.daemon, "damaged"), [])

    def test_deleted_with_its_logs_and_backup(self):
        self.wait_for_backup(self.daemon)

        def remove_all():
            for path in self.daemon.database.parent.glob(self.daemon.database.name + "*"):
                path.unlink(missing_ok=True)  # the next backup may be renamed just now
        self.play(remove_all, "is gone")
        self.assertEqual(self.daemon.query("SELECT count(*) FROM policies"), [(6,)])

    def test_only_its_log_is_deleted(self):
        self.play(self.logs()[0].unlink, "-wal was deleted")

    def test_rules_changed_just_before_are_kept(self):
        self.daemon.sql("UPDATE policies SET Description = 'changed' WHERE ID = 6;")
        self.play(self.daemon.database.unlink, "is gone")
        self.assertEqual(self.daemon.query("SELECT Description FROM policies WHERE ID = 6"),
                         [("changed",)])

    def test_moved_away_for_a_moment(self):
        elsewhere = self.daemon.folder / "elsewhere"
        os.rename(self.daemon.database, elsewhere)
        os.rename(elsewhere, self.daemon.database)
        self.assertEqual(self.ask_many(self.daemon, 7), ["DUNNO"] * 6 + ["DEFER later"])
        self.assert_well(self.daemon)
        self.assert_stored(10)


class MovedOver(FileTest):
    def other(self, limit):
        """A sound database with another limit, of the same owner."""
        other = self.daemon.folder / "other"
        self.daemon.command("init", "--no-prov", "--database", str(other))
        with sqlite3.connect(other) as database:
            database.executescript(policy() + quota(limit, period=86400))
            database.execute("PRAGMA journal_mode=DELETE")
        database.close()
        self.own(other)
        return other

    def own(self, path):
        status = self.daemon.database.stat()
        os.chown(path, status.st_uid, status.st_gid)

    def test_a_sound_file_is_adopted(self):
        other = self.other(3)
        with Load(self.daemon, sender="load@example.org") as load:
            os.rename(other, self.daemon.database)
            self.daemon.wait_for_log("ERROR", "was adopted")
        self.assert_prompt(load)
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT CounterLimit FROM quotas_limits WHERE ID = 4") == [(3,)]))
        self.assert_well(self.daemon)
        # Its counters count: it has none of alice.
        self.assertEqual(self.ask_many(self.daemon, 4), ["DUNNO"] * 3 + ["DEFER later"])
        self.assert_stored(3)
        [before] = self.aside(self.daemon, "replaced")
        with sqlite3.connect(before) as database:
            self.assertEqual(database.execute(
                f"SELECT Counter FROM quotas_tracking WHERE TrackKey = '{ALICE}'").fetchall(),
                [(4,)])
        database.close()

    def test_garbage_is_not(self):
        other = self.daemon.folder / "other"
        other.write_bytes(GARBAGE)
        self.own(other)
        self.play(lambda: os.rename(other, self.daemon.database), "another file")
        [kept] = self.aside(self.daemon, "damaged")
        self.assertEqual(kept.read_bytes(), GARBAGE)


if __name__ == "__main__":
    unittest.main()
