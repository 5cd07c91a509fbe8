# SPDX-License-Identifier: AGPL-3.0-only
"""An ordered stop loses nothing: what cannot be stored then is left in a file for the next worker,
whatever the reason, and the limit holds over the restart."""

import os
import sqlite3
import subprocess
import time
import unittest

from faults_case import (
    ALICE, FaultsTest, eventually, insert, needs_root, policy, quota)

LIMIT = 60
RULES = policy() + quota(LIMIT, period=86400)
ALL = ["DUNNO"] * LIMIT + ["DEFER later"]


class Case(FaultsTest):
    def beside(self, daemon):
        return daemon.database.with_name(daemon.database.name + ".unstored")

    def in_run_folder(self, daemon):
        return daemon.pid_file.with_name(daemon.database.name + ".unstored")

    def lock(self, daemon):
        holder = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        return holder

    def assert_stored(self, daemon, count=LIMIT, key=ALICE):
        self.assertTrue(eventually(lambda: daemon.counter(key) == count),
                        f"{daemon.counter(key)} of {count} are stored")
        daemon.wait_for_log("NOTICE", "all counters that were taken over are stored")
        self.assertFalse(self.beside(daemon).exists() or self.in_run_folder(daemon).exists())


class Locked(Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_fast(RULES)
        self.assertEqual(self.ask_many(self.daemon, 10), ["DUNNO"] * 10)
        self.holder = self.lock(self.daemon)
        self.assertEqual(self.ask_many(self.daemon, 40), ["DUNNO"] * 40)

    def test_by_an_admin_who_keeps_the_lock_over_the_restart(self):
        self.daemon.restart()
        self.daemon.wait_for_log("WARNING", "50 messages could not be stored and are kept in ",
                                 "database is locked")
        self.daemon.wait_for_log("NOTICE", "took over 1 counters and 50 messages from ")
        self.assertEqual(self.ask_many(self.daemon, 11), ALL[50:])
        self.daemon.restart()
        self.assertEqual(self.daemon.ask(), "DEFER later")
        self.holder.execute("ROLLBACK")
        self.assert_stored(self.daemon)

    def test_and_the_next_worker_is_killed(self):
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.ask_many(self.daemon, 11), ALL[50:])
        self.holder.execute("ROLLBACK")
        self.assert_stored(self.daemon)

    def test_and_edited_meanwhile(self):
        self.daemon.stop()
        self.holder.execute(f"UPDATE quotas_tracking SET Counter = 15 WHERE TrackKey = '{ALICE}'")
        self.holder.execute("COMMIT")
        self.daemon.start()
        self.assert_stored(self.daemon, 55)
        self.assertEqual(self.ask_many(self.daemon, 6), ALL[55:])

    def test_a_file_that_is_not_complete_is_said_and_kept(self):
        self.daemon.stop()
        self.holder.execute("ROLLBACK")
        file = self.beside(self.daemon)
        whole = file.read_bytes()
        for name, content in (("cut", whole[:-1]), ("empty", b""), ("other", b"x" * 100),
                              ("changed", whole[:60] + b"\xff" + whole[61:])):
            with self.subTest(name):
                file.write_bytes(content)
                self.daemon.give_to_service_user()
                before = self.daemon.log().count("it is not complete; its counters are lost")
                self.daemon.start()
                self.daemon.wait_for_log("ERROR", "it is not complete; its counters are lost",
                                         count=before + 1)
                self.assertFalse(file.exists())
                self.assertTrue(file.with_name(file.name + ".damaged").exists())
                self.assertEqual(self.daemon.counter(ALICE), 10)
                self.daemon.stop()

    def test_what_another_user_puts_there_is_ignored(self):
        self.daemon.stop()
        self.holder.execute("ROLLBACK")
        file = self.beside(self.daemon)
        other = file.with_name("other")
        os.rename(file, other)
        os.symlink(other, file)
        self.daemon.start()
        self.daemon.wait_for_log("WARNING", str(file), "is ignored")
        self.assertEqual(self.daemon.counter(ALICE), 10)

    def test_messages_under_way_are_resumed(self):
        self.daemon.ask(instance="open", sender="big@example.org")
        self.daemon.restart()
        self.daemon.ask(instance="open", sender="big@example.org", queue_id="Q1",
                        protocol_state="END-OF-MESSAGE")
        self.holder.execute("ROLLBACK")
        self.assertTrue(eventually(lambda: self.daemon.query(
            "SELECT QueueID FROM session_tracking WHERE Instance = 'open'") == [("Q1",)]))
        self.assertEqual(self.daemon.counter("Sender:big@example.org"), 1)


