#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The page behind nginx with HTTPS, which is configured by README's lines."""

import http.client
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/plugin"))

from web_case import Case, Page, eventually, free_port  # noqa: E402

NAME = "limits.example.org"


def lines_of_readme():
    """As an admin copies them, without the indentation of the block."""
    text = (ROOT / "README.md").read_text()
    [block] = re.findall(r"^    server \{\n.*?^    \}\n", text, re.MULTILINE | re.DOTALL)
    return re.sub("^    ", "", block, flags=re.MULTILINE)


class Proxied(Page):
    """The same browser, by HTTPS."""

    def __init__(self, port):
        super().__init__(port)
        self.host = f"{NAME}:{port}"

    def ask(self, target, method="GET", body=None, headers=()):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=ssl._create_unverified_context())
        try:
            connection.request(method, target, body, {
                "Host": self.host, "Cookie": self.cookie, **dict(headers)})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def change(self, path, **parameters):
        return super().change(path, scheme="https", **parameters)


@unittest.skipUnless(shutil.which("nginx") and shutil.which("openssl"), "no nginx with openssl here")
class Nginx(Case):
    options = {"hosts": NAME}

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="nginx-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.proxy_port = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={NAME}", "-keyout", self.folder / "limits.key",
                        "-out", self.folder / "limits.pem"], check=True, capture_output=True)
        server = lines_of_readme()
        for here, there in (("443", str(self.proxy_port)),
                            ("10032", str(self.port)),
                            ("/etc/ssl/certs/limits.pem", f"{self.folder}/limits.pem"),
                            ("/etc/ssl/private/limits.key", f"{self.folder}/limits.key")):
            self.assertEqual(server.count(here), 1, here)
            server = server.replace(here, there)
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\npid {self.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\nclient_body_temp_path {self.folder}/body;\n"
            f"proxy_temp_path {self.folder}/proxy;\nfastcgi_temp_path {self.folder}/f;\n"
            f"uwsgi_temp_path {self.folder}/u;\nscgi_temp_path {self.folder}/s;\n{server}}}\n")
        self.nginx = subprocess.Popen(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end_nginx)
        self.assertTrue(eventually(self.is_up, 30))

    def end_nginx(self):
        self.nginx.terminate()
        self.nginx.communicate(timeout=30)

    def is_up(self):
        try:
            return Proxied(self.proxy_port).ask("/")[0] == 401
        except OSError:
            return False

    def enter(self, *words):
        link = self.link(*words)
        self.assertTrue(link.startswith(f"https://{NAME}/sign-in?token="), link)
        page = Proxied(self.proxy_port)
        status, headers, _ = page.ask(link.removeprefix(f"https://{NAME}"))
        self.assertEqual(status, 200)
        self.assertRegex(headers["Set-Cookie"], "; HttpOnly; SameSite=Strict; .*; Secure$")
        page.cookie = headers["Set-Cookie"].split(";")[0]
        page.token = re.search('data-change="([0-9a-f]*)"', page.ask("/")[2])[1]
        return page

    def test_reading_and_changing(self):
        self.refuse()
        page = self.enter("--write")
        self.assertIn("alice@example.org", page.ask("/")[2])
        self.assertEqual(page.get("usage")[0], 200)
        self.assertEqual(page.change("reset", word="alice@example.org")[0], 200)
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def test_its_headers_come_through(self):
        _, headers, _ = Proxied(self.proxy_port).ask("/")
        self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
        self.assertEqual(headers["Cache-Control"], "no-store")

    def test_forged_origins(self):
        page = self.enter("--write")
        for origin in ("http://" + page.host, "https://evil.example", f"https://{NAME}",
                       f"https://{NAME}.evil.example:{self.proxy_port}"):
            status, _, _ = page.ask("/api/off", "POST", '{"word": "3"}', {
                "Content-Type": "application/json", "X-Change-Token": page.token,
                "Origin": origin})
            self.assertEqual(status, 403, origin)

    def test_another_name(self):
        page = Proxied(self.proxy_port)
        page.host = "evil.example"
        status, _, body = page.ask("/")
        self.assertEqual(status, 421)
        self.assertIn("hosts in [web]", body)

    def test_too_long(self):
        page = self.enter("--write")
        status, _, _ = page.ask("/api/off", "POST", "x" * 100_000, {
            "Content-Type": "application/json", "Origin": f"https://{page.host}"})
        self.assertEqual(status, 413)


if __name__ == "__main__":
    if not (shutil.which("nginx") and shutil.which("openssl")):
        print("skipped: no nginx with openssl here")
        sys.exit(77)
    unittest.main()
