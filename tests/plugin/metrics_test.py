#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`metrics`: the daemon's figures for Prometheus, and what the alert rules in the package look at."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, eventually, policy, quota  # noqa: E402

RULES = pathlib.Path(__file__).resolve().parents[2] / "packaging/prometheus/carbonio-limits.yml"
PROMTOOL = shutil.which("promtool")
LABEL = r'\w+="(?:[^"\\\n]|\\.)*"'
LINE = re.compile(r'carbonio_limits_(\w+(?:\{%s(?:,%s)*\})?) (-?[0-9.e+-]+)' % (LABEL, LABEL))


def parse(text):
    """NAME{labels} -> value of Prometheus' text format, each with # HELP and # TYPE before it."""
    out, family = {}, ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2:] in ([family, "gauge"], [family, "counter"],
                                         [family, "histogram"]), line
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
        refused = 'events_total{kind="refused",module="Quotas",limit="3",verdict="defer"}'
        self.assertEqual((now[refused], now["events_lost_total"]), (1, 0))
        self.assertEqual(now['decision_seconds_bucket{le="+Inf"}'], now["decision_seconds_count"])
        self.assertGreaterEqual(now["decision_seconds_count"], 3)
        self.assertGreater(now["decision_seconds_sum"], 0)
        self.assertEqual(now["longest_refusal_seconds"], 0)
        self.assertNotIn("@", self.say("metrics"))
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

    def test_a_limit_has_the_number_that_list_shows(self):
        self.daemon.command("send", "1/min,1/day", "--anyone")
        [limit] = [each["id"] for each in json.loads(self.say("list", "--json"))["limits"]
                   if each["rates"][0]["amount"] == 1]
        self.say("service", "start")
        for _ in range(2):
            self.daemon.ask()

        def refused_by():
            return {name for name in self.figures() if name.startswith('events_total{kind="refused"')}
        self.assertTrue(eventually(refused_by))
        self.assertEqual(refused_by(), {
            f'events_total{{kind="refused",module="Quotas",limit="{limit}",verdict="defer"}}'})

    def test_senders_are_named_if_they_are_asked_for(self):
        (self.daemon.config.parent / "carbonio-limits.conf").write_text("[metrics]\ntop_senders=2\n")
        self.say("service", "start")
        for sender, times in {"a": 3, 'q"\\\x1b\u202e\u00e4': 4, "b": 2}.items():
            for _ in range(2 + times):
                self.daemon.ask(sender=f"{sender}@example.org")
        name = 'top_senders_refused_total{module="Quotas",limit="3",counter="Sender:%s@example.org"}'
        strange = name % r'q\"\\\\x1b\\xe2\\x80\\xaeä'
        self.assertTrue(eventually(lambda: self.named() == {name % "a": 3, strange: 4}), self.named())
        (self.daemon.config.parent / "carbonio-limits.conf").write_text("")
        self.say("service", "reload")
        self.assertTrue(eventually(lambda: not self.named()))

    def named(self):
        return {name: value for name, value in self.figures().items() if "@" in name}

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


class File(MetricsTest):
    """What the daemon writes for the node exporter."""

    def setUp(self):
        super().setUp()
        self.folder = self.daemon.folder / "zmstat/prometheus"
        self.file = self.folder / "carbonio-limits.prom"

    def figures(self):
        return parse(self.file.read_text())

    def make_folder(self):
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o777)  # the daemon runs as another user

    def own_settings(self, text):
        (self.daemon.config.parent / "carbonio-limits.conf").write_text(text)

    def test_is_written_from_start_to_stop(self):
        self.make_folder()
        umask = os.umask(0o077)
        self.addCleanup(os.umask, umask)
        self.say("service", "start")
        self.assertTrue(eventually(self.file.exists))
        first = self.figures()
        self.assertEqual((first["up"], first["requests_refused_total"]), (1, 0))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o644)
        for _ in range(3):
            self.daemon.ask()
        mtime = self.file.stat().st_mtime
        self.assertTrue(eventually(lambda: self.figures()["requests_refused_total"] == 1, 30))
        # Also when nothing changes: its age says whether the daemon lives.
        then = self.file.stat().st_mtime
        self.assertTrue(eventually(lambda: self.file.stat().st_mtime > then, 30))
        for step in (then - mtime, self.file.stat().st_mtime - then):
            self.assertGreater(step, 10)
            self.assertLess(step, 25)
        self.assertEqual([path.name for path in self.folder.iterdir()], [self.file.name])
        self.say("service", "stop")
        self.assertEqual(self.figures(), {"up": 0})

    def test_nothing_is_written_without_the_folder(self):
        self.say("service", "start")
        self.daemon.ask()
        time.sleep(1.5)
        self.assertFalse((self.daemon.folder / "zmstat").exists())
        self.assertNotIn("Prometheus", self.daemon.log())

    def test_the_key_names_another_file_or_none(self):
        self.make_folder()
        other = self.folder / "other.prom"
        self.own_settings(f"[metrics]\nfile={other}\n")
        self.say("service", "start")
        self.assertTrue(eventually(other.exists))
        self.own_settings("[metrics]\nfile=\n")
        self.say("service", "restart")
        other.unlink()
        self.daemon.ask()
        time.sleep(1.5)
        self.assertFalse(self.file.exists() or other.exists())

    def test_a_reload_to_another_name_leaves_no_file_behind(self):
        self.make_folder()
        self.say("service", "start")
        self.assertTrue(eventually(self.file.exists))
        other = self.folder / "other.prom"
        self.own_settings(f"[metrics]\nfile={other}\n")
        self.say("service", "reload")
        self.assertTrue(eventually(other.exists))
        self.assertFalse(self.file.exists())
        self.own_settings("[metrics]\nfile=\n")
        self.say("service", "reload")
        self.assertTrue(eventually(lambda: not other.exists()))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_the_database_is_no_place_for_it(self):
        database = self.daemon.database
        self.own_settings(f"[metrics]\nfile={database}\n")
        self.assertIn(f"'{database}'", self.say("service", "start", status=2))

    def test_what_cannot_be_written_is_said_once(self):
        self.file.mkdir(parents=True)
        self.say("service", "start")
        said = "cannot write the figures for Prometheus to " + str(self.file)
        self.assertTrue(eventually(lambda: said in self.daemon.log()))
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertEqual(self.daemon.log().count(said), 1)


