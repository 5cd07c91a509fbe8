#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Clients of the page that are many, silent or slow: others are served meanwhile."""

import pathlib
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugin"))

from web_case import SANITIZED, Case, Page  # noqa: E402


class SlowClients(Case):
    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def assert_served(self, page=None):
        if page:
            self.assertEqual(page.get("limits")[0], 200)
        else:
            self.assertEqual(Page(self.port).ask("/")[0], 401)

    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.server.pid}/fd").iterdir()))

    def test_ten_thousand_connections(self):
        page = self.signed_in()
        held = []
        self.addCleanup(lambda: [connection.close() for connection in held])
        for number in range(10000):
            held.append(self.connect())
            if len(held) > 500:  # this process has descriptors, too
                held.pop(0).close()
            if number % 1000 == 999:
                self.assert_served(page)
                self.assertLess(self.descriptors(), 150)

    def test_silent_connections_keep_nobody_out(self):
        page = self.signed_in()
        held = [self.connect() for _ in range(300)]
        half = [self.connect() for _ in range(300)]
        self.addCleanup(lambda: [connection.close() for connection in held + half])
        for connection in half:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: loc")
            except OSError:
                pass  # it made room already
        start = time.monotonic()
        self.assert_served(page)
        self.assertLess(time.monotonic() - start, 5)
        self.assertLess(self.descriptors(), 150)

    def test_a_byte_a_second(self):
        with self.connect() as slow:
            start = time.monotonic()
            try:
                for number, byte in enumerate(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100):
                    slow.send(bytes([byte]))
                    time.sleep(1)
                    if number % 5 == 0:
                        self.assert_served()
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertLess(time.monotonic() - start, 40)  # promised are 20 s

    def test_one_who_does_not_read(self):
        with self.connect() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(1)
            try:
                for _ in range(2000):
                    deaf.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
            except OSError:
                pass
            self.assert_served()

    def assert_served_at_once(self):
        for _ in range(5):
            start = time.monotonic()
            self.assert_served()
            self.assertLess(time.monotonic() - start, 10 if SANITIZED else 1)

    def test_many_who_do_not_read(self):
        for _ in range(130):
            deaf = socket.socket()
            self.addCleanup(deaf.close)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", self.port))
            deaf.setblocking(False)
            try:
                deaf.sendall(b"GET /api.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4000)
            except OSError:
                pass  # there is no room for more, or it made room already
        time.sleep(2)  # the kernel takes some MB of each
        self.assert_served_at_once()

    def test_many_who_stay_after_the_last_answer(self):
        for _ in range(150):
            connection = self.connect()
            self.addCleanup(connection.close)
            connection.sendall(b"x\r\n\r\n")
        self.assert_served_at_once()


if __name__ == "__main__":
    unittest.main()
