#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Random commands, one after another: the printed statements do the same, a dry run warns the same,
repeating changes nothing, and what export writes makes the same limits in another database."""

import json
import random
import re
import sqlite3
import unittest

from plugin_case import Plugin

TARGETS = [[], ["--anyone"], ["--domain", "a.org"], ["--user", "x@a.org"],
           ["--user", "y@a.org", "z@b.org"], ["--group", "sales"], ["--client", "10.1.0.0/16"],
           ["--client", "10.1.2.3"], ["--domain", "a.org", "--from", "10.1.2.3", "192.0.2.0/24"],
           ["--user", "x@a.org", "--from", "10.1.2.3"]]
OF_SEND = [["--login", "x@a.org"], ["--login", "carl"], ["--domain", "a.org", "--anyone"],
           ["--anyone", "--from", "10.0.0.0/8", "192.0.2.1"]]
RATES = ["10/h", "20/min,200/h", "5M/day", "7/day,9M/h", "100/h",
         "9 messages/h,50 recipients/message", "25M/message", "200 distinct/day,10/h"]
STEPS = 40


class RoundTrip(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.sql("INSERT INTO policy_groups (Name) VALUES ('sales')")
        self.copy = self.home / "copy.db"

    def tables(self, database=None):
        """Without sqlite3's program, which takes longer than the command."""
        connection = sqlite3.connect(database or self.database)
        try:
            return [line for line in connection.iterdump()
                    if "limits_rules_version" not in line and "limits_events" not in line]
        finally:
            connection.close()

    def random_command(self, dice):
        ids = [str(limit["id"]) for limit in json.loads(self.run_it("list", "--json"))["limits"]
               if limit["policy_id"] > 5]
        kind = dice.random()
        if ids and kind > 0.85:
            return ["remove", *dice.sample(ids, min(len(ids), dice.choice([1, 1, 2, 3])))]
        if ids and kind > 0.75:
            return [dice.choice(["on", "off"]), dice.choice(ids)]
        if ids and kind > 0.65:
            return ["set", dice.choice(ids), dice.choice(RATES)]
        sending = dice.random() < 0.7
        target = dice.choice(TARGETS + (OF_SEND if sending else []))
        command = ["send" if sending else "receive", dice.choice(RATES), *target]
        if dice.random() < 0.5:
            pers = ["user", "domain", "client", "everyone"]
            if sending and not ("--domain" in target and "--anyone" in target):
                pers += ["account", "login"]
            command += ["--per", dice.choice(pers)]
        if dice.random() < 0.3:
            command += ["--verdict", dice.choice(["none", "reject", "hold"])]
        if dice.random() < 0.2:
            command += ["--except", "q@a.org", "%sales"]
        return command + (["--off"] if dice.random() < 0.1 else [])

    def run_printed(self, command):
        self.copy.unlink(missing_ok=True)
        with sqlite3.connect(self.database) as source, sqlite3.connect(self.copy) as copy:
            source.backup(copy)
        copy.executescript(self.run_it(*command, "--print-sql"))
        copy.close()
        source.close()
        return self.tables(self.copy)

    def check_exported(self, text):
        other = self.home / "other.db"
        for path in self.home.glob("other.db*"):
            path.unlink()
        self.run_it("init", "--no-prov", "--database", str(other))
        self.run_it("import", "-", "--database", str(other), input=text.encode())
        lines = [sorted(line for line in each.splitlines() if not line.startswith("#"))
                 for each in (text, self.run_it("export", "--database", str(other)))]
        self.assertEqual(*lines)

    def check(self, seed):
        dice = random.Random(seed)
        for step in range(STEPS):
            command = self.random_command(dice)
            with self.subTest(seed=seed, step=step, command=command):
                setting = command[0] in ("send", "receive")
                printed = self.run_printed(command) if setting else None
                warned = [[line for line in out.splitlines() if line.startswith("Warning")]
                          for out in (self.run_it(*command, "--dry-run"), self.run_it(*command))]
                self.assertEqual(*warned)
                before = self.tables()
                if setting:
                    self.assertEqual(printed, before)
                    self.assertIn("Nothing to change", self.run_it(*command))
                text = self.run_it("export")
                self.check_exported(text)
                empty = not re.search("^(send|receive) ", text, re.MULTILINE)
                self.run_it("import", "-", "--remove-others", input=text.encode(),
                            status=2 if empty else 0)
                self.assertEqual(self.tables(), before)

    def test_one_row_of_commands(self):
        self.check(5)

    def test_another(self):
        self.check(13)


if __name__ == "__main__":
    unittest.main()
