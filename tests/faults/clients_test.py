# SPDX-License-Identifier: AGPL-3.0-only
"""Hostile clients all at once, and a daemon that runs out of descriptors: other clients are
answered as before, and memory stays bounded.

What each of them gets is tested in tests/daemon/protocol_test.py and connections_test.py."""

import os
import resource
import socket
import subprocess
import threading
import time
import unittest

from faults_case import (
    ATTRIBUTES, FULL, MOST_S, SANITIZED, Daemon, FaultsTest, Load, bin_dir, format_request, policy,
    quota)

MIB = 1024  # in KiB
IDLE = 5000
SECONDS = 30 if FULL else 5


def resident_kib(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def percentile(times, part):
    return sorted(times)[int(len(times) * part)]


class Hostile(threading.Thread):
    """Opens a connection, misbehaves on it, and opens another once it is closed."""

    def __init__(self, daemon, act):
        super().__init__(daemon=True)
        self._daemon, self._act = daemon, act
        self.ended, self.times = threading.Event(), 0

    def run(self):
        while not self.ended.is_set():
            try:
                with socket.create_connection(self._daemon.address, timeout=1) as connection:
                    self._act(connection, self.ended)
            except OSError:
                pass
            self.times += 1
            self.ended.wait(0.005)


REQUEST = format_request({**ATTRIBUTES, "sender": "hostile@example.org"})


def byte_a_moment(connection, ended):
    for byte in REQUEST:
        connection.send(bytes([byte]))
        if ended.wait(0.05):
            return


def never_reads(connection, ended):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(0.2)
    try:
        while not ended.is_set():
            connection.sendall(REQUEST * 50)
    except TimeoutError:
        ended.wait(1)


def closes_in_the_middle(connection, _):
    connection.sendall(REQUEST + REQUEST[:len(REQUEST) // 2])


def endless_line(connection, _):
    connection.sendall(b"sender=" + b"a" * 16384)
    connection.recv(100)


def nul_bytes(connection, _):
    connection.sendall(REQUEST.replace(b"alice", b"a\0\0\0") + b"\0" * 1000)
    connection.recv(100)


def half_a_character(connection, _):
    connection.sendall(REQUEST.replace(b"bob@", b"b\xc3@").replace(b"hostile@", b"h\xe2\x82@"))
    connection.recv(100)


def ten_thousand_attributes(connection, _):
    connection.sendall(b"".join(b"a%d=\n" % number for number in range(10_000)) + b"\n")
    connection.recv(100)


ACTS = (byte_a_moment, never_reads, closes_in_the_middle, endless_line, nul_bytes,
        half_a_character, ten_thousand_attributes)


class WithFewDescriptors(Daemon):
    """Fewer than its connections and all the rest need together."""

    def spawn(self):
        # Of the shell and what it becomes; the daemon could raise a soft limit again.
        command = ["/bin/sh", "-c", 'ulimit -n 70; exec "$@"', "sh", bin_dir() / "cbpolicyd",
                   f"--config={self.config}", "--fg"]
        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **self.environment}, start_new_session=True)


class Clients(FaultsTest):
    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        if hard < IDLE + 200:
            self.skipTest(f"only {hard} descriptors are allowed here")

    def test_all_at_once(self):
        daemon = self.make_fast(policy() + quota(1_000_000, period=86400), log_level=2)
        with Load(daemon, name="before") as before:
            time.sleep(SECONDS / 2)
        idle = [socket.create_connection(daemon.address) for _ in range(IDLE)]
        for connection in idle:
            self.addCleanup(connection.close)
        hostile = [Hostile(daemon, act) for act in ACTS for _ in range(2)]
        for one in hostile:
            one.start()
            self.addCleanup(one.ended.set)
        with Load(daemon, name="during") as during:
            time.sleep(SECONDS)
        memory = resident_kib(daemon.process)
        for one in hostile:
            one.ended.set()
        for one in hostile:
            one.join(20)
            self.assertGreater(one.times, 0)
        self.assertIsNone(during.broken)
        self.assertEqual(set(during.answers), {"DUNNO"})
        print(f"\n99 of 100 answers: {percentile(before.times, .99) * 1000:.1f} ms before, "
              f"{percentile(during.times, .99) * 1000:.1f} ms among hostile clients; "
              f"{memory / MIB:.0f} MiB resident with {IDLE} idle connections")
        # The median, for these times are those of Python's own threads too, which take turns.
        self.assertLess(percentile(during.times, .5), MOST_S)
        if not SANITIZED:
            self.assertLess(memory / MIB, 150)
        for connection in idle[::500]:
            connection.sendall(REQUEST)
            connection.settimeout(10)
            self.assertEqual(connection.recv(100), b"action=DUNNO\n\n")

    def test_memory_does_not_grow_with_what_hostile_clients_send(self):
        daemon = self.make_fast(policy() + quota(1_000_000, period=86400), log_level=1)

        def play(seconds):
            hostile = [Hostile(daemon, act) for act in ACTS if act is not never_reads]
            for one in hostile:
                one.start()
            time.sleep(seconds)
            for one in hostile:
                one.ended.set()
            for one in hostile:
                one.join(20)
            return resident_kib(daemon.process)
        first = play(SECONDS / 2)
        second = play(SECONDS)
        if not SANITIZED:
            self.assertLess(second - first, 30 * MIB, f"{first} KiB, then {second} KiB")
        self.assert_serving(daemon)

    def test_without_descriptors_waiting_clients_come_before_idle_ones(self):
        daemon = self.make_fast(policy() + quota(1_000_000, period=86400), kind=WithFewDescriptors)
        self.assert_serving(daemon)
        idle = []
        for _ in range(300):
            idle.append(socket.create_connection(daemon.address, timeout=10))
            self.addCleanup(idle[-1].close)
        for _ in range(20):
            self.assert_serving(daemon)
        daemon.wait_for_log("WARN", "cannot accept")
        for connection in idle:
            connection.close()
        self.assert_serving(daemon)
        self.assert_well(daemon)
        self.assertEqual(daemon.sql("PRAGMA integrity_check;"), "ok\n")


if __name__ == "__main__":
    unittest.main()
