# SPDX-License-Identifier: AGPL-3.0-only
"""A database that the daemon may not write, since it is root's, or that is locked at the start: its
rules apply all the same, also those that come later, and all is stored once it can be."""

import os
import pwd
import shutil
import sqlite3
import time
import unittest

from faults_case import ALICE, FaultsTest, eventually, needs_root, policy, quota, service_user

RULES = policy() + quota(3, period=86400)
SOON_S = 5.0  # promised is a second


@needs_root
class OfRoot(FaultsTest):
    def make(self, mode="DELETE", folder=False, sql=""):
        """A daemon whose database, and perhaps its folder, belong to root."""
        daemon = self.make_fast(RULES + sql, start=False)
        daemon.sql(f"PRAGMA journal_mode={mode};")
        if mode == "DELETE":
            daemon.sql("".join(
                f"DROP {kind} {name};" for kind, name in daemon.query(
                    "SELECT type, name FROM sqlite_master WHERE name LIKE 'limits\\_%' ESCAPE '\\' "
                    "AND type IN ('trigger', 'table') ORDER BY type DESC")))
        for path in [daemon.database.parent] * folder + [*daemon.database.parent.iterdir()]:
            os.chown(path, 0, 0)
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
        return daemon

    def give_back(self, daemon):
        entry = pwd.getpwnam(service_user())
        for path in (daemon.database.parent, *daemon.database.parent.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def soon(self, condition):
        """Within seconds, not within bypass_timeout, which is 30."""
        self.assertTrue(eventually(condition, SOON_S))

    def play(self, daemon):
        daemon.start()
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 3 + ["DEFER later"])
        daemon.wait_for_log("ERROR", "database trouble", "belongs to user root, to fix: chown ",
                            "counting in memory")
        # What root changes applies.
        daemon.sql("UPDATE quotas SET Data = 'changed' WHERE ID = 3;")
        self.soon(lambda: daemon.ask() == "DEFER changed")
        daemon.sql("UPDATE quotas_limits SET CounterLimit = 5 WHERE ID = 4;")
        self.soon(lambda: daemon.ask() == "DUNNO")
        # The printed command.
        self.give_back(daemon)
        self.soon(lambda: daemon.counter(ALICE) >= 4)
        self.assert_well(daemon)
        daemon.ask()
        self.assertEqual(daemon.ask(), "DEFER changed")
        self.assertEqual(daemon.counter(ALICE), 5)
        daemon.sql("UPDATE quotas SET Data = 'by the next request' WHERE ID = 3;")
        self.assertEqual(daemon.ask(), "DEFER by the next request")

    def test_a_plain_one(self):
        self.play(self.make())

    def test_a_plain_one_in_a_folder_of_roots(self):
        self.play(self.make(folder=True))

    def test_one_in_write_ahead_mode(self):
        self.play(self.make("WAL"))

    def test_one_in_write_ahead_mode_in_a_folder_of_roots(self):
        self.play(self.make("WAL", folder=True))

    def test_a_copy_with_its_log(self):
        """As `cp -a` takes it under a daemon: the limit is in the log alone."""
        daemon = self.make("WAL", folder=True)
        database = daemon.database
        holder = sqlite3.connect(database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("PRAGMA wal_autocheckpoint=0")
        holder.execute("UPDATE quotas_limits SET CounterLimit = 1 WHERE ID = 4")
        copy = database.parent / "copy"
        copy.mkdir()
        for tail in ("", "-wal"):
            shutil.copy2(f"{database}{tail}", copy / f"copied.sqlitedb{tail}")
        daemon.config.write_text(daemon.config.read_text().replace(
            str(database), str(copy / "copied.sqlitedb")))
        daemon.start()
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER later"])
        self.assertGreater((copy / "copied.sqlitedb-wal").stat().st_size, 0, "it is left alone")

    def test_an_incomplete_one(self):
        daemon = self.make(sql="DROP TABLE accounting; DROP TABLE checkhelo_whitelist;"
                               "ALTER TABLE quotas DROP COLUMN LastQuota;")
        self.play(daemon)
        self.assertEqual(daemon.query("SELECT count(*) FROM accounting"), [(0,)])


class LockedAtTheStart(FaultsTest):
    def test_it_is_tried_again_each_second(self):
        daemon = self.make_fast(RULES, start=False)
        daemon.sql("PRAGMA journal_mode=DELETE;")
        daemon.give_to_service_user()
        holder = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN EXCLUSIVE")
        daemon.start()
        self.assertRegex(daemon.ask(), "^DEFER Mail limits cannot be read")
        time.sleep(2)
        holder.execute("ROLLBACK")
        self.assertTrue(eventually(lambda: daemon.ask() == "DUNNO", SOON_S))
        self.assertTrue(eventually(lambda: daemon.counter(ALICE) == 1, SOON_S))
        self.assert_well(daemon)


class ShortLocks(FaultsTest):
    def test_they_are_not_logged(self):
        daemon = self.make_fast(policy() + quota(100, period=86400))
        holder = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(holder.close)
        for _ in range(4):
            holder.execute("BEGIN IMMEDIATE")
            self.assertEqual(self.ask_many(daemon, 5), ["DUNNO"] * 5)
            time.sleep(0.5)
            holder.execute("ROLLBACK")
            time.sleep(0.7)
        self.assertTrue(eventually(lambda: daemon.counter(ALICE) == 20))
        self.assert_well(daemon)
        for words in ("ERROR", "writable again"):
            self.assertNotIn(words, daemon.log())


if __name__ == "__main__":
    unittest.main()
