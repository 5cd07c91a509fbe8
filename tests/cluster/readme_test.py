#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""README, "One count on all MTAs": its commands are typed as they stand there, on three hosts and with
Redis and Sentinel as on Debian, all on addresses of this machine; and each row of "What is lost when"
has a test, which names it."""

import contextlib
import importlib
import inspect
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, free_port, shows
from redis_host import EXAMPLES, RedisHost, check_packages, copy_examples, run_stunnel

SOURCE = pathlib.Path(__file__).resolve().parents[2]
README = (SOURCE / "README.md").read_text()
SENDER = {"sender": "alice@example.org", "sasl_username": "alice@example.org"}


def section(title):
    return re.split(rf"\n#+ {re.escape(title)}\n", README)[1].split("\n#")[0]


def typed_where(title):
    """The lines of a section to be typed, each with where: [("each MTA", "carbonio-limits ...")]."""
    found, where = [], None
    for line in section(title).splitlines():
        if match := re.match(r"On (.+?)( \(.*\))?:$", line):
            where = match[1]
        elif line.startswith("    "):
            found.append((where, line.strip()))
    return found


class Typed(ClusterTest):
    PASSWORD = "Wz3kTq8b"

    def make_mtas(self, count=3):
        """As after `enable`, with a daemon in the background."""
        mtas = []
        for number in range(count):
            daemon = self.make_daemon(start=False, options={"server": {"background": "yes"}})
            daemon.command("hook", "domain-created", "example.org")
            daemon.command("service", "start")
            self.addCleanup(daemon.command, "service", "stop")
            # Their host names would differ.
            self.write_node(daemon, f"mta{number + 1}")
            mtas.append(daemon)
        return mtas

    def write_node(self, daemon, name):
        daemon.config.with_name("carbonio-limits.conf").write_text(f"[cluster]\nnode={name}\n")

    def make_redis(self, *addresses):
        hosts = [RedisHost(address, self.PASSWORD) for address in addresses]
        for host in hosts:
            self.addCleanup(host.remove)
        for host in hosts:
            host.copy_examples(hosts[0])
        return hosts

    def type_on(self, daemon, line):
        done = subprocess.run(["bash", "-ec", line], input=f"{self.PASSWORD}\n", text=True, timeout=120,
                              capture_output=True,
                              env={**os.environ, "PATH": f"{daemon.programs}:{os.environ['PATH']}",
                                   "ZEXTRAS_HOME": str(daemon.folder)})
        self.assertEqual(done.returncode, 0, f"{line}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stderr, "", line)
        return done.stdout

    def follow(self, title, redis, mtas):
        """Types a section; what was printed, by line."""
        printed = {}
        for where, line in typed_where(title):
            if where in ("each MTA", "one of them"):
                here = line
                for host in redis:
                    port = host.sentinel_port if "sentinel://" in line else host.port
                    here = here.replace(host.address, f"{host.own}:{port}")
                for daemon in mtas if where == "each MTA" else mtas[1:2]:
                    printed[line] = self.type_on(daemon, here)
                continue
            named = [host for host in redis if host.address in where]
            self.assertEqual(len(named), where.count("10.0.0."), where)
            for host in named:
                host.type(line, redis)
            if line.startswith("systemctl"):
                self.wait_for_redis(redis, named)
        return printed

    def wait_for_redis(self, redis, named):
        for host in named:
            self.assertTrue(eventually(lambda: host.ask("ping") == "PONG"))
        replicas = f"connected_slaves:{len(redis) - 1}"
        self.assertTrue(eventually(lambda: replicas in redis[0].ask("info", "replication") and all(
            host is redis[0] or "master_link_status:up" in host.ask("info", "replication")
            for host in redis)))
        for host in named:
            if "redis-sentinel" in host.processes:
                self.assertTrue(eventually(lambda: host.knows(len(redis) - 1)), "Sentinel is alone")

    def counted(self, mtas):
        return sum(daemon.counter("Sender:alice@example.org") for daemon in mtas)

    def assert_no_right_is_missing(self, redis):
        for host in redis:
            self.assertEqual(host.ask("acl", "log"), "")


class ThreeHosts(Typed):
    def test_three_hosts(self):
        redis, mtas = self.make_redis("10.0.0.5"), self.make_mtas()
        printed = self.follow("Three hosts", redis, mtas)
        self.assertLessEqual(len(typed_where("Three hosts")), 12)
        self.assertRegex(printed["carbonio-limits cluster status"], r"sharing +yes\n")
        for daemon in mtas:
            self.assertTrue(eventually(lambda: "100/h" in daemon.command("list").stdout))
            self.wait_until_shared(daemon, 3)
        self.assertEqual(sum(self.passed_by_all(mtas, 50, **SENDER)), 100)
        self.assertEqual(redis[0].ask("config", "get", "appendonly"), "appendonly\nyes")
        self.assertEqual(redis[0].ask("config", "get", "maxmemory-policy").split()[1], "noeviction")
        told = mtas[0].command("doctor", check=False).stdout
        self.assertIn("limits are shared by 3 hosts", told)
        self.assertIn("the engine drops no counts (noeviction)", told)
        self.assert_no_right_is_missing(redis)
        for line in ("carbonio-limits usage", "carbonio-limits reset alice@example.org"):
            self.type_on(mtas[0], line)
        self.assertTrue(eventually(lambda: self.counted(mtas[:1]) == 0))
        self.passed_by_all(mtas, 50, **SENDER)
        self.assert_no_right_is_missing(redis)
        # It outlives a restart of Redis, and the least rights are enough to leave.
        redis[0].restart("redis-server")
        for daemon in mtas:
            self.wait_until_shared(daemon, 3)
        self.assertEqual(sum(self.passed_by_all(mtas, 2, **SENDER)), 0)
        self.type_on(mtas[2], "carbonio-limits cluster leave")
        self.assertNotIn("mta3", redis[0].ask("hkeys", "carbonio-limits:nodes"))
        self.assert_no_right_is_missing(redis)

    def test_nobody_else_may_do_anything(self):
        redis = self.make_redis("10.0.0.5")
        for where, line in typed_where("Three hosts"):
            if where == "10.0.0.5":
                redis[0].type(line, redis)
        self.assertTrue(eventually(lambda: redis[0].ask("ping") == "PONG"))

        def ask(*words):
            return subprocess.run(["redis-cli", "-h", redis[0].own, "-p", str(redis[0].port), *words],
                                  text=True, timeout=30, capture_output=True).stdout
        self.assertIn("NOAUTH", ask("get", "carbonio-limits:epoch"))
        mta = ("--no-auth-warning", "--user", "carbonio-limits", "--pass", self.PASSWORD)
        self.assertEqual(ask(*mta, "get", "carbonio-limits:epoch"), "\n")
        for words in (("get", "other"), ("keys", "*"), ("flushall",), ("config", "get", "*"),
                      ("eval", "return redis.call('GET', 'other')", "0"), ("acl", "list")):
            self.assertRegex(ask(*mta, *words), "NOPERM|ACL failure|No permissions|can't access", words)


class LeastRights(unittest.TestCase):
    """The user's in the example: those that the sources use, and no others."""

    def test_commands(self):
        text = "".join(file.read_text() for folder in ("daemon", "plugin")
                       for file in (SOURCE / folder / "cluster").rglob("*")
                       if file.suffix in (".cpp", ".hpp", ".lua"))
        used = {word.lower() for word in re.findall(r"""(?:\{\s*"|call\(')([A-Z]{3,})\b""", text)}
        self.assertLessEqual({"evalsha", "hgetall", "lindex", "info"}, used)
        used = {"script|load" if word == "script" else word for word in used}
        # AUTH needs no right; the others are Sentinel's, and the beginnings of errors.
        used -= {"auth", "sentinel", "readonly", "loading", "masterdown", "noauth"}
        [user] = re.findall("^user carbonio-limits .*", (EXAMPLES / "redis.conf").read_text(),
                            re.MULTILINE)
        given = re.findall(r" \+(\S+)", user)
        self.assertEqual(len(given), len(set(given)))
        self.assertEqual(sorted(used), sorted(given))


