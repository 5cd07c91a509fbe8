#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`metrics`: the daemon's figures for Prometheus, and what the alert rules in the package look at."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, eventually, policy, quota  # noqa: E402

RULES = pathlib.Path(__file__).resolve().parents[2] / "packaging/prometheus/carbonio-limits.yml"
PROMTOOL = shutil.which("promtool")
LINE = re.compile(r'carbonio_limits_(\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})?) (-?[0-9.e+-]+)')


def parse(text):
    """NAME{labels} -> value of Prometheus' text format, each with # HELP and # TYPE before it."""
    out, family = {}, ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2:] in ([family, "gauge"], [family, "counter"]), line
        else:
            found = LINE.fullmatch(line)
            assert found and line.startswith(family) and found[1] not in out, line
            out[found[1]] = float(found[2])
    return out


class MetricsTest(DaemonTest):
    """The daemon in the background, under its supervisor."""

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(2), start=False)
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace("background=no", "background=yes"))
        self.addCleanup(lambda: self.say("service", "stop", check=False))

    def say(self, *words, status=0, check=True):
        done = subprocess.run(
            [self.daemon.programs / "carbonio-limits", *words], text=True, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)})
        if check:
            self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def figures(self):
        return parse(self.say("metrics"))


class Command(MetricsTest):
    def test_follow_the_daemon(self):
        self.assertEqual(self.figures(), {"up": 0})
        self.say("service", "start")
        for _ in range(3):
            self.daemon.ask()
        self.assertTrue(eventually(lambda: self.figures()["requests_refused_total"] == 1))
        now = self.figures()
        self.assertGreaterEqual(now["requests_total"], 3)
        self.assertGreaterEqual(now["batches_total"], 3)
        self.assertLess(abs(now["start_time_seconds"] - time.time()), 600)
        for name, value in {"up": 1, "rules_read": 1, "policies": 6, "database_trouble": 0,
                            "all_mail_deferred": 0, "requests_unusable_total": 0}.items():
            self.assertEqual(now[name], value, name)
        version = self.say("--version").split()[1]
        self.assertEqual(now[f'build_info{{version="{version}"}}'], 1)
        self.say("pause")
        self.assertEqual(self.figures()["paused"], 1)
        self.say("resume")
        self.assertEqual(self.figures()["paused"], 0)
        self.say("service", "stop")
        self.assertEqual(self.figures(), {"up": 0})

    def test_a_daemon_that_does_not_answer_is_not_up(self):
        self.say("service", "start")
        self.assertEqual(self.figures()["up"], 1)
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(re.sub(r"(?m)^port=.*", "port=1", text))
        self.assertEqual(self.figures()["up"], 0)
        self.daemon.config.write_text(text)

    def test_a_file_is_replaced(self):
        file = self.daemon.folder / "carbonio-limits.prom"
        file.write_text("old")
        file.chmod(0o600)
        umask = os.umask(0o077)
        self.addCleanup(os.umask, umask)
        self.assertEqual(self.say("metrics", "--out", str(file)), "")
        self.assertEqual(parse(file.read_text()), {"up": 0})
        self.assertEqual(file.stat().st_mode & 0o777, 0o644)
        self.assertEqual([path.name for path in self.daemon.folder.glob("*.prom*")], [file.name])

    def test_wrong_use(self):
        self.assertIn("--out: the file name is empty", self.say("metrics", "--out", "", status=1))
        self.assertIn("does not accept --database",
                      self.say("metrics", "--database", "x", status=1))
        self.assertIn("cannot write /nonexistent/x.prom: No such file",
                      self.say("metrics", "--out", "/nonexistent/x.prom", status=2))
        self.say("service", "status", "--prometheus", "x", status=1)


@unittest.skipUnless(PROMTOOL, "promtool is not installed: scripts/install-dependencies --full")
class Promtool(MetricsTest):
    def check(self, text):
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_finds_nothing_wrong(self):
        self.check(self.say("metrics"))
        self.say("service", "start")
        self.daemon.ask()
        self.check(self.say("metrics"))

    def test_takes_the_alert_rules(self):
        done = subprocess.run([PROMTOOL, "check", "rules", RULES], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{RULES.read_text().count('- alert: ')} rules found", done.stdout)


class AlertRules(MetricsTest):
    def test_look_at_nothing_else(self):
        self.say("service", "start")
        known = {f"carbonio_limits_{name}" for name in self.figures()}
        expressions = re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE)
        self.assertEqual(len(expressions), RULES.read_text().count("- alert: "))
        for expression in expressions:
            used = set(re.findall(r"\b(?:carbonio|node)_\w+", expression))
            self.assertTrue(used and used <= known | {"node_textfile_mtime_seconds"}, expression)


if __name__ == "__main__":
    unittest.main()
