#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What doctor advises is typed as it is printed. For every problem that doctor can find (the list is
read from its source) there is an example: afterwards that problem is gone, no other has come, the
rows that have changed are exactly those that the example names, and so are the limits of `list`.

An example's problem is the only one of its database, unless it names others. A fix that is a
sentence is typed as the example's `typed` completes it: it gets the sentence and returns commands
that must be in it, but for what is put in place of its capital words."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "daemon"))

import advice_host_test  # noqa: E402
import doctor_test  # noqa: E402
from advice_examples import EXAMPLES, policy  # noqa: E402
from daemon_case import DaemonTest, bin_dir, insert, limit, quota  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# Of a host where the daemon is stopped and Postfix cannot be asked.
ALWAYS = {"daemon.running"}
# What each command changes anyway.
UNCOUNTED = ("limits_rules_version", "sqlite_sequence", "sqlite_stat1", "limits_counted",
             "limits_events")


def problems() -> set:
    """The names that doctor knows."""
    text = "".join(path.read_text() for path in sorted((ROOT / "plugin/doctor").rglob("*.?pp")))
    return set(re.findall(r'Problem k\w+\{\s*"[\w.]+",\s*"([\w.]+)"\}', text) +
               re.findall(r'RowAdvice\{\s*"(rows\.[\w.]+)"', text))


