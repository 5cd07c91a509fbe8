# SPDX-License-Identifier: AGPL-3.0-only
"""Random faults of the engine and the hosts in a row, under load: nothing that was counted is lost,
for no sender, and no more passes than the bounds allow. FULL=1: a hundred of them."""

import collections
import os
import random
import signal
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, policy, quota
from engine_faults_test import Proxy

FAULTS = 100 if os.environ.get("FULL") else 12
LIMIT = 60
SENDERS = [f"u{number}@example.org" for number in range(6)]


class Load(threading.Thread):
    """Mail of random senders to one host, which may die at any moment."""

    def __init__(self, number, daemon):
        super().__init__(daemon=True)
        self.number, self.host = number, daemon
        self.random = random.Random(number)
        self.ended = threading.Event()
        self.passed = collections.Counter()
        self.unanswered = collections.Counter()
        self.slowest = 0.0

    def run(self):
        at = 0
        while not self.ended.is_set():
            sender = self.random.choice(SENDERS)
            asked = False
            try:
                with self.host.connect() as connection:
                    for _ in range(20):
                        sender, at = self.random.choice(SENDERS), at + 1
                        asked, start = True, time.monotonic()
                        answer = connection.ask(instance=f"{self.number}.{at}", sender=sender)
                        asked = False
                        self.slowest = max(self.slowest, time.monotonic() - start)
                        self.passed[sender] += answer == "DUNNO"
                        time.sleep(0.005)
            except (OSError, ValueError, EOFError, AssertionError):
                if asked:
                    self.unanswered[sender] += 1
                time.sleep(0.05)


class RandomFaults(ClusterTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(int(os.environ.get("SEED", "1")))
        self.engine = self.make_engine(keep=True)
        self.proxies = []
        self.hosts = []
        for number in range(3):
            proxy = Proxy(self.engine.port)
            self.addCleanup(proxy.close)
            self.proxies.append(proxy)
            self.hosts.append(self.make_host(f"mta{number + 1}", f"redis://127.0.0.1:{proxy.port}",
                                             policy() + quota(LIMIT, period=86400)))
        for daemon in self.hosts:
            self.wait_until_shared(daemon, 3)

    def kill_engine(self):
        self.engine.kill()
        time.sleep(self.random.random())
        self.engine.start()

    def empty_engine(self):
        self.engine.ask("FLUSHALL")

    def stop_engine(self):
        self.engine.signal(signal.SIGSTOP)
        time.sleep(3 * self.random.random())
        self.engine.signal(signal.SIGCONT)

    def kill_host(self):
        daemon = self.random.choice(self.hosts)
        daemon.kill()
        daemon.start()

    def restart_host(self):
        self.random.choice(self.hosts).restart()

    def cut_host_off(self):
        proxy = self.random.choice(self.proxies)
        proxy.stop()
        time.sleep(3 * self.random.random())
        proxy.go_on()

    def counted(self, sender):
        return sum(daemon.counter(f"Sender:{sender}") or 0 for daemon in self.hosts)

    def test_in_a_row(self):
        loads = [Load(number, daemon) for number, daemon in enumerate(self.hosts)]
        for load in loads:
            load.start()
        faults = [self.kill_engine, self.empty_engine, self.stop_engine, self.kill_host,
                  self.restart_host, self.cut_host_off]
        for number in range(FAULTS):
            fault = faults[number % 6] if number < 6 else self.random.choice(faults)
            fault()
            time.sleep(0.3 * self.random.random())
        for load in loads:
            load.ended.set()
            load.join()
        for daemon in self.hosts:
            self.wait_until_shared(daemon, 3)
        for sender in SENDERS:
            passed = sum(load.passed[sender] for load in loads)
            unanswered = sum(load.unanswered[sender] for load in loads)
            with self.subTest(sender=sender):
                self.assertTrue(eventually(lambda: self.counted(sender) >= passed),
                                f"{self.counted(sender)} counted, {passed} passed")
                self.assertLessEqual(self.counted(sender), passed + unanswered)
                self.assertLessEqual(passed, 2 * LIMIT)
                if passed >= LIMIT:
                    self.assertEqual(sum(self.passed_by_all(self.hosts, 2, sender=sender)), 0)
        self.assertLess(max(load.slowest for load in loads), 3.0)


if __name__ == "__main__":
    unittest.main()