@unittest.skipUnless(PROMTOOL, "promtool is not installed: scripts/install-dependencies --full")
class Promtool(MetricsTest):
    def check(self, text):
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_finds_nothing_wrong(self):
        self.check(self.say("metrics"))
        (self.daemon.config.parent / "carbonio-limits.conf").write_text("[metrics]\ntop_senders=9\n")
        self.say("service", "start")
        for _ in range(3):
            self.daemon.ask(sender='"\\{}\x1b\r\u00e4"@example.org')
        self.assertTrue(eventually(lambda: "top_senders" in self.say("metrics")))
        self.check(self.say("metrics"))

    def test_takes_the_alert_rules(self):
        done = subprocess.run([PROMTOOL, "check", "rules", RULES], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{RULES.read_text().count('- alert: ')} rules found", done.stdout)


NEAR = 'carbonio_limits_events_total{kind="near",limit="3",module="Quotas"}'
# Alert -> interval, values by series, and when it has fired. See "Unit testing for rules" of Prometheus.
FIRES = {
    "PolicyDaemonDown": ("1m", {"carbonio_limits_up": "1x5 0x10"}, "9m"),
    "PolicyDaemonWithoutLimits": (
        "1m", {"carbonio_limits_up": "1x20", "carbonio_limits_rules_read": "1x5 0x10"}, "9m"),
    "AllMailDeferred": ("1m", {"carbonio_limits_all_mail_deferred": "0x5 1x10"}, "9m"),
    "PolicyDaemonDatabase": ("1m", {"carbonio_limits_database_trouble": "0x5 1x20"}, "17m"),
    "PolicyDaemonRestarts": ("1m", {"carbonio_limits_start_time_seconds": "0x5 60+60x10"}, "12m"),
    "RefusalsFarAboveLastWeek": (
        "10m", {"carbonio_limits_requests_refused_total": "0+1x1008 1108+100x12"}, "170h"),
    "CounterRefusedForAnHour": ("10m", {"carbonio_limits_longest_refusal_seconds": "0+600x12"}, "1h"),
    "LimitNear": ("1m", {NEAR: "1x20 2x10", "carbonio_limits_up": "1x40"}, "25m"),
    "DecisionsSlow": (
        "1m", {'carbonio_limits_decision_seconds_bucket{le="1"}': "0+10x20 200+9x20",
               'carbonio_limits_decision_seconds_bucket{le="2.5"}': "0+10x40",
               'carbonio_limits_decision_seconds_bucket{le="+Inf"}': "0+10x40"}, "40m"),
    "HostsWithDifferentRules": (
        "1m", {"carbonio_limits_cluster_rules_version": "3x5 4x20",
               'carbonio_limits_cluster_rules_version{instance="mta2"}': "3x5 5x20"}, "12m"),
    "LimitsNotShared": ("1m", {"carbonio_limits_cluster_sharing": "1x5 0x10"}, "12m"),
    "LogLinesLost": ("1m", {"carbonio_limits_log_lines_lost_total": "0x5 3x10"}, "12m"),
    "LimitsPaused": ("10m", {"carbonio_limits_paused": "0 1x20"}, "140m"),
    "PolicyDaemonUnknown": (
        "1m", {'node_textfile_mtime_seconds{file="/opt/zextras/zmstat/prometheus/carbonio-limits.prom"}':
               "0+60x5 300x10", "carbonio_limits_up": "1x20"}, "10m"),
}
# On a host where all is well; in the tenth minute.
QUIET = {
    "carbonio_limits_up": "1x20",
    "carbonio_limits_rules_read": "1x20",
    "carbonio_limits_all_mail_deferred": "0x20",
    "carbonio_limits_database_trouble": "0x20",
    "carbonio_limits_start_time_seconds": "0x5 60x15",
    "carbonio_limits_requests_refused_total": "0+100x20",
    "carbonio_limits_longest_refusal_seconds": "3599x20",
    NEAR: "1x20",  # long ago
    'carbonio_limits_decision_seconds_bucket{le="0.001"}': "0+90x20",
    'carbonio_limits_decision_seconds_bucket{le="1"}': "0+99x20",
    'carbonio_limits_decision_seconds_bucket{le="+Inf"}': "0+100x20",
    "carbonio_limits_cluster_rules_version": "4x20",
    'carbonio_limits_cluster_rules_version{instance="mta2"}': "4x20",
    "carbonio_limits_cluster_sharing": "1x20",
    "carbonio_limits_log_lines_lost_total": "0x20",
    "carbonio_limits_paused": "0x5 1x15",
    'node_textfile_mtime_seconds{file="/opt/zextras/zmstat/prometheus/carbonio-limits.prom"}': "0+60x20",
}
# Stopped by hand: down, but not also unknown.
STOPPED = {**FIRES["PolicyDaemonUnknown"][1], "carbonio_limits_up": "1x5 0x15"}


def with_instance(series):
    name, _, labels = series.partition("{")
    return series if "instance=" in labels else f'{name}{{instance="mta1",{labels or "}"}'


def expected_of(alerts, name):
    """Labels and annotations of a firing alert of mta1."""
    body = alerts[name]
    labels = {"severity": re.search(r"severity: (\w+)", body)[1], "instance": "mta1"}
    if name == "PolicyDaemonUnknown":
        labels["file"] = "/opt/zextras/zmstat/prometheus/carbonio-limits.prom"
    if name == "LimitNear":
        labels.update(kind="near", limit="3", module="Quotas")
    notes = re.findall(r'(summary|description): "(.*)"', body)
    return {"exp_labels": labels, "exp_annotations":
            {key: re.sub(r"{{ \$labels\.(\w+) }}", lambda label: labels[label[1]], text)
             for key, text in notes}}


@unittest.skipUnless(PROMTOOL, "promtool is not installed: scripts/install-dependencies --full")
class Alerts(DaemonTest):
    def promtool(self, interval, series, at, names, firing):
        alerts = {body.split()[0]: body for body in RULES.read_text().split("- alert: ")[1:]}
        test = {"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": [{
            "interval": interval,
            "input_series": [{"series": with_instance(name), "values": values}
                             for name, values in series.items()],
            "alert_rule_test": [{"eval_time": at, "alertname": name,
                                 "exp_alerts": [expected_of(alerts, name)] if name in firing else []}
                                for name in names or alerts]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump(test, file)  # which is YAML, too
            file.flush()
            done = subprocess.run([PROMTOOL, "test", "rules", file.name], text=True, timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_each_fires(self):
        self.assertEqual(set(re.findall(r"- alert: (\w+)", RULES.read_text())), set(FIRES))
        for name, (interval, series, at) in FIRES.items():
            with self.subTest(name):
                self.promtool(interval, series, at, [name], {name})

    def test_none_fires_where_all_is_well(self):
        self.promtool("1m", QUIET, "10m", None, {})

    def test_a_limit_that_is_near_for_the_first_time(self):
        self.promtool("1m", {NEAR: "_x20 1x20", "carbonio_limits_up": "1x40"}, "30m", ["LimitNear"],
                      {"LimitNear"})
        self.promtool("1m", {NEAR: "_x20 1x20", "carbonio_limits_up": "1x40"}, "39m", ["LimitNear"], {})
        # Nothing is known of an earlier time.
        self.promtool("1m", {NEAR: "1x40", "carbonio_limits_up": "1x40"}, "5m", ["LimitNear"], {})

    def test_hosts_without_a_cluster_may_have_different_rules(self):
        self.promtool("1m", {"carbonio_limits_policies": "3x40",
                             'carbonio_limits_policies{instance="mta2"}': "4x40"}, "30m",
                      ["HostsWithDifferentRules"], {})

    def test_a_stopped_daemon_is_down_and_not_unknown(self):
        self.promtool("1m", STOPPED, "10m", None, {"PolicyDaemonDown"})


class AlertRules(MetricsTest):
    def test_look_at_nothing_else(self):
        self.say("service", "start")
        for _ in range(3):
            self.daemon.ask()
        self.assertTrue(eventually(lambda: "events_total" in self.say("metrics")))
        known = {f"carbonio_limits_{name.partition('{')[0]}" for name in self.figures()} | {
            "node_textfile_mtime_seconds",
            # tests/plugin/cluster_command_test.py looks at these
            "carbonio_limits_cluster_sharing", "carbonio_limits_cluster_rules_version"}
        expressions = re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE)
        self.assertEqual(len(expressions), RULES.read_text().count("- alert: "))
        for expression in expressions:
            used = set(re.findall(r"\b(?:carbonio|node)_\w+", expression))
            self.assertTrue(used and used <= known, expression)


if __name__ == "__main__":
    unittest.main()