class AdviceCase(DaemonTest):
    def findings(self, *arguments) -> dict:
        """The problems: name -> [finding]."""
        done = subprocess.run(
            [bin_dir() / "carbonio-limits", "doctor", "--json", *arguments], text=True,
            capture_output=True, timeout=60,
            env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.daemon.folder)})
        self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)
        found = {}
        for finding in json.loads(done.stdout)["findings"]:
            if finding["state"] == "wrong":
                found.setdefault(finding["problem"], []).append(finding)
        return found

    def rows(self) -> dict:
        """All rows: (table, rowid) -> {column: value}."""
        database = sqlite3.connect(f"file:{self.daemon.database}?mode=ro", uri=True, timeout=10)
        database.row_factory = sqlite3.Row
        try:
            tables = [name for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'") if name not in UNCOUNTED]
            return {(table, row["rowid"] if "rowid" in row.keys() else row[0]): dict(row)
                    for table in tables
                    for row in database.execute(f"SELECT rowid, * FROM {table}")}
        finally:
            database.close()

    def limits(self) -> dict:
        listed = json.loads(self.daemon.command("list", "--json").stdout)["limits"]
        return {limit["id"]: limit for limit in listed}

    def type_it(self, command: str, check=True):
        """As an admin would, in a shell. `check`: it succeeds."""
        done = subprocess.run(
            ["bash", "-c", command], text=True, capture_output=True, timeout=60,
            env={"PATH": f"{self.tools}:{os.environ['PATH']}",
                 "ZEXTRAS_HOME": str(self.daemon.folder)})
        if check:
            self.assertEqual((done.returncode, done.stderr), (0, ""), f"{command}\n{done.stdout}")

    def changes(self, before: dict, after: dict) -> list:
        out = []
        for key in sorted(set(before) | set(after), key=str):
            old, new = before.get(key), after.get(key)
            if old == new:
                continue
            name = f"{key[0]} {key[1]}"
            if new is None:
                out.append(f"{name} is gone")
            elif old is None:
                given = {column: value for column, value in new.items()
                         if column != "ID" and value not in (None, "", 0)}
                out.append(f"{name} is new: " +
                           ", ".join(f"{column} {value}" for column, value in given.items()))
            else:
                out += [f"{name}: {column} {old[column]} -> {value}"
                        for column, value in new.items() if old[column] != value]
        return out

    def prepare(self, sql: str):
        self.daemon = self.make_daemon(doctor_test.OWN_GROUPS + sql, start=False,
                                       modules=("AccessControl", "Accounting", "CheckHelo",
                                                "CheckSPF", "Greylisting", "Quotas"))
        self.tools = self.daemon.folder / "tools"
        self.tools.mkdir()
        (self.tools / "carbonio-limits").symlink_to(bin_dir() / "carbonio-limits")
        postconf = self.daemon.folder / "common/sbin/postconf"
        postconf.parent.mkdir(parents=True)
        postconf.write_text("#!/bin/sh\nexit 1\n")
        postconf.chmod(0o755)

    def try_out(self, name: str, example):
        self.prepare(example.sql)
        found = self.findings()
        self.assertIn(name, found)
        self.assertEqual(set(found) - {name} - ALWAYS, set(example.also), found)
        self.assertEqual(len(found[name]), example.count, found[name])
        before, limits = self.rows(), self.limits()
        for finding in found[name]:
            self.assertEqual(finding["command"], example.typed is None, finding)
            for command in example.typed(finding["fix"]) if example.typed else [finding["fix"]]:
                self.type_it(command)
        left = self.findings()
        self.assertNotIn(name, left)
        self.assertEqual(set(left) - set(found), set(), left)
        self.assertEqual(self.changes(before, self.rows()), example.changes)
        now = self.limits()
        self.assertEqual(sorted(key for key in set(limits) | set(now)
                                if limits.get(key) != now.get(key)), example.limits)


class Advice(AdviceCase):
    """The examples; see add_tests."""


class ToTheEnd(AdviceCase):
    """A database as admins have it after years: doctor is followed until it has no command left."""

    OLD = (
        # The article, typed twice, and once more on PolicyD's page.
        2 * (policy("any", name="\u0421arbonio CBPolicyD") + quota(10, data="Too many") +
             quota(125, track="Recipient:@domain", verdict="REJECT", data="Too many")) +
        policy("@mine.example,$*") + quota(20, period=600, data="0", last_quota="Slowly.") +
        # For one sender, with words in place of numbers.
        policy("<anna@mine.example>") + quota(1, period="1h", verdict="REJCT") +
        policy("%internal_domians,$*") + quota("1,000", track="sasl_username", period=3600) +
        policy("bob@mine.example;carl@mine.example") + quota(5, track="Policy", period=86400) +
        # What is left of statements that failed.
        insert("policies", Name="left", Priority=0) +
        insert("quotas", PolicyID=66, Name="q", Track="Policy", Period=60) + limit(1) +
        insert("quotas_limits", QuotasID=99, Type="MessageCount", CounterLimit=3) +
        insert("policy_group_members", PolicyGroupID=2, Member="more.example") +
        insert("policy_group_members", PolicyGroupID=1, Member=""))
    KEPT = sorted([(10, 60, "Sender:user@domain", "DEFER", "Too many"),
                   (125, 60, "Recipient:@domain", "REJECT", "Too many"),
                   (20, 600, "Sender:user@domain", "DEFER", "Slowly."),
                   (1, 3600, "Sender:user@domain", "REJECT", "later"),
                   (1000, 3600, "SASLUsername", "DEFER", "later"),
                   (5, 86400, "Policy", "DEFER", "later")])

    def kept(self):
        return sorted(self.daemon.query(
            "SELECT l.CounterLimit, q.Period, q.Track, q.Verdict, q.Data FROM quotas q JOIN "
            "quotas_limits l ON l.QuotasID = q.ID WHERE q.PolicyID <> 5 AND q.Disabled = 0"))

    def follow(self, at_once):
        self.prepare(self.OLD)
        for _ in range(30):
            commands = [finding["fix"] for name, findings in self.findings().items()
                        for finding in findings if finding["command"] and name not in ALWAYS]
            if not commands:
                break
            for command in commands if at_once else commands[:1]:
                self.type_it(command, check=False)
        self.assertEqual(set(self.findings()), ALWAYS)
        self.assertEqual(self.kept(), self.KEPT)

    def test_one_fix_after_another(self):
        self.follow(at_once=False)

    def test_all_fixes_of_a_run_and_then_again(self):
        self.follow(at_once=True)


class Complete(unittest.TestCase):
    def test_each_problem_has_an_example(self):
        self.maxDiff = None
        tests = [name for kind in vars(advice_host_test).values() if isinstance(kind, type)
                 for name in vars(kind)]
        on_hosts = {problem for problem in problems() if any(
            name.startswith(f"test_{problem.replace('.', '_')}") for name in tests)}
        for problem, (file, name) in advice_host_test.ELSEWHERE.items():
            self.assertIn(f"def {name}(", (ROOT / file).read_text())
            on_hosts.add(problem)
        self.assertEqual(problems() - set(EXAMPLES) - on_hosts, set())
        self.assertEqual(set(EXAMPLES) - problems(), set())
        self.assertGreater(len(problems()), 80)

    def test_each_kind_of_row_problem_has_advice(self):
        kinds = re.search(r"enum class Kind[^{]*\{(.*?)\};",
                          (ROOT / "daemon/rules/match/row_problem.hpp").read_text(), re.DOTALL)[1]
        kinds = re.findall(r"^\s*(\w+),", re.sub(r"//.*", "", kinds), re.MULTILINE)
        advised = re.findall(r"Kind::(\w+),", (ROOT / "plugin/doctor/rules/row_advice.cpp").read_text())
        self.assertGreater(len(kinds), 10)
        self.assertEqual(set(kinds) - set(advised), set())


def add_tests():
    for name, examples in EXAMPLES.items():
        for number, example in enumerate(examples, 1):
            def test(self, name=name, example=example):
                self.maxDiff = None
                self.try_out(name, example)
            setattr(Advice, f"test_{name.replace('.', '_')}_{number}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
