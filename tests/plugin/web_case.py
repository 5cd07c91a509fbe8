# SPDX-License-Identifier: AGPL-3.0-only
"""What the tests of the page have in common: a daemon with a quota of two mails, the process that
serves the page, and a browser without pages."""

import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import SANITIZED, DaemonTest, bin_dir, eventually, free_port, policy, quota  # noqa: E402


class Page:
    """A browser without pages: keeps its cookie, and says where it comes from."""

    def __init__(self, port):
        self.port = port
        self.host = f"127.0.0.1:{port}"
        self.cookie = ""
        self.token = ""

    def ask(self, target, method="GET", body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body, {
                "Host": self.host, "Cookie": self.cookie, **dict(headers)})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def sign_in(self, link):
        address = urllib.parse.urlsplit(link)
        status, headers, _ = self.ask(f"{address.path}?{address.query}")
        if status == 200:
            self.cookie = headers["Set-Cookie"].split(";")[0]
            _, _, page = self.ask("/")
            self.token = re.search('data-change="([0-9a-f]*)"', page)[1]
        return status

    def get(self, path):
        status, _, body = self.ask(f"/api/{path}")
        return status, json.loads(body)

    def change(self, path, scheme="http", **parameters):
        status, _, body = self.ask(f"/api/{path}", "POST", json.dumps(parameters), {
            "Content-Type": "application/json", "Origin": f"{scheme}://{self.host}",
            "X-Change-Token": self.token})
        return status, json.loads(body)


class Case(DaemonTest):
    RULES = policy() + quota(2, period=3600)
    options = {}  # of section [web]

    def sections(self):
        """Others of carbonio-limits.conf."""
        return {}

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.daemon = self.make_daemon(self.RULES, options={
            "web": {"listen": f"127.0.0.1:{self.port}", **self.options}, **self.sections()})
        owner = self.daemon.database.stat()  # of all below data/cbpolicyd, as on a host
        os.chown(self.daemon.folder / "data/cbpolicyd", owner.st_uid, owner.st_gid)
        self.serve()

    def serve(self, *words):
        self.server = subprocess.Popen(
            [bin_dir() / "carbonio-limits", "web", "serve", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)})
        self.addCleanup(self.end)
        self.assertIn(f"The page is served on 127.0.0.1:{self.port}", self.server.stdout.readline())

    def end(self):
        if self.server.poll() is None:
            self.server.terminate()
        out, err = self.server.communicate(timeout=30)
        self.assertEqual((self.server.returncode, err), (0, ""), out)

    def tracked(self, count, sender="anna@example.org"):
        """Messages that the daemon was asked about just before now."""
        now = int(time.time())
        self.daemon.sql("".join(
            "INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, Size, "
            f"RecipientData) VALUES ('t{number}{sender}', 'Q{number}', {now - 600 + number}, '10.0.0.9', "
            f"CAST(x'{sender.encode().hex()}' AS TEXT), 3, '/<b{number}@example.com>#0=1;');"
            for number in range(count)))

    def link(self, *words):
        return self.daemon.command("web", "link", *words).stdout.splitlines()[0]

    def signed_in(self, *words):
        page = Page(self.port)
        self.assertEqual(page.sign_in(self.link(*words)), 200)
        return page

    def refuse(self, sender="alice@example.org"):
        self.assertEqual([self.daemon.ask(sender=sender) for _ in range(3)],
                         ["DUNNO", "DUNNO", "DEFER later"])
        self.assertTrue(eventually(lambda: sender in self.daemon.command("refused").stdout))
