# SPDX-License-Identifier: AGPL-3.0-only
"""Many clients, slow clients, clients that disconnect: each is served without waiting for another,
and nothing is sent to them unasked."""

import os
import select
import socket
import struct
import threading
import time
import unittest

from daemon_case import (
    ALICE, PROMPT_S, Connection, DaemonTest, always, eventually, has_loopback6, policy, quota)

SLACK_S = 20  # how late a timeout may come on a busy machine


class Many(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(1000))

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def connect_many(self, count):
        connections = [self.daemon.connect() for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    def test_300_connections_at_once(self):
        connections = self.connect_many(300)
        for _ in range(2):
            for connection in connections:
                connection.send(self.request())
            self.assertEqual([connection.answer() for connection in connections], ["DUNNO"] * 300)
        self.assertEqual(self.daemon.counter(ALICE), 600)

    def test_closed_connections_leave_no_descriptors(self):
        self.assert_serving(self.daemon)
        before = self.open_descriptors()
        for connection in self.connect_many(200):
            connection.close()
        for connection in self.connect_many(100):
            connection.send(self.request()[:50])
            connection.close()
        # 300 would be left; the backup may have opened the database meanwhile.
        self.assertTrue(eventually(lambda: self.open_descriptors() <= before + 10),
                        f"{before} descriptors before, {self.open_descriptors()} after")

    def test_resets_in_the_middle_do_no_harm(self):
        for connection in self.connect_many(100):
            linger_0 = struct.pack("ii", 1, 0)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_0)
            connection.send(self.request() + self.request()[:100])
            connection.close()
        self.assert_serving(self.daemon)

    def test_half_a_request_holds_up_nobody(self):
        for connection in self.connect_many(50):
            connection.send(self.request()[:-1])
        self.assert_serving(self.daemon)

    def test_a_half_closed_connection_gets_its_answers(self):
        with self.daemon.connect() as connection:
            connection.send(self.request() + self.request())
            connection.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.answer(), "DUNNO")
            self.assertEqual(connection.answer(), "DUNNO")
            self.assert_closed(connection)

    def test_half_closed_within_a_request_is_closed(self):
        with self.daemon.connect() as connection:
            connection.send(self.request()[:-1])
            connection.socket.shutdown(socket.SHUT_WR)
            self.assert_closed(connection)
        self.assertEqual(self.daemon.counter(ALICE), 0)

    def test_never_an_unasked_byte(self):
        with self.daemon.connect() as connection:
            self.assert_silent(connection)
            connection.send(self.request())
            self.assertEqual(connection.answer(), "DUNNO")
            self.assert_silent(connection)
            connection.send(self.request()[:-1])
            self.assert_silent(connection)

    def test_a_client_that_never_reads_holds_up_nobody(self):
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(self.daemon.address)
        deaf.setblocking(False)
        block = b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n" * 1000
        sent, blocked = 0, False
        while sent < 32 * 1024 * 1024:
            _, writable, _ = select.select([], [deaf], [], 0.5)
            if not writable:
                blocked = True  # it has stopped reading from us
                break
            try:
                sent += deaf.send(block)
            except ConnectionError:
                blocked = True
                break
        self.assertTrue(blocked, "unread answers are kept without a bound")
        self.assert_serving(self.daemon)

    def test_simultaneous_clients_share_one_exact_limit(self):
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 25 WHERE ID = 4")
        answers = []

        def play():
            with self.daemon.connect() as connection:
                for _ in range(10):
                    connection.send(self.request())
                    answers.append(connection.answer())

        threads = [threading.Thread(target=play) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers.count("DUNNO"), 25)
        self.assertEqual(answers.count("DEFER later"), 55)


