# SPDX-License-Identifier: AGPL-3.0-only
"""The database file is truncated, overwritten or made read-only under the running daemon: mail is
still answered, limits hold, the log reports it, and the backup replaces it, updated from memory."""

import os
import shutil
import time
import unittest

from faults_case import GARBAGE, FileTest, Load, eventually, service_user


class Damaged(FileTest):
    def setUp(self):
        super().setUp()
        self.wait_for_backup(self.daemon)

    def overwrite(self):
        with open(self.daemon.database, "r+b") as file:
            file.write(GARBAGE)

    def test_overwritten_with_garbage(self):
        self.play(self.overwrite, "is damaged")
        [kept] = self.aside(self.daemon, "damaged")
        self.assertEqual(kept.read_bytes()[:len(GARBAGE)], GARBAGE)
        self.daemon.wait_for_log("ERROR", str(self.backup_of(self.daemon)))

    def test_truncated(self):
        self.play(lambda: os.truncate(self.daemon.database, 5000), "is damaged")

    def test_truncated_to_nothing(self):
        self.play(lambda: os.truncate(self.daemon.database, 0), "is empty")

    def test_overwritten_by_cp(self):
        source = self.daemon.folder / "source"
        source.write_bytes(GARBAGE)
        self.play(lambda: shutil.copyfile(source, self.daemon.database), "is damaged")

    def test_without_a_backup_the_rules_are_those_in_memory(self):
        self.backup_of(self.daemon).unlink()
        self.play(self.overwrite, "is damaged")
        self.assertEqual(self.daemon.query("SELECT Name FROM policies WHERE ID = 6"),
                         [("a policy",)])
        self.daemon.wait_for_log("ERROR", "no sound backup")

    def test_rules_changed_after_the_backup_are_written_over_it(self):
        self.daemon.stop()
        text = self.daemon.config.read_text().replace("backup_interval=1\n",
                                                      "backup_interval=86400\n")
        self.daemon.config.write_text(text)
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), "DUNNO")  # the counters are in memory
        before = self.backup_of(self.daemon).read_bytes()
        self.daemon.sql("UPDATE policies SET Description = 'changed' WHERE ID = 6;")
        self.wait_for_rules(self.daemon)
        # Kept in memory within a moment, which has no sign outside.
        time.sleep(5)
        self.daemon.sql("UPDATE policies SET Name = 'renamed' WHERE ID = 6;")
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.wait_for_rules(self.daemon)
        time.sleep(5)
        self.assertEqual(self.backup_of(self.daemon).read_bytes(), before)
        self.play(self.overwrite, "is damaged", left=4)
        self.assertEqual(self.daemon.query("SELECT Name, Description FROM policies WHERE ID = 6"),
                         [("renamed", "changed")])


class ReadOnly(FileTest):
    @unittest.skipUnless(service_user() or os.geteuid() != 0, "root may write anything")
    def test_the_log_repeats_it_and_all_is_stored(self):
        self.daemon.database.chmod(0o444)
        self.daemon.wait_for_log("ERROR", "database trouble", "no longer writable")
        self.assertTrue(eventually(lambda: self.trouble(self.daemon)), "status does not show it")
        self.daemon.wait_for_log("ERROR", "trouble continues", "no longer writable", count=2)
        with Load(self.daemon, sender="load@example.org") as load:
            self.assertTrue(eventually(lambda: len(load.answers) > 20))
        self.assert_prompt(load)
        self.assertEqual(set(load.answers[10:]), {"DEFER later"})
        self.daemon.database.chmod(0o644)
        self.assert_well(self.daemon)
        self.assertEqual(self.ask_many(self.daemon, 7), ["DUNNO"] * 6 + ["DEFER later"])
        self.assert_stored(10)


class CannotBeReplaced(FileTest):
    @unittest.skipUnless(service_user() or os.geteuid() != 0, "root may write anything")
    def test_it_is_counted_in_memory_and_tried_again(self):
        self.wait_for_backup(self.daemon)  # it has read the rules to be kept before
        folder = self.daemon.database.parent
        folder.chmod(0o555)
        self.addCleanup(folder.chmod, 0o755)
        os.truncate(self.daemon.database, 0)
        self.daemon.wait_for_log("ERROR", "cannot be replaced")
        self.assertTrue(eventually(lambda: self.trouble(self.daemon)), "status does not show it")
        self.daemon.wait_for_log("ERROR", "trouble continues", count=2)
        self.assertEqual(self.ask_many(self.daemon, 7), ["DUNNO"] * 6 + ["DEFER later"])
        folder.chmod(0o755)
        self.assert_well(self.daemon)
        self.assert_stored(10)


if __name__ == "__main__":
    unittest.main()
