# SPDX-License-Identifier: AGPL-3.0-only
"""What the engine of the cluster can do to the count: it is killed, stopped, emptied, full, another
program, protected; and a host without it. No answer comes late, and nothing counted is lost."""

import shutil
import signal
import socket
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, free_port, policy, quota, shows

HOUR = 3600
LATEST_S = 2.0  # promised are 100 ms; the rest is for busy machines
RULES = policy() + quota(30, period=HOUR)


class Faults(ClusterTest):
    TIMEOUT = 50  # as it is unless configured

    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()

    def counted(self, hosts):
        return sum(daemon.counter("Sender:alice@example.org") for daemon in hosts)

    def prompt(self, daemon, **attributes):
        start = time.monotonic()
        answer = daemon.ask(**attributes)
        self.assertLess(time.monotonic() - start, LATEST_S)
        return answer

    @shows("Redis is killed and comes back without its data")
    def test_killed_and_started_again_without_its_data(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(sum(self.passed_by_all(hosts, 7)), 21)
        self.engine.kill()
        for daemon in hosts:
            self.assertIn(self.prompt(daemon), ("DUNNO", "DEFER later"))
            self.wait_until_alone(daemon)
        self.engine.start()
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        self.passed_by_all(hosts, 12)
        self.assertEqual(self.counted(hosts), 30)

    @shows("Redis is emptied")
    def test_emptied(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(sum(self.passed_by_all(hosts, 7)), 21)
        self.engine.ask("FLUSHALL")
        time.sleep(2.5)  # seen with the next heartbeat
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        self.passed_by_all(hosts, 12)
        self.assertEqual(self.counted(hosts), 30)

    @shows("Redis loses its data while an MTA is away")
    def test_emptied_while_a_host_is_away(self):
        """The others wait ten seconds for what it has counted."""
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(sum(self.passed_by_all(hosts, 4)), 12)
        away, others = hosts[0], hosts[1:]
        away.kill()
        self.engine.ask("FLUSHALL")
        for daemon in others:
            self.wait_until_alone(daemon)
        self.assertEqual(self.passed_by_all(others, 10), [6, 6])  # a third of the limit each
        for daemon in others:
            self.wait_until_shared(daemon, 3)
        self.passed_by_all(others, 20)
        self.assertEqual(self.counted(others), 30)
        away.start()
        self.wait_until_shared(away, 3)
        self.assertEqual(sum(self.passed_by_all(hosts, 2)), 0)
        self.assertEqual(self.counted(hosts), 34)

    @shows("Redis is restored from an old file")
    def test_restored_from_an_old_file(self):
        """What was counted, and how the rules were changed, since then is not lost."""
        engine = self.make_engine(keep=True)
        hosts = self.make_hosts(engine, RULES)
        self.assertEqual(sum(self.passed_by_all(hosts, 3)), 9)
        old = engine.copy()
        self.addCleanup(shutil.rmtree, old)
        self.assertEqual(sum(self.passed_by_all(hosts, 3)), 9)
        hosts[1].sql("UPDATE quotas_limits SET CounterLimit = 24 WHERE ID = 4;")
        self.wait_until_equal(hosts, "24")
        engine.kill()
        for daemon in hosts:
            self.wait_until_alone(daemon)
        engine.restore(old)
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        self.passed_by_all(hosts, 12)
        self.assertEqual(self.counted(hosts), 24)
        self.wait_until_equal(hosts, "24")

    @shows("an MTA is restored from an old backup")
    def test_a_host_is_restored_from_an_old_backup(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(self.passed(hosts[0], 4), 4)
        backup = hosts[0].database.with_name("an-old-backup")
        hosts[0].command("backup", str(backup))
        self.assertEqual(self.passed(hosts[0], 5) + self.passed(hosts[1], 6), 11)
        hosts[1].sql("UPDATE quotas_limits SET CounterLimit = 20 WHERE ID = 4;")
        self.wait_until_equal(hosts, "20")
        hosts[0].command("restore", str(backup))
        self.assertEqual(hosts[0].counter("Sender:alice@example.org"), 4)
        self.wait_until_equal(hosts, "20")
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        # 5 of the 15 that had passed are forgotten.
        self.assertEqual(sum(self.passed_by_all(hosts, 15)), 10)
        self.assertEqual(self.counted(hosts), 20)

    def wait_until_equal(self, hosts, most):
        self.assertTrue(eventually(lambda: all(
            daemon.sql("SELECT CounterLimit FROM quotas_limits WHERE ID = 4;").strip() == most
            for daemon in hosts)))

    @shows("Redis cannot be reached, `without=share`")
    def test_the_bounds_of_share(self):
        """What one host let pass, the others do not know: 2N is never reached."""
        hosts = self.make_hosts(self.engine, policy() + quota(30, period=HOUR))
        self.assertEqual(self.passed(hosts[0], 40), 30)
        self.engine.kill()
        for daemon in hosts:
            self.wait_until_alone(daemon)
        self.assertEqual(self.passed_by_all(hosts, 40), [0, 10, 10])
        # Who has not sent before.
        self.assertEqual(self.passed_by_all(hosts, 40, sender="bob@example.org"), [10, 10, 10])

    def test_share_lets_each_host_pass_at_least_one_mail(self):
        hosts = self.make_hosts(self.engine, policy() + quota(2, period=HOUR))
        self.engine.kill()
        for daemon in hosts:
            self.wait_until_alone(daemon)
        self.assertEqual(self.passed_by_all(hosts, 3), [1, 1, 1])

    @shows("Redis is slow, stopped or out of memory")
    def test_stopped(self):
        hosts = self.make_hosts(self.engine, RULES)
        self.assertEqual(sum(self.passed_by_all(hosts, 5)), 15)
        self.engine.signal(signal.SIGSTOP)
        answers = [self.prompt(daemon) for daemon in hosts for _ in range(8)]
        # Alone each lets 30 / 3 pass, with what it had let pass before.
        self.assertEqual(answers.count("DUNNO"), 15)
        for daemon in hosts:
            self.wait_until_alone(daemon)
        self.engine.signal(signal.SIGCONT)
        for daemon in hosts:
            self.wait_until_shared(daemon, 3)
        self.assertEqual(sum(self.passed_by_all(hosts, 5)), 0)
        self.assertEqual(self.counted(hosts), 30)

    @shows("Redis is slow, stopped or out of memory")
    def test_slow(self):
        proxy = Proxy(self.engine.port)
        self.addCleanup(proxy.close)
        daemon = self.make_host("mta1", f"redis://127.0.0.1:{proxy.port}", RULES)
        self.wait_until_shared(daemon)
        proxy.delay_s = 0.2
        self.assertEqual([self.prompt(daemon) for _ in range(8)], ["DUNNO"] * 8)
        self.assertTrue(eventually(lambda: self.cluster_status(daemon)["alone"] > 0))
        self.assertGreater(self.cluster_status(daemon)["late"], 0)
        daemon.wait_for_log("cluster trouble: no answer within 50 ms")
        proxy.delay_s = 0
        time.sleep(2.5)
        self.wait_until_shared(daemon)
        self.assertEqual(self.passed(daemon, 40), 22)

    def test_a_question_waits_as_long_as_configured(self):
        self.TIMEOUT = 700
        [daemon] = self.make_hosts(self.engine, RULES, 1)
        self.engine.signal(signal.SIGSTOP)
        start = time.monotonic()
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertGreater(time.monotonic() - start, 0.65)
        daemon.wait_for_log("cluster trouble: no answer within 700 ms")

    @shows("Redis cannot be reached, `without=local`")
    def test_local(self):
        hosts = self.make_hosts(self.engine, RULES, without="local")
        self.engine.kill()
        for daemon in hosts:
            self.wait_until_alone(daemon)
        self.assertEqual(self.passed_by_all(hosts, 40), [30, 30, 30])

    @shows("Redis cannot be reached, `without=defer`")
    def test_defer(self):
        hosts = self.make_hosts(self.engine, RULES, 1, without="defer")
        self.assertEqual(hosts[0].ask(), "DUNNO")
        self.engine.kill()
        self.wait_until_alone(hosts[0])
        self.assertIn("cannot be shared between the servers at the moment", self.prompt(hosts[0]))
        self.engine.start()
        self.wait_until_shared(hosts[0])
        self.assertEqual(hosts[0].ask(), "DUNNO")

    @shows("one MTA cannot reach Redis, `without=share`")
    def test_one_host_is_cut_off(self):
        """At most N + N / k pass."""
        proxy = Proxy(self.engine.port)
        self.addCleanup(proxy.close)
        hosts = self.make_hosts(self.engine, RULES, 2)
        cut = self.make_host("mta3", f"redis://127.0.0.1:{proxy.port}", RULES)
        self.wait_until_shared(cut, 3)
        proxy.stop()
        self.wait_until_alone(cut)
        passed = self.passed_by_all([*hosts, cut], 40)
        self.assertEqual(sum(passed[:2]), 30)
        self.assertEqual(passed[2], 10)
        proxy.go_on()
        self.wait_until_shared(cut, 3)
        self.assertEqual(sum(self.passed_by_all([*hosts, cut], 3)), 0)

    def test_replies_of_garbage(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=answer_nonsense, args=(server,), daemon=True).start()
            daemon = self.make_host("mta1", f"redis://127.0.0.1:{server.getsockname()[1]}", RULES)
            self.assertEqual(self.prompt(daemon), "DUNNO")
            self.assertTrue(eventually(lambda: self.cluster_status(daemon).get("trouble")))
            self.assertFalse(self.cluster_status(daemon)["sharing"])

    def test_a_key_of_another_type_under_our_names(self):
        hosts = self.make_hosts(self.engine, RULES, 1)
        self.assertEqual(hosts[0].ask(), "DUNNO")
        [key] = [key for key in self.engine.ask("KEYS", "*alice*").splitlines()]
        self.engine.ask("SET", key, "nonsense")
        for _ in range(3):
            self.assertEqual(self.prompt(hosts[0]), "DUNNO")
        self.assertEqual(self.prompt(hosts[0], sender="bob@example.org"), "DUNNO")

    @shows("Redis is slow, stopped or out of memory")
    def test_full_memory(self):
        hosts = self.make_hosts(self.engine, RULES, 1)
        self.engine.ask("CONFIG", "SET", "maxmemory", "1")
        self.engine.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.assertEqual(self.prompt(hosts[0]), "DUNNO")
        hosts[0].wait_for_log("ERROR", "OOM")
        self.engine.ask("CONFIG", "SET", "maxmemory", "0")
        self.wait_until_shared(hosts[0])

    def trouble_of(self, url, **cluster):
        daemon = self.make_daemon(RULES, start=False, options={
            "cluster": {"url": url, "node": "mta1", **cluster}})
        daemon.start()
        self.assertEqual(self.prompt(daemon), "DUNNO")
        self.assertTrue(eventually(lambda: self.cluster_status(daemon).get("trouble")))
        return self.cluster_status(daemon)["trouble"]

    def test_wrong_settings_are_one_sentence(self):
        self.engine.ask("CONFIG", "SET", "requirepass", "secret")
        self.assertRegex(self.trouble_of(self.engine.url), "(?i)password|NOAUTH")
        self.assertRegex(self.trouble_of(f"{self.engine.url}/99"), "(?i)database|password|NOAUTH")
        self.assertRegex(self.trouble_of(f"redis://127.0.0.1:{free_port()}"), "refused")
        self.assertRegex(self.trouble_of("http://x"), "url in \\[cluster\\]: not a valid")

    def test_a_replica(self):
        replica = self.make_engine()
        replica.ask("REPLICAOF", "127.0.0.1", str(self.engine.port))
        self.assertRegex(self.trouble_of(replica.url), "replica")


def answer_nonsense(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(range(256)))
            except OSError:
                pass


class Proxy:
    """A connection to redis-server that can be held up, as by a cable that is pulled, and be slow."""

    def __init__(self, target):
        self.target = target
        self.delay_s = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.flows = threading.Event()
        self.flows.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, source, to):
        try:
            while data := source.recv(65536):
                self.flows.wait()
                time.sleep(self.delay_s)
                to.sendall(data)
        except OSError:
            pass
        for end in (source, to):
            end.close()

    def stop(self):
        self.flows.clear()

    def go_on(self):
        self.flows.set()

    def close(self):
        self.go_on()
        self.listener.close()


if __name__ == "__main__":
    unittest.main()
