# SPDX-License-Identifier: AGPL-3.0-only
"""What the daemon sends to its service manager (sd_notify(3)), here a socket of the test: readiness,
status and watchdog pings; and its listening sockets, kept for the next daemon while Postfix keeps
connecting."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest
from pathlib import Path

from daemon_case import (
    ALICE, Connection, Daemon, DaemonTest, bin_dir, eventually, free_port, has_loopback6, policy,
    quota)

needs_loopback6 = unittest.skipUnless(has_loopback6(), "this machine has no ::1")


class Manager:
    """The other side: messages with the descriptors that came with them."""

    def __init__(self, path):
        self.path = path
        self.messages = []  # (when, {name: value})
        self.stored = []  # descriptors
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.socket.settimeout(0.1)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self):
        while not self.ended.is_set():
            try:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 16)
            except TimeoutError:
                continue
            self.stored += fds
            values = dict(line.split("=", 1) for line in text.decode().splitlines())
            self.messages.append((time.monotonic(), values))

    def close(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()
        for fd in self.stored:
            os.close(fd)

    def told(self, name):
        return [values[name] for _, values in list(self.messages) if name in values]


class Managed(Daemon):
    """Started as systemd starts a service, with the descriptors of its store."""

    manager = None
    more = {}

    def spawn(self):
        environment = {**os.environ, **self.environment, "NOTIFY_SOCKET": str(self.manager.path),
                       **self.more}
        fds = list(self.manager.stored)
        names = self.manager.told("FDNAME")
        if fds:
            environment["LISTEN_FDS"] = str(len(fds))
            environment["LISTEN_FDNAMES"] = ":".join([names[-1]] * len(fds))

        def place():  # in the child, to 3 and up
            high = [os.dup(fd) for fd in fds]
            for number, fd in enumerate(high):
                os.dup2(fd, 3 + number)

        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', bin_dir() / "cbpolicyd",
                 f"--config={self.config}", "--fg"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                pass_fds=range(3, 3 + len(fds)), preexec_fn=place, start_new_session=True)


class NotifyTest(DaemonTest):
    def make(self, start=True, more=None, sql=policy() + quota(10**6), **settings):
        daemon = self.make_daemon(sql, kind=Managed, start=False, **settings)
        daemon.more = more or {}
        daemon.manager = Manager(daemon.folder / "notify")
        self.addCleanup(daemon.manager.close)
        self.manager = daemon.manager
        if start:
            daemon.start()
            self.wait_for("READY", "1")
        return daemon

    def wait_for(self, name, value, count=1):
        self.assertTrue(eventually(lambda: self.manager.told(name).count(value) >= count),
                        f"{name}={value} in {self.manager.messages}")

    def catch_up(self):
        """Until all that was sent so far has come: it comes in order."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"MARK=1", str(self.manager.path))
        self.wait_for("MARK", "1")