class Failover(Typed):
    @shows("a replica takes over by Sentinel")
    def test_failover(self):
        redis = self.make_redis("10.0.0.5", "10.0.0.6", "10.0.0.7")
        mtas = self.make_mtas()
        self.follow("Failover", redis, mtas)
        self.assertLessEqual(len(typed_where("Failover")), 12)
        self.type_on(mtas[0], "carbonio-limits send 60/h")
        for daemon in mtas:
            self.assertTrue(eventually(lambda: "60/h" in daemon.command("list").stdout))
            self.wait_until_shared(daemon, 3)
            self.assertEqual(json.loads(self.type_on(daemon, "carbonio-limits cluster status --json"))[
                "hosts"], 3)
        self.assertEqual(sum(self.passed_by_all(mtas, 5, **SENDER)), 15)

        ended, passed, slowest = threading.Event(), [15], [0.0]

        def mail():
            while not ended.is_set():
                for daemon in mtas:
                    before = time.monotonic()
                    passed[0] += daemon.ask(**SENDER, instance=f"load.{before}") == "DUNNO"
                    slowest[0] = max(slowest[0], time.monotonic() - before)
                time.sleep(0.5)
        redis[0].kill("redis-server")
        redis[0].kill("redis-sentinel")
        start = time.monotonic()
        thread = threading.Thread(target=mail)
        thread.start()
        try:
            for daemon in mtas:
                self.wait_until_alone(daemon)
            for daemon in mtas:
                self.wait_until_shared(daemon, 3)
        finally:
            ended.set()
            thread.join()
        print(f"failover: shared again after {time.monotonic() - start:.1f} s, "
              f"{passed[0] - 15} passed meanwhile", flush=True)
        self.assertLess(slowest[0], 2.0)
        self.assertLessEqual(passed[0], 60)  # N/k each, with what they had let pass before
        passed[0] += sum(self.passed_by_all(mtas, 60, **SENDER))
        self.assertEqual(passed[0], 60)
        self.assertEqual(self.counted(mtas), 60)

        # The rules are shared as before, and the first one is a replica when it is back.
        self.type_on(mtas[2], "carbonio-limits send 70/h")
        for daemon in mtas:
            self.assertTrue(eventually(lambda: "70/h" in daemon.command("list").stdout))
        redis[0].restart("redis-server")
        redis[0].restart("redis-sentinel")
        self.assertTrue(eventually(lambda: "role:slave" in redis[0].ask("info", "replication")))
        for daemon in mtas:
            self.wait_until_shared(daemon, 3)
        self.assertEqual(sum(self.passed_by_all(mtas, 10, **SENDER)), 10)
        self.assert_no_right_is_missing(redis)


