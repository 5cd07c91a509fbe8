# SPDX-License-Identifier: AGPL-3.0-only
"""The database is moved to another place, with a link under its name: the daemon follows the link,
nothing is lost, and the command does not write before it has."""

import os
import shutil
import unittest

from faults_case import ALICE, FaultsTest, eventually, policy, quota


class Moved(FaultsTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_fast(policy() + quota(10, period=86400))
        self.other = self.daemon.database.with_name("else.db")
        self.assertEqual(self.ask_many(self.daemon, 4), ["DUNNO"] * 4)

    def assert_goes_on(self, link=True):
        """With everything that was counted, and with what the command changes."""
        self.daemon.command("send", "6/day", "--anyone")
        answers = self.ask_many(self.daemon, 3)
        self.assertEqual((answers[:2], answers[2][:5]), (["DUNNO"] * 2, "DEFER"))
        self.assertTrue(eventually(lambda: self.daemon.counter(ALICE, 4) == 6))
        self.assert_well(self.daemon)
        self.daemon.restart()
        self.assertEqual(self.daemon.sql("PRAGMA integrity_check;"), "ok\n")
        self.assertNotEqual(self.daemon.ask(), "DUNNO")
        self.assertEqual(self.daemon.counter(ALICE, 4), 6)
        self.assertEqual(self.daemon.database.is_symlink(), link)

    def test_moved_behind_a_link(self):
        os.rename(self.daemon.database, self.other)
        os.symlink(self.other.name, self.daemon.database)
        self.assert_goes_on()
        self.assertFalse(self.daemon.database.with_name(
            self.daemon.database.name + "-wal").exists(), "its old log is gone")

    def test_moved_to_another_folder(self):
        folder = self.daemon.database.parent / "there"
        folder.mkdir()
        shutil.chown(folder, self.daemon.database.stat().st_uid)
        os.rename(self.daemon.database, folder / "x.db")
        os.symlink(folder / "x.db", self.daemon.database)
        self.assert_goes_on()

    def test_its_folder_is_moved(self):
        folder = self.daemon.database.parent
        os.rename(folder, folder.with_name("moved"))
        os.symlink("moved", folder)
        self.assert_goes_on(link=False)

    def test_a_link_from_the_start_and_its_file_is_lost(self):
        self.daemon.stop()
        os.rename(self.daemon.database, self.other)
        os.symlink(self.other.name, self.daemon.database)
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), "DUNNO")
        for tail in ("", "-wal", "-shm"):
            os.unlink(f"{self.other}{tail}")
        self.daemon.wait_for_log("ERROR", "was lost: replaced by")
        self.assertTrue(self.daemon.database.is_symlink() and self.other.exists())
        self.assertEqual(self.ask_many(self.daemon, 6), ["DUNNO"] * 5 + ["DEFER later"])


if __name__ == "__main__":
    unittest.main()