class Timeouts(DaemonTest):
    def make(self, idle=60, busy=60):
        return self.make_daemon(options={"server": {"timeout_idle": idle, "timeout_busy": busy}})

    def assert_closed_after(self, connection, seconds, start):
        """`start` is before the last thing that we did on it."""
        self.assert_closed(connection)
        self.assertGreater(time.monotonic() - start, seconds - 0.2)
        self.assertLess(time.monotonic() - start, seconds + SLACK_S)

    def test_a_silent_connection_is_closed_after_timeout_idle(self):
        daemon = self.make(idle=1)
        start = time.monotonic()
        with daemon.connect() as connection:
            self.assert_closed_after(connection, 1, start)

    def test_timeout_idle_restarts_with_each_answer(self):
        with self.make(idle=3).connect() as connection:
            for _ in range(8):
                time.sleep(0.5)
                start = time.monotonic()
                connection.send(self.request())
                self.assertEqual(connection.answer(), "DUNNO")
            self.assert_closed_after(connection, 3, start)

    def test_half_a_request_is_closed_after_timeout_busy(self):
        with self.make(busy=1).connect() as connection:
            start = time.monotonic()
            connection.send(self.request()[:-1])
            self.assert_closed_after(connection, 1, start)

    def test_timeout_busy_does_not_apply_to_a_silent_connection(self):
        with self.make(busy=1).connect() as connection:
            self.assert_silent(connection, 2)
            connection.send(self.request())
            self.assertEqual(connection.answer(), "DUNNO")

    def test_timeout_idle_does_not_apply_to_half_a_request(self):
        with self.make(idle=3).connect() as connection:
            request = self.request()
            connection.send(request[:100])
            self.assert_silent(connection, 4)
            connection.send(request[100:])
            self.assertEqual(connection.answer(), "DUNNO")


class Admission(DaemonTest):
    def test_max_connections_closes_the_longest_idle(self):
        daemon = self.make_daemon(options={"server": {"max_connections": 5}})
        connections = [daemon.connect() for _ in range(5)]
        for connection in connections:
            self.addCleanup(connection.close)
        for connection in [*connections, connections[0]]:
            connection.send(self.request())
            self.assertEqual(connection.answer(), "DUNNO")
            time.sleep(0.1)
        with daemon.connect() as newcomer:
            newcomer.send(self.request())
            self.assertEqual(newcomer.answer(), "DUNNO")
            self.assert_closed(connections.pop(1))
            for connection in connections:
                connection.send(self.request())
                self.assertEqual(connection.answer(), "DUNNO")

    def test_cidr_deny_closes_unanswered(self):
        daemon = self.make_daemon(options={"server": {"cidr_deny": "127.0.0.0/8"}})
        self.assert_turned_away(daemon)

    def test_cidr_allow_admits_only_those(self):
        daemon = self.make_daemon(options={"server": {"cidr_allow": "127.0.0.1/32"}})
        self.assert_serving(daemon)
        elsewhere = self.make_daemon(options={"server": {"cidr_allow": "192.0.2.0/24"}})
        self.assert_turned_away(elsewhere)

    def test_each_reason_is_logged_even_within_the_same_minute(self):
        daemon = self.make_daemon(options={"server": {"max_connections": 1,
                                                      "cidr_deny": "127.0.0.2/32"}})
        with daemon.connect(), daemon.connect():
            daemon.wait_for_log("1 connections are open (max_connections)")
            with socket.create_connection(("127.0.0.1", daemon.port),
                                          source_address=("127.0.0.2", 0)):
                daemon.wait_for_log("refused by cidr_allow or cidr_deny")

    def assert_turned_away(self, daemon):
        with daemon.connect() as connection:
            try:
                connection.send(self.request())
            except ConnectionError:
                return
            self.assert_closed(connection)

    def test_localhost_is_both_families(self):
        daemon = self.make_daemon(always("refused"))
        with Connection(("127.0.0.1", daemon.port)) as connection:
            self.assertEqual(connection.ask(), "REJECT refused")
        if not has_loopback6():
            self.skipTest("this machine has no ::1")
        start = time.monotonic()
        with Connection(("::1", daemon.port)) as connection:
            self.assertEqual(connection.ask(), "REJECT refused")
        self.assertLess(time.monotonic() - start, PROMPT_S)


if __name__ == "__main__":
    unittest.main()