class Words(NotifyTest):
    @needs_loopback6
    def test_ready_status_and_stopping(self):
        daemon = self.make()
        self.wait_for("STATUS", f"Serving on 127.0.0.1:{daemon.port}, [::1]:{daemon.port}")
        self.assertEqual(self.manager.told("WATCHDOG"), [], "there is no watchdog")
        daemon.stop()
        self.wait_for("STOPPING", "1")

    def test_reload(self):
        daemon = self.make()
        before = time.monotonic()
        daemon.process.send_signal(signal.SIGHUP)
        self.wait_for("READY", "1", count=2)
        words = [values for _, values in self.manager.messages
                 if values.keys() & {"READY", "RELOADING"}]
        self.assertEqual([list(values)[0] for values in words], ["READY", "RELOADING", "READY"])
        self.assertGreater(int(words[1]["MONOTONIC_USEC"]), before * 1e6)
        self.assertLess(int(words[1]["MONOTONIC_USEC"]), time.monotonic() * 1e6)

    def test_trouble_is_told_and_its_end(self):
        daemon = self.make()
        self.assertEqual(daemon.ask(), "DUNNO")
        lock = sqlite3.connect(daemon.database, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertTrue(eventually(lambda: "database trouble" in self.manager.told("STATUS")[-1]))
        lock.rollback()
        lock.close()
        self.assertTrue(eventually(lambda: "database trouble" not in self.manager.told("STATUS")[-1]))
        self.assertEqual(daemon.counter(ALICE), 2)

    def test_watchdog_twice_within_its_time(self):
        self.make(more={"WATCHDOG_USEC": "600000"})
        self.assertTrue(eventually(lambda: len(self.manager.told("WATCHDOG")) >= 20))
        times = [when for when, values in self.manager.messages if "WATCHDOG" in values][:20]
        self.assertGreater(times[-1] - times[0], 19 * 0.3 * 0.8, "not more often than needed")

    def test_a_stuck_daemon_is_silent(self):
        daemon = self.make(more={"WATCHDOG_USEC": "200000"})
        self.wait_for("WATCHDOG", "1", count=2)
        daemon.process.send_signal(signal.SIGSTOP)
        status = f"/proc/{daemon.process.pid}/stat"
        self.assertTrue(eventually(lambda: Path(status).read_text().rpartition(")")[2].split()[0] == "T"))
        self.catch_up()
        count = len(self.manager.told("WATCHDOG"))
        time.sleep(1)
        self.assertEqual(len(self.manager.told("WATCHDOG")), count)
        daemon.process.send_signal(signal.SIGCONT)
        self.wait_for("WATCHDOG", "1", count=count + 1)

    def test_a_watchdog_for_another_process_is_not_fed(self):
        self.make(more={"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
        self.assertTrue(eventually(lambda: self.manager.told("STATUS")))
        time.sleep(0.5)
        self.assertEqual(self.manager.told("WATCHDOG"), [])


class Store(NotifyTest):
    @needs_loopback6
    def test_the_sockets_are_stored_by_name(self):
        daemon = self.make()
        names = [socket.socket(fileno=os.dup(fd)) for fd in self.manager.stored]
        self.addCleanup(lambda: [each.close() for each in names])
        self.assertEqual({each.getsockname()[:2] for each in names},
                         {("127.0.0.1", daemon.port), ("::1", daemon.port)})
        stored = next(values for _, values in self.manager.messages if "FDSTORE" in values)
        self.assertEqual(stored, {"FDSTORE": "1", "FDNAME": f"cbpolicyd-localhost-{daemon.port}",
                                  "FDPOLL": "0"})

    def test_the_next_one_takes_them_while_clients_connect(self):
        daemon = self.make()
        answers = []
        ended = threading.Event()
        numbers = iter(range(1, 10**9))

        def connect():
            while not ended.is_set():
                with daemon.connect() as connection:  # a refused one fails the test
                    answers.append(connection.ask(instance=f"8.{next(numbers)}.0"))

        def guarded():
            try:
                connect()
            except OSError as error:
                answers.append(error)

        client = threading.Thread(target=guarded)
        client.start()
        try:
            for end in (daemon.stop, daemon.kill, daemon.stop):
                before = len(answers)
                self.assertTrue(eventually(lambda: len(answers) > before + 10, 30))
                end()
                daemon.start()
        finally:
            ended.set()
            client.join(60)
        # A kill breaks the connection that it hits, and Postfix asks again.
        self.assertLessEqual(answers.count(None), 3)
        self.assertEqual(set(answers) - {None}, {"DUNNO"})
        self.assertEqual(self.manager.told("FDSTORE"), ["1"], "they are in the store already")

    def test_another_port_throws_them_out(self):
        daemon = self.make()
        old = daemon.port
        daemon.stop()
        daemon.port = free_port()
        daemon.config.write_text(daemon.config.read_text().replace(f"={old}", f"={daemon.port}"))
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        self.wait_for("FDSTOREREMOVE", "1")
        self.wait_for("FDNAME", f"cbpolicyd-localhost-{daemon.port}")
        removed = [values for _, values in self.manager.messages if "FDSTOREREMOVE" in values]
        self.assertEqual(removed, [{"FDSTOREREMOVE": "1", "FDNAME": f"cbpolicyd-localhost-{old}"}])
        self.assertEqual(self.manager.told("FDNAME")[-1], f"cbpolicyd-localhost-{daemon.port}")

    def test_a_path_stays_for_the_next(self):
        daemon = self.make(start=False)
        path = daemon.folder / "run/policy"
        text = re.sub(r"port=\d+", f"proto=unix\nport={path}", daemon.config.read_text())
        daemon.config.write_text(text)
        daemon.connect = lambda: Connection(path)
        daemon.start()
        self.wait_for("FDSTORE", "1")
        daemon.stop()
        self.assertTrue(path.is_socket())
        with daemon.connect() as connection:  # waits in the kernel
            connection.send(self.request())
            daemon.start()
            self.assertEqual(connection.answer(), "DUNNO")


if __name__ == "__main__":
    unittest.main()