class Encryption(Typed):
    def test_stunnel(self):
        [redis], [mta, *_] = self.make_redis("10.0.0.5"), self.make_mtas(1)
        for where, line in typed_where("Three hosts"):
            if where == "10.0.0.5":
                redis.type(line, [redis])
        port = free_port()
        etc = mta.folder / "stunnel"
        etc.mkdir()
        for where, line in typed_where("Encryption"):
            if where == "10.0.0.5":
                redis.type(line, [redis])
            elif line.startswith("apt install "):
                check_packages(line)
            elif line.startswith("cp "):
                copies = mta.folder / "copies"
                copies.mkdir(exist_ok=True)
                shutil.copy(redis.copies / "redis.crt", copies)
                copy_examples(copies, {"ADDRESS": redis.own},
                              {"127.0.0.1:6379": f"127.0.0.1:{port}", ":6380": f":{redis.tls_port}",
                               "/etc/stunnel": str(etc)})
                subprocess.run(["bash", "-ec", line.replace("/etc/stunnel", str(etc))], cwd=copies,
                               check=True)
            elif line.startswith("systemctl "):
                process = run_stunnel(etc / "redis.conf")
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                self.assertTrue(eventually(lambda: can_connect(("127.0.0.1", port))))
            else:
                self.assertTrue(eventually(lambda: can_connect((redis.own, redis.tls_port))))
                self.type_on(mta, line.replace("@127.0.0.1", f"@127.0.0.1:{port}"))
        self.wait_until_shared(mta)
        self.type_on(mta, "carbonio-limits send 3/h")
        self.assertEqual(self.passed(mta, 5, **SENDER), 3)
        # Redis cannot be asked without encryption there.
        with socket.create_connection((redis.own, redis.tls_port)) as plain:
            plain.settimeout(20)
            plain.sendall(b"PING\r\n")
            with contextlib.suppress(ConnectionResetError):
                self.assertNotIn(b"PONG", plain.recv(1000))
        # Another certificate is not accepted.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis",
                        "-keyout", redis.folder / "stunnel/redis.key",
                        "-out", redis.folder / "stunnel/redis.crt"], check=True, capture_output=True)
        redis.kill("stunnel")
        redis.type("systemctl enable --now stunnel@redis", [redis])
        self.wait_until_alone(mta)
        self.assertTrue(eventually(lambda: can_connect((redis.own, redis.tls_port))))
        time.sleep(3)
        self.assertFalse(self.cluster_status(mta)["sharing"])


def can_connect(address):
    try:
        socket.create_connection(address, timeout=5).close()
        return True
    except OSError:
        return False


class Table(unittest.TestCase):
    def test_each_row_has_a_test_that_names_it(self):
        table = section("What is lost when")
        rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines()
                if line.startswith("| ")][1:]
        self.assertGreater(len(rows), 10)
        self.assertEqual(len(rows), len(set(rows)))
        named = set()
        for file in pathlib.Path(__file__).parent.glob("*_test.py"):
            module = importlib.import_module(file.stem)
            for _, kind in inspect.getmembers(module, inspect.isclass):
                named |= {test.row for name, test in inspect.getmembers(kind)
                          if name.startswith("test_") and hasattr(test, "row")}
        self.assertEqual(set(rows), named)


if __name__ == "__main__":
    unittest.main()
