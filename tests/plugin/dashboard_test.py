#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The dashboard for Grafana and the alert rules, in a real Prometheus that reads a daemon's figures by
a real node exporter: each query has data, and each rule can be evaluated."""

import json
import math
import shutil
import subprocess
import sys
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_case import ClusterTest, eventually, free_port, policy, public_folder, quota  # noqa: E402

FOLDER = Path(__file__).resolve().parents[2] / "packaging/prometheus"
DASHBOARD = json.loads((FOLDER / "carbonio-limits-dashboard.json").read_text())
RULES = FOLDER / "carbonio-limits.yml"
PROGRAMS = [shutil.which(name) for name in ("prometheus", "prometheus-node-exporter")]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


class Dashboard(unittest.TestCase):
    def test_takes_the_data_source_that_is_chosen(self):
        kinds = {variable["name"]: variable["type"] for variable in DASHBOARD["templating"]["list"]}
        self.assertEqual(kinds, {"datasource": "datasource", "instance": "query"})
        source = {"type": "prometheus", "uid": "${datasource}"}
        for panel in PANELS:
            self.assertEqual(panel["datasource"], source, panel["title"])
            for target in panel["targets"]:
                self.assertEqual(target["datasource"], source, panel["title"])
                self.assertIn('instance=~"$instance"', target["expr"])

    def test_its_panels_do_not_overlap(self):
        taken = set()
        for panel in DASHBOARD["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(set(ids)), len(ids))
        titles = [panel["title"] for panel in PANELS]
        self.assertEqual(len(set(titles)), len(titles))


@unittest.skipUnless(all(PROGRAMS), "no Prometheus and node exporter here: "
                     "scripts/install-dependencies --full")
class WithPrometheus(ClusterTest):
    def run_program(self, *words):
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def start_prometheus(self, figures):
        exporter, self.port = free_port(), free_port()
        folder = public_folder("prometheus-test-")
        self.addCleanup(shutil.rmtree, folder)
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({  # which is YAML, too
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "node",
                                "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}]}))
        self.run_program(PROGRAMS[1], "--collector.disable-defaults", "--collector.textfile",
                         f"--collector.textfile.directory={figures}",
                         f"--web.listen-address=127.0.0.1:{exporter}")
        self.run_program(PROGRAMS[0], f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                         f"--web.listen-address=127.0.0.1:{self.port}")

    def api(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def values(self, query):
        """What a query of the dashboard finds, if all hosts are chosen."""
        query = query.replace("$instance", ".+").replace("$__rate_interval", "1m")
        return [float(row["value"][1]) for row in self.api("query", query=query)["result"]]

    def without_data(self):
        missing = []
        for panel in PANELS:
            for target in panel["targets"]:
                values = self.values(target["expr"])
                if not values or any(map(math.isnan, values)):
                    missing.append(f"{panel['title']}: {target['expr']}: {values}")
        return missing

    def test_each_query_has_data_and_each_rule_works(self):
        rules = policy() + quota(1, period=3600, verdict=None) + quota(10, period=3600)
        daemon = self.make_host("mta1", self.make_engine().url, rules, start=False,
                                metrics={"top_senders": 5})
        figures = daemon.folder / "zmstat/prometheus"
        figures.mkdir(parents=True)
        figures.chmod(0o777)  # the daemon runs as another user
        daemon.start()
        self.wait_until_shared(daemon)
        self.start_prometheus(figures)

        def nothing_is_missing():
            self.ask_many(daemon, 5)
            try:
                return not self.without_data()
            except OSError:  # it is starting
                return False
        self.assertTrue(eventually(nothing_is_missing, 120, 1), self.without_data())

        for title, least in {"Daemon": 1, "Requests": 0.01, "Refusals by limit": 0.01,
                             "Decision times": 1e-6, "Version of the shared rules": 1}.items():
            panel, = [panel for panel in PANELS if panel["title"] == title]
            query = panel["targets"][0]["expr"]

            def grows():
                self.ask_many(daemon, 5)
                return all(value >= least for value in self.values(query))
            self.assertTrue(eventually(grows, 60, 1), f"{title}: {self.values(query)}")
        self.assertEqual(len(self.api("label/instance/values", **{"match[]": "carbonio_limits_up"})), 1)

        rules = [rule for group in self.api("rules")["groups"] for rule in group["rules"]]
        self.assertEqual(len(rules), RULES.read_text().count("- alert: "))
        self.assertEqual({rule["name"]: rule.get("lastError", "") for rule in rules
                          if rule["health"] != "ok"}, {})
        firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
        self.assertLessEqual(firing, {"LimitNear"})


if __name__ == "__main__":
    unittest.main()
