#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`carbonio-limits init`: fresh databases, and fresh contents for those that are in use."""

import sqlite3
import unittest

from plugin_case import Plugin


class Init(Plugin):
    def test_makes_folder_and_database_with_default_rows(self):
        out = self.run_it("init")
        self.assertIn(f"Created the database {self.database}.", out)
        self.assertIn("were not filled in, since Carbonio is not installed", out)
        self.assertEqual(self.sql("SELECT max(ID) FROM policies; SELECT max(ID) FROM quotas;"
                                  "SELECT max(ID) FROM quotas_limits; PRAGMA journal_mode"),
                         ["5", "2", "3", "wal"])
        self.assertEqual(list(self.files()), [self.database.name])

    def test_refuses_an_existing_database(self):
        self.init()
        before = self.files()
        err = self.run_it("init", status=2)
        self.assertIn(f"database {self.database} already exists and was not changed", err)
        self.assertIn("'carbonio-limits init --force'", err)
        self.assertNotIn(" -force", err)
        self.assertEqual(self.files(), before)

    def test_force_keeps_copies_and_never_overwrites_one(self):
        self.init()
        self.run_it("send", "100/h")
        old = self.dump()
        for word in ("--force", "-force", "--force"):
            self.run_it("init", word, "--no-prov")
            self.run_it("send", "100/h")
        copies = sorted(path for path in self.database.parent.iterdir() if path != self.database)
        self.assertEqual(len(copies), 3)
        for copy in copies:
            self.assertRegex(copy.name, r"^cbpolicyd\.sqlitedb\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d)?$")
            self.assertEqual(self.dump(copy), old)
            self.assertEqual(self.sql("PRAGMA integrity_check", copy), ["ok"])

    def test_force_gives_the_live_database_fresh_contents(self):
        self.init()
        fresh = self.dump()
        self.run_it("send", "100/h")
        self.sql("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        inode = self.database.stat().st_ino
        daemon = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(daemon.close)
        query = "SELECT Version FROM limits_rules_version"
        [[version]] = daemon.execute(query).fetchall()
        self.assertEqual(daemon.execute("SELECT count(*) FROM policies").fetchall(), [(6,)])
        out = self.run_it("init", "--force", "--no-prov")
        self.assertIn("Copied the old database to ", out)
        self.assertEqual(self.database.stat().st_ino, inode)
        self.assertEqual(daemon.execute("SELECT count(*) FROM policies").fetchall(), [(5,)])
        [[now]] = daemon.execute(query).fetchall()
        self.assertGreater(now, version)
        self.assertEqual(daemon.execute("SELECT a FROM theirs").fetchall(), [(1,)])
        # The daemon goes on writing, and its triggers still fire.
        daemon.execute("UPDATE policies SET Priority = Priority")
        [[later]] = daemon.execute(query).fetchall()
        self.assertGreater(later, now)
        self.sql("DROP TABLE theirs")
        self.assertCountEqual(self.dump(), fresh)
        self.assertEqual(self.sql("PRAGMA integrity_check"), ["ok"])

    def test_force_on_a_database_of_another_page_size(self):
        for mode in ("wal", "delete"):
            with self.subTest(mode):
                self.database.unlink(missing_ok=True)
                self.init()
                fresh = self.dump()
                perl = self.database.with_name(f"perl-{mode}")
                self.sql("PRAGMA page_size=4096; VACUUM;", perl)
                self.sql("\n".join(self.sql(".dump")) + f"\nPRAGMA journal_mode={mode};", perl)
                self.run_it("send", "1/h", "--database", perl)
                self.run_it("init", "--force", "--no-prov", "--database", perl)
                self.assertCountEqual(self.dump(perl), fresh)

    def test_force_with_an_open_transaction_changes_nothing(self):
        self.init()
        other = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        before = self.dump()
        self.assertIn("locked", self.run_it("init", "--force", status=2))
        self.assertEqual(self.dump(), before)
        self.assertEqual([name for name in self.files() if "20" in name or "fresh" in name], [])

    def test_force_on_what_is_no_database_leaves_it(self):
        self.database.parent.mkdir(parents=True)
        self.database.write_text("no database at all" * 100)
        before = self.files()
        for arguments in (["init", "--force"], ["list"], ["usage"], ["send", "1/h"]):
            err = self.run_it(*arguments, status=2)
            self.assertIn("not a database", err)
            self.assertIn("carbonio-limits init", err)
            self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
