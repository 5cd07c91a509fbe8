#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""How fast the first page is with 10,000 limits and 100,000 counters, beside mail, and how large the
page is in all. The promised 100 ms hold on a machine with nothing else to do, so only FULL=1 demands
them; otherwise five times as long is allowed."""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugin"))

from web_case import SANITIZED, Case, bin_dir  # noqa: E402

LIMITS = 10_000
COUNTERS = 100_000
FULL = bool(os.environ.get("FULL")) and not SANITIZED

MANY = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LIMITS})
  INSERT INTO policies (ID, Name, Priority, Description)
  SELECT 1000 + i, 'limit of u' || i || '@example.org', 50, '' FROM n;
INSERT INTO policy_members (PolicyID, Source, Destination)
  SELECT ID, 'u' || (ID - 1000) || '@example.org', 'any' FROM policies WHERE ID > 1000;
INSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict, Data)
  SELECT ID, ID, 'a quota', 'Sender:user@domain', 3600, 'DEFER', 'later' FROM policies WHERE ID > 1000;
INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit)
  SELECT ID, ID, 'MessageCount', 100 FROM policies WHERE ID > 1000;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNTERS} - 1)
  INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)
  SELECT 1001 + i % {LIMITS}, 'Sender:u' || i || '@example.org', unixepoch(), i % 100 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
  INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, LastSeen, Times,
    CounterLimit, FreeAt)
  SELECT unixepoch() / 60, 'refused', 'Quotas', 1001 + i, 'Sender:u' || i || '@example.org', 'defer',
    unixepoch() * 1000, unixepoch() * 1000, 3, 100, unixepoch() * 1000 + 3600000 FROM n;
"""


class Speed(Case):
    def setUp(self):
        super().setUp()
        self.daemon.sql(MANY)
        self.wait_for_rules(self.daemon)

    def mail(self):
        """As much as it answers, until the end."""
        with self.daemon.connect() as connection:
            while not self.over.is_set():
                connection.send(b"".join(self.request(sender=f"u{number}@example.org")
                                         for number in range(50)))
                for _ in range(50):
                    connection.answer()
                    self.answered += 1

    def test_the_first_page(self):
        page = self.signed_in("--write")
        self.over, self.answered = threading.Event(), 0
        load = threading.Thread(target=self.mail)
        load.start()
        try:
            times = []
            for _ in range(100):
                start = time.monotonic()
                status, _, html = page.ask("/")
                times.append(time.monotonic() - start)
                self.assertEqual(status, 200)
        finally:
            self.over.set()
            load.join()
        self.assertIn("example.org</th>", html)
        files = set(re.findall('(?:src|href)="(/[^"#]+)"', html))
        more = {"/" + name for name in re.findall(
            r'from "\./(\w+\.js)"', "".join(page.ask(file)[2] for file in files))}
        size = len(html) + sum(len(page.ask(file)[2].encode()) for file in files | more)
        p95 = sorted(times)[94]
        print(f"first page: {1000 * p95:.0f} ms at the 95th percentile, {1000 * min(times):.0f} ms at "
              f"best, beside {self.answered} answers to mail; {size} bytes in all", flush=True)
        self.assertLess(size, 150_000)
        self.assertLess(p95, 0.1 if FULL else 0.5 * (10 if SANITIZED else 1))

    @unittest.skipUnless(FULL and (bin_dir() / "bench_load").exists(), "needs FULL=1 and bench_load")
    def test_the_daemon_does_not_notice_it(self):
        """In pairs: without the page, and while two browsers show it and refresh it."""
        page = self.signed_in()

        def per_second():
            return json.loads(subprocess.run(
                [bin_dir() / "bench_load", "--port", str(self.daemon.port), "--connections", "10",
                 "--seconds", "4", "--warmup", "1"], check=True, capture_output=True).stdout)["per_second"]

        def refresh():
            while not self.over.wait(2.5):  # each browser does so every five seconds
                page.get("refused?since=1h&top=100")
                page.get("refused?since=1h&top=20&watched=")
        ratios = []
        for _ in range(7):
            without = per_second()
            self.over = threading.Event()
            browsers = threading.Thread(target=refresh)
            browsers.start()
            try:
                ratios.append(per_second() / without)
            finally:
                self.over.set()
                browsers.join()
        ratio = sorted(ratios)[len(ratios) // 2]
        print(f"answers to mail with the page open: {ratio:.3f} of those without (median of "
              f"{len(ratios)} pairs)", flush=True)
        self.assertGreaterEqual(ratio, 0.98)


if __name__ == "__main__":
    unittest.main()
