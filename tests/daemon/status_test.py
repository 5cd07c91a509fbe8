#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The status file in the folder of the pid file: what the command can read of the running daemon."""

import json
import os
import sqlite3
import unittest

from daemon_case import DaemonTest, eventually, policy, quota


class StatusTest(DaemonTest):
    def status(self, daemon):
        file = daemon.status_file
        return json.loads(file.read_text()) if file.exists() else None

    def wait_for(self, daemon, condition):
        self.assertTrue(eventually(lambda: condition(self.status(daemon) or {})),
                        self.status(daemon))
        return self.status(daemon)

    def test_says_who_serves_and_goes_at_an_ordered_stop(self):
        daemon = self.make_daemon(policy() + quota())
        status = self.wait_for(daemon, lambda s: s.get("requests", -1) >= 0)
        self.assertEqual(status["database"], str(daemon.database))
        self.assertEqual(status["modules"], ["Quotas"])
        self.assertEqual(status["algorithm"], "window")
        self.assertIsNone(status["trouble"])
        self.assertEqual(status["rules"]["policies"], 6)
        os.kill(status["pid"], 0)
        version = status["rules"]["version"]
        daemon.sql("UPDATE policies SET Disabled = 1 WHERE ID = 5;")
        status = self.wait_for(daemon, lambda s: s["rules"]["version"] > version)
        self.assertEqual(status["rules"]["policies"], 5)
        daemon.stop()
        self.assertIsNone(self.status(daemon))

    def test_counts_refusals(self):
        daemon = self.make_daemon(policy() + quota(2))
        answers = self.ask_many(daemon, 5)
        self.assertEqual(answers, ["DUNNO"] * 2 + ["DEFER later"] * 3)
        status = self.wait_for(daemon, lambda s: s["requests"] == 5)
        self.assertEqual(status["refused"], 3)

    def test_tells_trouble_while_it_lasts(self):
        daemon = self.make_daemon(policy() + quota())
        locker = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(locker.close)
        locker.execute("BEGIN IMMEDIATE")
        self.assertEqual(daemon.ask(), "DUNNO")
        status = self.wait_for(daemon, lambda s: s["trouble"] is not None)
        self.assertIn("locked", status["trouble"]["what"])
        self.assertEqual(status["trouble"]["unstored"], 1)
        locker.execute("ROLLBACK")
        self.wait_for(daemon, lambda s: s["trouble"] is None)

    def test_is_left_by_a_daemon_that_was_killed(self):
        daemon = self.make_daemon(policy() + quota())
        pid = self.wait_for(daemon, lambda s: "pid" in s)["pid"]
        daemon.kill()
        self.assertEqual(self.status(daemon)["pid"], pid)


if __name__ == "__main__":
    unittest.main()
