# SPDX-License-Identifier: AGPL-3.0-only
"""The database cannot be written: another process holds its lock, a reader keeps the log growing,
the disk is full. The daemon answers from memory, limits hold, the log reports it, and all counters
are stored afterwards.

That a lock by itself does no harm is tested in tests/daemon/trouble_test.py."""

import os
import pwd
import sqlite3
import subprocess
import time
import unittest

from faults_case import (
    ALICE, FULL, FaultsTest, Load, eventually, needs_root, policy, quota, service_user)

MINUTE_S = 60 if FULL else 3
NOTED_AFTER_S = 5  # shorter trouble is no event
MIB = 1024 * 1024


class Locked(FaultsTest):
    def test_the_log_repeats_a_lock_and_status_shows_it(self):
        daemon = self.make_fast(policy() + quota(10, period=86400))
        holder = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        with Load(daemon, sender="load@example.org", pause_s=0.02) as load:
            self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 4)
            daemon.wait_for_log("ERROR", "database trouble", "locked")
            self.assertTrue(eventually(lambda: self.trouble(daemon)))
            time.sleep(MINUTE_S)
            daemon.wait_for_log("ERROR", "trouble continues", "locked", count=2)
            self.assertEqual(daemon.counter(ALICE), 0)
            holder.execute("ROLLBACK")
            self.assertTrue(eventually(lambda: daemon.counter(ALICE) == 4))
        self.assert_prompt(load)
        self.assertEqual(load.answers[:11], ["DUNNO"] * 10 + ["DEFER later"])
        self.assert_well(daemon)
        self.assertEqual(daemon.counter("Sender:load@example.org"), 10)

    def test_a_hundred_thousand_counters_are_stored_without_delaying_answers(self):
        count = 100_000 if FULL else 10_000
        daemon = self.make_fast(policy() + quota(10, period=86400))
        holder = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        with daemon.connect() as connection:
            for start in range(0, count, 200):
                connection.send(b"".join(self.request(sender=f"u{number}@example.org")
                                         for number in range(start, start + 200)))
                for _ in range(200):
                    self.assertEqual(connection.answer(), "DUNNO")
        with Load(daemon, sender="load@example.org") as load:
            holder.execute("ROLLBACK")
            self.assertTrue(eventually(lambda: daemon.query(
                "SELECT count(*) FROM quotas_tracking WHERE TrackKey LIKE 'Sender:u%'") ==
                [(count,)]))
        self.assert_prompt(load)
        self.assert_well(daemon)
        print(f"\nthe slowest answer while {count} counters were stored: "
              f"{load.slowest * 1000:.1f} ms")


class StuckReader(FaultsTest):
    def test_the_log_stays_bounded_and_all_is_stored_afterwards(self):
        daemon = self.make_fast(policy() + quota(30, period=86400),
                                options={"database": {"largest_log": 1}})
        reader = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM policies").fetchall()
        log = daemon.database.with_name(daemon.database.name + "-wal")
        with Load(daemon, sender="load@example.org") as load, daemon.connect() as connection:
            number = 0
            while not any("has grown" in line for line in daemon.log().splitlines()):
                number += 1
                self.assertLess(number, 20_000, "it is not noticed")
                self.assertEqual(connection.ask(instance=f"many.{number}",
                                                sender=f"u{number}@example.org"), "DUNNO")
            size = log.stat().st_size
            self.assertGreater(size, MIB)
            for later in range(2000):
                connection.ask(instance=f"later.{later}", sender=f"v{later}@example.org")
            self.assertEqual(log.stat().st_size, size, "it still grows")
            self.assertTrue(eventually(lambda: self.trouble(daemon)))
            time.sleep(MINUTE_S)
            daemon.wait_for_log("ERROR", "trouble continues", "has grown", count=2)
            self.assertEqual(self.ask_many(daemon, 5), ["DUNNO"] * 5)
            reader.execute("ROLLBACK")
            self.assertTrue(eventually(lambda: daemon.counter(ALICE) == 5))
        self.assert_prompt(load)
        self.assertEqual(load.answers[:31], ["DUNNO"] * 30 + ["DEFER later"])
        self.assert_well(daemon)
        self.assertEqual(daemon.query("SELECT count(*), sum(Counter) FROM quotas_tracking WHERE "
                                      "TrackKey LIKE 'Sender:v%'"), [(2000, 2000)])


@needs_root
class FullDisk(FaultsTest):
    def mount(self, daemon):
        """Puts the database on a disk of two MiB."""
        folder = daemon.database.parent
        content = daemon.database.read_bytes()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", folder],
                              capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        daemon.database.write_bytes(content)
        for path in (folder, daemon.database):
            entry = pwd.getpwnam(service_user())
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def test_decisions_continue_and_all_is_stored_once_there_is_room(self):
        daemon = self.make_fast(policy() + quota(10, period=86400), start=False,
                                options={"database": {"backup_interval": 0}})
        daemon.sql("PRAGMA journal_mode=DELETE;")
        self.mount(daemon)
        daemon.start()
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO"] * 2)
        ballast = daemon.database.with_name("ballast")
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        with Load(daemon, sender="load@example.org") as load, daemon.connect() as connection:
            number = 0
            # At first a smaller batch may fit where one did not.
            while "full" not in (self.trouble(daemon) or ""):
                number += 1
                self.assertLess(number, 50_000, "the disk is not full")
                self.assertEqual(connection.ask(instance=f"many.{number}",
                                                sender=f"u{number}@example.org"), "DUNNO")
            self.assertEqual(self.ask_many(daemon, 9), ["DUNNO"] * 8 + ["DEFER later"])
            time.sleep(max(MINUTE_S, NOTED_AFTER_S + 1))
            daemon.wait_for_log("ERROR", "trouble continues", "full", count=2)
            ballast.unlink()
            self.assertTrue(eventually(lambda: daemon.counter(ALICE) == 10))
        self.assert_prompt(load)
        self.assertEqual(load.answers[:11], ["DUNNO"] * 10 + ["DEFER later"])
        self.assert_well(daemon)
        self.assertEqual(daemon.query("SELECT count(*), sum(Counter) FROM quotas_tracking WHERE "
                                      "TrackKey LIKE 'Sender:u%'"), [(number, number)])
        self.assertEqual(daemon.sql("PRAGMA integrity_check;"), "ok\n")
        # Events have waited, too.
        refused = load.answers.count("DEFER later") + 1
        self.assertTrue(eventually(lambda: daemon.query(
            "SELECT sum(Times) FROM limits_events WHERE Kind = 'refused'") == [(refused,)]))
        self.assertTrue(eventually(lambda: daemon.query(
            "SELECT Kind FROM limits_events WHERE Module = 'Core' ORDER BY ID") ==
            [("trouble",), ("recovered",)]))
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
