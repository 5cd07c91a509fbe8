# SPDX-License-Identifier: AGPL-3.0-only
"""The database on a small disk, under load, which is filled and freed again and again, also over
ordered restarts: nothing that was counted is lost, for no sender."""

import collections
import os
import pwd
import random
import subprocess
import time
import unittest

from faults_case import FULL, FaultsTest, eventually, needs_root, policy, quota, service_user

MIB = 1024 * 1024
AT_ONCE = 200


@needs_root
class SmallDisk(FaultsTest):
    def setUp(self):
        super().setUp()
        self.counted = collections.Counter()
        self.random = random.Random(7)

    def make(self, mib, counter_limit=1_000_000):
        daemon = self.make_fast(policy() + quota(counter_limit, period=86400), start=False,
                                options={"database": {"backup_interval": 0}})
        daemon.sql("PRAGMA journal_mode=DELETE;")
        folder = daemon.database.parent
        content = daemon.database.read_bytes()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0755", "tmpfs",
                               folder], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        daemon.database.write_bytes(content)
        entry = pwd.getpwnam(service_user())
        for path in (folder, daemon.database):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        daemon.start()
        return daemon

    def fill(self, daemon):
        with open(daemon.database.with_name("ballast"), "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def free(self, daemon):
        daemon.database.with_name("ballast").unlink()

    def load(self, daemon, requests, senders):
        with daemon.connect() as connection:
            for _ in range(0, requests, AT_ONCE):
                names = [f"u{self.random.randrange(senders)}@example.org" for _ in range(AT_ONCE)]
                connection.send(b"".join(self.request(sender=name) for name in names))
                for name in names:
                    self.assertEqual(connection.answer(), "DUNNO")
                    self.counted[f"Sender:{name}"] += 1

    def stored(self, daemon):
        try:
            return dict(daemon.query("SELECT TrackKey, Counter FROM quotas_tracking"))
        except Exception:  # while the disk is full the log's index cannot be made
            return {}

    def assert_all_stored(self, daemon):
        self.assertTrue(eventually(lambda: self.stored(daemon) == self.counted),
                        self.difference(daemon))
        self.assertEqual(daemon.sql("PRAGMA integrity_check;"), "ok\n")

    def difference(self, daemon):
        stored = self.stored(daemon)
        wrong = [(key, count, stored.get(key)) for key, count in self.counted.items()
                 if stored.get(key) != count]
        return f"{len(wrong)} of {len(self.counted)} senders differ, such as {wrong[:3]}"

    def play(self, mib, senders, requests):
        daemon = self.make(mib)
        if not FULL:
            requests //= 4
        for number in range(4 if FULL else 2):
            self.load(daemon, requests, senders)  # the log alone must not fill the disk
            self.assert_all_stored(daemon)
            self.assert_well(daemon)
            self.fill(daemon)
            self.load(daemon, requests // 4, senders)
            if number % 2 == 1:
                daemon.restart()
                self.load(daemon, requests // 8, senders)
            self.free(daemon)
            self.assert_all_stored(daemon)
            self.assert_well(daemon)
        daemon.restart()
        self.assert_all_stored(daemon)

    def test_4_mib(self):
        self.play(4, 2_000, 20_000)

    def test_24_mib(self):
        self.play(24, 20_000, 40_000)

    def test_64_mib(self):
        self.play(64, 60_000, 60_000)

    def test_a_limit_holds_over_a_restart_on_a_full_disk(self):
        daemon = self.make(4, counter_limit=60)
        self.assertEqual(self.ask_many(daemon, 10), ["DUNNO"] * 10)
        self.fill(daemon)
        self.assertEqual(self.ask_many(daemon, 20), ["DUNNO"] * 20)
        self.load(daemon, 4_000, 1_000_000)
        daemon.restart()
        self.assertEqual(self.ask_many(daemon, 31), ["DUNNO"] * 30 + ["DEFER later"])
        self.free(daemon)
        self.assertTrue(eventually(lambda: self.stored(daemon).get("Sender:alice@example.org") == 60))
        self.assertEqual([line for line in daemon.log().splitlines()
                          if "messages could not be stored and are lost" in line], [])

    def test_more_counters_than_the_disk_holds_outlive_a_restart(self):
        daemon = self.make(4)
        self.load(daemon, 60_000, 40_000)
        daemon.restart()
        daemon.wait_for_log("NOTICE", "took over ")
        self.load(daemon, 2_000, 40_000)
        subprocess.run(["mount", "-o", "remount,size=64m", daemon.database.parent], check=True)
        self.assert_all_stored(daemon)
        self.assert_well(daemon)


if __name__ == "__main__":
    unittest.main()
