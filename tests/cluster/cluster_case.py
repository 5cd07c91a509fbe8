# SPDX-License-Identifier: AGPL-3.0-only
"""Several daemons that share their counts by a real redis-server, each with a database of its own."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "daemon"))

from daemon_case import (  # noqa: E402, F401
    SANITIZED, DaemonTest, eventually, free_port, limit, policy, public_folder, quota)


def shows(row):
    """Marks the test of a row in README, "What is lost when", by its first cell: readme_test.py fails
    if a row has no test, or a test names no row."""
    def mark(test):
        test.row = row
        return test
    return mark


def run_redis(name, *words, **more):
    """Redis as `name`, redis-server or redis-sentinel. Debian's redis-tools has the program under
    another name, without its services."""
    return subprocess.Popen([name, *map(str, words)], executable=shutil.which("redis-check-rdb"),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)


class Engine:
    """redis-server; what it holds outlives `kill` and `start` only with `keep`."""

    def __init__(self, keep=False, options=()):
        self.folder = public_folder("redis-test-")
        self.port = free_port()
        self.keep = keep
        self.options = options
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = run_redis(
            "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder,
            "--save", "", "--appendonly", "yes" if self.keep else "no", *self.options)
        assert eventually(lambda: self.ask("PING") == "PONG"), "redis-server does not answer"

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True,
                              text=True, timeout=30)
        return done.stdout.strip()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def copy(self):
        """A copy of what it has stored, for `restore`."""
        assert eventually(lambda: "aof_rewrite_in_progress:0" in self.ask("INFO", "persistence"))
        target = public_folder("redis-copy-")
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return target

    def restore(self, copy):
        self.kill()
        shutil.rmtree(self.folder)
        shutil.copytree(copy, self.folder)
        self.start()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class ClusterTest(DaemonTest):
    HOSTS = 3
    # So that a busy machine does not make a host count alone.
    TIMEOUT = 1000

    def make_engine(self, **options):
        engine = Engine(**options)
        self.addCleanup(engine.remove)
        return engine

    def make_host(self, name, url, rules="", start=True, without="share", **options):
        daemon = self.make_daemon(rules, start=False, options={
            "cluster": {"url": url, "node": name, "without": without, "timeout": self.TIMEOUT},
            **options})
        if start:
            daemon.start()
        return daemon

    def make_hosts(self, engine, rules, count=None, **options):
        """All with the same rules."""
        hosts = [self.make_host(f"mta{number + 1}", engine.url, rules, **options)
                 for number in range(count or self.HOSTS)]
        for daemon in hosts:
            self.wait_until_shared(daemon, len(hosts))
        return hosts

    def cluster_status(self, daemon):
        try:
            return json.loads(daemon.status_file.read_text())["cluster"] or {}
        except (OSError, ValueError):
            return {}

    def wait_until_shared(self, daemon, hosts=1):
        self.assertTrue(eventually(lambda: self.cluster_status(daemon).get("sharing") and
                                   self.cluster_status(daemon)["hosts"] >= hosts),
                        f"{self.cluster_status(daemon)}\n{daemon.log()}")

    def wait_until_alone(self, daemon):
        self.assertTrue(eventually(lambda: not self.cluster_status(daemon).get("sharing")))

    def passed(self, daemon, count, **attributes):
        """How many of `count` mails it lets pass."""
        return sum(daemon.ask(**attributes) == "DUNNO" for _ in range(count))

    def passed_by_all(self, daemons, count, **attributes):
        """How many of `count` mails each, asked at the same time on a connection each, pass."""
        passed = [0] * len(daemons)

        def ask(number):
            with daemons[number].connect() as connection:
                for at in range(count):
                    answer = connection.ask(instance=f"{number}.{at}.{time.monotonic_ns()}",
                                            **attributes)
                    passed[number] += answer == "DUNNO"

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(daemons))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return passed