class Accounts(Case):
    def test_accounting_and_decay_too(self):
        accounting = insert("accounting", PolicyID=6, Name="a", Track="Sender:user@domain",
                            AccountingPeriod=2, MessageCountLimit=5, Verdict="REJECT", Data="full")
        daemon = self.make_fast(policy() + accounting + quota(20, period=86400),
                                modules=("Quotas", "Accounting"),
                                options={"Quotas": {"algorithm": "decay"}})
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO"] * 2)
        holder = self.lock(daemon)
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO"] * 2)
        daemon.restart()
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "REJECT full"])
        holder.execute("ROLLBACK")
        self.assertTrue(eventually(lambda: daemon.query(
            "SELECT MessageCount FROM accounting_tracking") == [(5,)]))
        self.assertAlmostEqual(daemon.counter(ALICE), 6, delta=0.1)


class Log(Case):
    def test_the_log_is_truncated_just_before(self):
        daemon = self.make_fast(options={"database": {"check_interval": 10}})
        daemon.sql(RULES)
        self.assertEqual(self.ask_many(daemon, 50), ["DUNNO"] * 50)
        time.sleep(1)
        os.truncate(f"{daemon.database}-wal", 0)
        daemon.restart()
        self.assertEqual(self.ask_many(daemon, 11), ALL[50:])
        daemon.restart()
        self.assertEqual(daemon.counter(ALICE), LIMIT)
        self.assertEqual(daemon.sql("PRAGMA integrity_check;"), "ok\n")

    def test_the_file_is_deleted_just_before(self):
        daemon = self.make_fast(RULES)
        self.assertEqual(self.ask_many(daemon, 50), ["DUNNO"] * 50)
        time.sleep(1)
        for tail in ("", "-wal", "-shm"):
            os.unlink(f"{daemon.database}{tail}")
        daemon.restart()
        self.assertEqual(self.ask_many(daemon, 11), ALL[50:])
        daemon.restart()
        self.assertEqual(daemon.counter(ALICE), LIMIT)


@needs_root
class ReadOnly(Case):
    def test_a_disk_that_became_read_only(self):
        daemon = self.make_fast(RULES)
        folder = daemon.database.parent
        self.assertEqual(self.ask_many(daemon, 10), ["DUNNO"] * 10)
        daemon.stop()
        for arguments in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
            done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
            if done.returncode != 0:
                self.skipTest(f"cannot mount here: {done.stderr.strip()}")
            if arguments[0] == "--bind":
                self.addCleanup(subprocess.run, ["umount", "-l", folder])
        daemon.start()
        self.assertEqual(self.ask_many(daemon, 50), ["DUNNO"] * 50)
        daemon.restart()
        daemon.wait_for_log("WARNING", "are kept in ", str(self.in_run_folder(daemon)))
        self.assertEqual(self.ask_many(daemon, 11), ["DUNNO"] * 10 + ["DEFER later"])
        subprocess.run(["mount", "-o", "remount,bind,rw", folder], check=True)
        self.assertTrue(eventually(lambda: daemon.counter(ALICE) >= LIMIT))
        self.assertFalse(self.in_run_folder(daemon).exists())


if __name__ == "__main__":
    unittest.main()
