# SPDX-License-Identifier: AGPL-3.0-only
"""Clean-up with the real program: years of rows are removed, and reported, while the daemon answers."""

import os
import re
import statistics
import subprocess
import threading
import time
import unittest

from daemon_case import SANITIZED, DaemonTest, bin_dir, eventually, insert, policy, quota

DAY = 86400
YEARS_OF_SESSIONS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, Size,
  RecipientData) SELECT printf('%x.%d', i * 7919, i), printf('Q%X', i * 104729), {now} - i * 600,
  '192.0.2.1', 'a' || i % 1000 || '@example.org', 3, '/<bob@example.com>#0=1,6;' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)
  SELECT 4, 'Sender:a' || i || '@example.org', {now} - i * 600, 1 FROM n;
"""


class CleanupTest(DaemonTest):
    def cleanup(self, daemon, program="cbpadmin", arguments=("--cleanup",), timeout=280):
        return subprocess.run(
            [bin_dir() / program, f"--config={daemon.config}", *arguments], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
            env={**os.environ, **daemon.environment})

    def count(self, daemon, table, where="1"):
        return daemon.query(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]

    def assert_done(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


class Rows(CleanupTest):
    def setUp(self):
        super().setUp()
        self.now = int(time.time())

    def test_it_says_what_it_is_about_to_remove_and_what_went(self):
        daemon = self.make_daemon(policy() + quota(100), start=False)
        daemon.sql("".join(insert("session_tracking", Instance=f"i{days}", Sender="a@b.example",
                                  UnixTimestamp=self.now - days * DAY)
                           for days in (0, 29, 31, 400, 4000)) +
                   insert("quotas_tracking", QuotasLimitsID=4, TrackKey="Policy", Counter=1,
                          LastUpdate=self.now - 31 * DAY) +
                   insert("checkhelo_tracking", Address="192.0.2.1", Helo="x", LastUpdate=1))
        daemon.give_to_service_user()
        done = self.cleanup(daemon)
        self.assert_done(done)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 16, done.stdout)
        self.assertEqual(lines[0], f"clean-up of {daemon.database} is about to remove:")
        self.assertRegex(lines[8], r"^removed in \d+\.\d s:$")
        self.assertEqual(lines[1:8], lines[9:], "as announced")
        self.assertRegex(lines[1], r"^  session_tracking +3 rows, +ended more than 30 days ago$")
        self.assertRegex(lines[2], r"^  quotas_tracking +1 row, +last counted more than 30 days ago$")
        self.assertRegex(done.stdout, r"checkhelo_tracking +0 rows, +since no row sets")
        self.assertEqual(daemon.query("SELECT Instance FROM session_tracking ORDER BY 1"),
                         [("i0",), ("i29",)])
        self.assertEqual(self.count(daemon, "checkhelo_tracking"), 1)

    def test_the_age_of_sessions_is_configured(self):
        daemon = self.make_daemon(
            insert("session_tracking", Instance="a", UnixTimestamp=self.now - 7200), start=False,
            options={"cleanup": {"sessions": "1h"}})
        daemon.give_to_service_user()
        done = self.cleanup(daemon, "cbpolicyd")
        self.assert_done(done)
        self.assertIn("more than 1 hour ago", done.stdout)
        self.assertEqual(self.count(daemon, "session_tracking"), 0)

    def test_a_second_one_has_nothing_to_do(self):
        daemon = self.make_daemon(insert("session_tracking", Instance="a", UnixTimestamp=1))
        self.assert_done(self.cleanup(daemon))
        again = self.cleanup(daemon)
        self.assert_done(again)
        self.assertEqual(set(re.findall(r"(\d+) rows?,", again.stdout)), {"0"})

    def test_trouble_is_one_line_and_status_2(self):
        daemon = self.make_daemon(start=False)
        daemon.database.unlink()
        done = self.cleanup(daemon)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^cbp\w+: there is no database .*\n$")

    def test_wrong_use_is_status_1(self):
        daemon = self.make_daemon(start=False)
        for arguments in ((), ("--clean",), ("--cleanup", "now")):
            with self.subTest(arguments=arguments):
                done = self.cleanup(daemon, arguments=arguments)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class YearsOfRows(CleanupTest):
    def test_mail_does_not_wait(self):
        rows = 60_000
        daemon = self.make_daemon(policy() + quota(1_000_000, period=86400))
        daemon.sql(YEARS_OF_SESSIONS.format(rows=rows, now=int(time.time())))
        waits, answers, stop = [], [], threading.Event()

        def ask():
            with daemon.connect() as connection:
                number = 0
                while not stop.is_set():
                    number += 1
                    begin = time.monotonic()
                    answers.append(connection.ask(instance=f"m.{number}", sender="m@example.org"))
                    waits.append(time.monotonic() - begin)
                    time.sleep(0.002)

        mail = threading.Thread(target=ask)
        mail.start()
        try:
            done = self.cleanup(daemon)
        finally:
            stop.set()
            mail.join()
        self.assert_done(done)
        kept = 30 * DAY // 600
        for table in ("session_tracking", "quotas_tracking"):
            removed = int(re.findall(rf"{table} +(\d+) rows", done.stdout)[-1])
            self.assertTrue(rows - kept - 1 <= removed <= rows - kept + 1, done.stdout)
        self.assertTrue(kept - 1 <= self.count(daemon, "session_tracking") <= kept + 1)
        self.assertGreater(len(answers), 50, "too few mails to show anything")
        self.assertEqual(set(answers), {"DUNNO"})
        # A batch that met the clean-up's lock is answered from memory and stored in a moment.
        self.assertTrue(eventually(
            lambda: daemon.counter("Sender:m@example.org") == len(answers)),
            f"{daemon.counter('Sender:m@example.org')} of {len(answers)} are stored")
        self.assertLess(statistics.median(waits), 0.1)
        self.assertLess(max(waits), 5)
        if not SANITIZED:
            self.assertLess(max(waits), 0.5)
            self.assertLess(sorted(waits)[len(waits) * 99 // 100], 0.1)
        log = daemon.sql("PRAGMA integrity_check;")
        self.assertEqual(log, "ok\n")

    def test_the_log_of_the_database_stays_small(self):
        daemon = self.make_daemon(start=False)
        daemon.sql(YEARS_OF_SESSIONS.format(rows=60_000, now=int(time.time())))
        daemon.give_to_service_user()
        largest, stop = [0], threading.Event()

        def watch():
            wal = daemon.database.with_name(daemon.database.name + "-wal")
            while not stop.is_set():
                if wal.exists():
                    largest[0] = max(largest[0], wal.stat().st_size)
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.assert_done(self.cleanup(daemon))
        finally:
            stop.set()
            watcher.join()
        self.assertLess(largest[0], 32 << 20)


if __name__ == "__main__":
    unittest.main()
