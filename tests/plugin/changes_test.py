#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`changes`: what was changed, when and by whom."""

import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import DaemonTest, eventually, insert, policy, quota  # noqa: E402


class Changes(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(2, period=3600))

    def say(self, *words, status=0):
        done = self.daemon.command(*words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        return done.stdout + done.stderr

    def changes(self, *words):
        return json.loads(self.say("changes", *words, "--json"))["changes"]

    def test_nothing(self):
        self.assertEqual(self.say("changes"), "Nothing was changed in the last 30 days.\n")
        self.assertIn("Nothing was changed since 2", self.say("changes", "--since", "1h"))
        self.assertEqual(self.changes(), [])

    def test_commands_with_who_typed_them(self):
        before = time.time()
        self.say("set", "3", "5/h")
        self.daemon.ask()
        self.say("reset", "alice@example.org")
        self.say("pause", "10min")
        self.assertTrue(eventually(lambda: self.changes()[0]["kind"] == "paused"))
        self.say("resume")
        self.assertTrue(eventually(lambda: len(self.changes()) == 4))
        resumed, paused, reset, rules = self.changes()
        self.assertEqual([change["kind"] for change in (rules, reset, paused, resumed)],
                         ["rules", "reset", "paused", "resumed"])
        self.assertEqual(rules["what"], "limits changed: carbonio-limits set 3 5/h")
        self.assertIn("carbonio-limits reset alice@example.org", reset["what"])
        self.assertTrue(paused["what"].startswith("limits paused: until "), paused)
        for change in (rules, reset, paused, resumed):
            self.assertTrue(change["who"].startswith("root"), change)
            self.assertTrue(before - 1 <= change["time"] <= time.time(), change)
        self.assertEqual(self.changes("--top", "1"), [resumed])
        self.assertEqual(json.loads(self.say("changes", "--top", "1", "--json"))["found"], 4)
        text = self.say("changes", "--top", "3")
        self.assertRegex(text, r"^TIME +BY +WHAT\n\d\d:\d\d +root.* +pause ended\n")
        self.assertTrue(text.endswith("1 more; --top 4 shows them all.\n"), text)

    def test_a_reset_of_several_counters_is_one(self):
        self.daemon.sql("INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
                        f"VALUES (4, 'Sender:@example.org', {int(time.time())}, 1), "
                        f"(4, 'SASLUsername:alice@example.org', {int(time.time())}, 1);")
        self.daemon.ask()
        self.say("reset", "alice@example.org")
        [reset] = self.changes()
        self.assertGreaterEqual(reset["times"], 2)

    def test_a_block_is_one_change(self):
        self.say("block", "eve@example.org", "--for", "1h")
        self.say("unblock", "eve@example.org")
        unblocked, blocked = self.changes()
        self.assertEqual((blocked["kind"], blocked["what"]),
                         ("locked", "blocked eve@example.org: carbonio-limits block eve@example.org --for 1h"))
        self.assertEqual((unblocked["kind"], unblocked["what"]),
                         ("released", "unblocked eve@example.org: carbonio-limits unblock eve@example.org"))

    def test_by_hand(self):
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 9 WHERE ID = 4;")
        self.assertTrue(eventually(lambda: self.changes()))
        [change] = self.changes()
        self.assertEqual(change["who"], "")
        self.assertIn("typed by hand", change["what"])

    def test_control_characters(self):
        now = int(time.time() * 1000)
        self.daemon.sql(insert("limits_events", Minute=now // 60000, Kind="reset", Module="Quotas",
                               RowID=4, TrackKey="Sender:\x1b[31mx", Verdict="", FirstSeen=now,
                               LastSeen=now, Times=1, Who="a\x07", Detail="b\x1b"))
        self.assertNotRegex(self.say("changes"), "[\x00-\x09\x0b-\x1f]")

    def test_wrong_words(self):
        for words in (("--top", "0"), ("--since", "tomorrow"), ("x",)):
            self.assertEqual(self.say("changes", *words, status=1).count("\n"), 1)
        for top in ("0", "x", "-1", "1.5", "1000000001", "99999999999999999999"):
            self.assertEqual(self.say("changes", f"--top={top}", status=1),
                             f"carbonio-limits: not a valid --top: '{top}'; give a whole number from 1 to "
                             "1000000000\n")
        self.say("changes", "--top", "1000000000")


if __name__ == "__main__":
    unittest.main()
