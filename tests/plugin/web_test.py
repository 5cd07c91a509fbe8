#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`web`: the page over HTTP, beside a real daemon with real refusals."""

import http.client
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.parse

from web_case import Case, Page, bin_dir, eventually  # noqa: E402


class Reading(Case):
    def test_what_it_shows_is_what_the_subcommands_print(self):
        self.refuse()
        self.tracked(3)
        self.daemon.command("block", "mallory@example.org")
        page = self.signed_in()
        for path, words in {
                "usage": ["usage"], "usage?word=alice%40example.org": ["usage", "alice@example.org"],
                "refused?top=1": ["refused", "--top", "1"], "limits": ["list"],
                "limit?word=3": ["show", "3"], "history?word=example.org": ["history", "example.org"],
                "blocked": ["blocked"], "signals": ["signal"],
                "blocked?past=&since=7day": ["blocked", "--past", "--since", "7day"],
                "simulate?word=2/h": ["simulate", "2/h", "--svg", "-"],
                "simulate?word=receive&word=1/h&per=user&user=b1%40example.com":
                    ["simulate", "receive", "1/h", "--per", "user", "--user", "b1@example.com",
                     "--svg", "-"],
                "simulate?word=set&word=3&word=5/h": ["simulate", "set", "3", "5/h", "--svg", "-"],
                "doctor": ["doctor"], "status": ["service", "status"],
                "cluster": ["cluster", "status"],
                "explain?from=alice%40example.org&to=b%40example.com":
                    ["explain", "--from", "alice@example.org", "--to", "b@example.com"]}.items():
            with self.subTest(path):
                for _ in range(10):  # a second may pass between the two
                    status, shown = page.get(path)
                    self.assertEqual(status, 200, shown)
                    printed = json.loads(self.daemon.command(*words, "--json", check=False).stdout)
                    self.assertEqual(shown.keys(), printed.keys())
                    for moving in ("now", "since", "refused_since", "requests"):
                        shown.pop(moving, None), printed.pop(moving, None)
                    if path == "doctor" or shown == printed:
                        break
                else:
                    self.assertEqual(shown, printed)

    def test_the_export_is_text(self):
        _, headers, text = self.signed_in().ask("/api/export")
        self.assertEqual(headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(text, self.daemon.command("export").stdout)

    def test_the_first_page_needs_no_script(self):
        self.refuse()
        page = self.signed_in("--write")
        _, _, html = page.ask("/")
        self.assertIn('<th scope="row" role="rowheader">alice@example.org</th>', html)
        [token] = set(re.findall('name="token" value="(.*?)"', html))
        [limit] = re.findall('name="limit" value="(.*?)"', html)
        body = urllib.parse.urlencode({"token": token, "limit": limit, "word": "alice@example.org"})
        status, headers, _ = page.ask("/api/reset", "POST", body, {
            "Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{page.host}"})
        self.assertEqual((status, headers["Location"]), (303, "/"))
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertIn("alice@example.org", re.search('class="message".*?</p>', page.ask("/")[2])[0])

    # The buttons of the first page, as a browser sends their forms.
    def test_each_button_frees_its_sender(self):
        self.daemon.command("send", "1/h", "--per", "everyone", "--client", "192.0.2.0/24")
        page = self.signed_in("--write")

        def forms():
            return re.findall('<form method="post" action="/api/reset">.*?</form>', page.ask("/")[2],
                              re.DOTALL)
        for name in ("", "root", "tab\there@example.org", "rtl\u202e@example.org",
                     "bad\u00ff\x01@example.org", "<> (bounces)", "all together", "new@example.org"):
            everyone = name.startswith("new@")
            mail = {"sender": name, "client_address": "192.0.2.9" if everyone else "198.51.100.9"}
            with self.subTest(name):
                while self.daemon.ask(**mail) == "DUNNO":
                    pass
                self.assertTrue(eventually(lambda: len(forms()) == 1, 10))
                fields = {key: re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), value) for key, value in
                          re.findall('name="(.*?)" value="(.*?)"', forms()[0], re.DOTALL)}
                self.assertEqual(fields["limit"], "4" if everyone else "3")
                status, _, _ = page.ask("/api/reset", "POST", urllib.parse.urlencode(fields), {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Origin": f"http://{page.host}"})
                self.assertEqual((status, self.daemon.ask(**mail)), (303, "DUNNO"))

    def test_it_is_small(self):
        page = self.signed_in()
        _, _, html = page.ask("/")
        files = set(re.findall('(?:src|href)="(/[^"#]+)"', html)) | {"/text.js"}
        self.assertEqual(files, {"/page.css", "/page.js", "/text.js", "/icon.svg"})
        self.assertLess(len(html) + sum(len(page.ask(file)[2]) for file in files), 150_000)

    def test_head_is_get_without_the_body(self):
        page = self.signed_in()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.addCleanup(connection.close)
        headers = {"Host": page.host, "Cookie": page.cookie}
        for target, status in (("/", 200), ("/page.js", 200), ("/api/limits", 200), ("/nothing", 404),
                               ("/api/off", 405)):
            answers = []
            for method in ("HEAD", "GET"):  # on one connection, which a body would put out of step
                connection.request(method, target, headers=headers)
                kept = connection.sock
                response = connection.getresponse()
                body = response.read()
                answers.append((response.status, response.getheader("Content-Type"),
                                response.getheader("Allow")))
                self.assertEqual(bool(body), method == "GET", (method, target))
                self.assertGreater(int(response.getheader("Content-Length")), 0, target)
                self.assertIs(connection.sock, kept, "the connection was closed")
            self.assertEqual(answers[0], answers[1], target)
            self.assertEqual(answers[0][0], status, target)
        self.assertEqual(answers[0][2], "POST")

    def test_no_other_site_may_use_it(self):
        for target in ("/", "/page.js", "/api/usage", "/nothing"):
            _, headers, _ = Page(self.port).ask(target)
            self.assertIn("default-src 'none'; script-src 'self'", headers["Content-Security-Policy"])
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertNotIn("Access-Control-Allow-Origin", headers)


class Changing(Case):
    def test_a_preview_and_the_change(self):
        page = self.signed_in("--write")
        before = self.daemon.command("list").stdout
        status, said = page.change("set", word=["3", "5/h"], **{"dry-run": True})
        self.assertEqual((status, self.daemon.command("list").stdout), (200, before), said)
        self.assertEqual(said["text"], self.daemon.command("set", "3", "5/h", "--dry-run").stdout)
        self.assertEqual(page.change("set", word=["3", "5/h"])[0], 200)
        self.assertIn("5/h", self.daemon.command("list").stdout)

    def test_numbers_of_json(self):
        page = self.signed_in("--write")
        for word in (["3", "5/h"], [3, "6/h"]):
            self.assertEqual(page.change("set", word=word)[0], 200)
        self.assertIn("6/h", self.daemon.command("list").stdout)
        self.assertEqual(page.change("off", word=3.5), (400, {"error": "'word' has to be a string"}))
        self.assertEqual(page.change("import", text=""), (400, {"error": "'text' is empty"}))

    def test_an_import_names_its_lines(self):
        page = self.signed_in("--write")
        status, said = page.change("import", text="send 5/h --anyone\nsend lots\n")
        self.assertEqual(status, 409, said)
        self.assertTrue(said["error"].startswith("line 2: "), said)

    def test_new_off_on_and_removed(self):
        page = self.signed_in("--write")
        self.assertEqual(page.change("send", word="7/h", user="carl@example.org")[0], 200)
        [limit] = [row for row in page.get("limits")[1]["limits"] if row["who"] == "carl@example.org"]
        for path, state in (("off", False), ("on", True)):
            self.assertEqual(page.change(path, word=str(limit["id"]))[0], 200)
            self.assertEqual(page.get(f"limit?word={limit['id']}")[1]["enabled"], state)
        self.assertEqual(page.change("remove", word=str(limit["id"]))[0], 200)
        status, said = page.get(f"limit?word={limit['id']}")
        self.assertEqual(status, 404, said)
        self.assertIn(f"there is no limit {limit['id']}; ", said["error"])

    def test_pause_and_resume(self):
        self.refuse()
        page = self.signed_in("--write")
        self.assertEqual(page.change("pause", word="10min")[0], 200)
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DUNNO"))
        self.assertIn("pause", " ".join(page.get("refused")[1]["warnings"]).lower())
        self.assertEqual(page.change("resume")[0], 200)
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DEFER later"))

    def test_who_did_it_is_remembered(self):
        page = self.signed_in("--write")
        page.change("set", word=["3", "9/h"])
        who = "SELECT Who FROM limits_events WHERE Kind = 'rules' AND Who LIKE 'the page, signed in as %'"
        self.assertTrue(eventually(lambda: self.daemon.query(who)))

    def test_wrong_words_change_nothing(self):
        page = self.signed_in("--write")
        before = self.daemon.command("list").stdout
        for path, parameters, wanted in (
                ("set", {"word": ["3", "lots"]}, 400), ("set", {"word": ["99", "1/h"]}, 409),
                ("send", {"word": "5/h", "user": "no address"}, 400),
                ("send", {"word": "5/h", "database": "/x"}, 400),
                ("send", {"word": ["5/h", "--print-sql"]}, 400), ("remove", {"word": "x"}, 400)):
            status, said = page.change(path, **parameters)
            self.assertEqual((status, said["error"].count("\n")), (wanted, 0), said)
        self.assertEqual(self.daemon.command("list").stdout, before)


class Trying(Case):
    def test_whom_a_limit_would_have_hit(self):
        self.tracked(3)
        page = self.signed_in()  # that reads
        before = self.daemon.command("list").stdout
        status, said = page.get("simulate?word=set&word=3&word=2/h")
        self.assertEqual((status, said["refused"], said["hit"]), (200, 1, 1), said)
        self.assertIn("anna@example.org, mails by hour", said["svg"])
        self.assertEqual(page.get("simulate?word=3/h")[1]["refused"], 0)
        self.assertEqual(self.daemon.command("list").stdout, before)

    def test_no_mail_is_said(self):
        status, said = self.signed_in().get("simulate?word=2/h")
        self.assertEqual((status, said["error"].count("\n")), (409, 0), said)
        self.assertIn("there is no mail log /var/log/carbonio.log", said["error"])

    def test_it_reads_no_file_that_is_named(self):
        self.tracked(3)
        page = self.signed_in("--write")
        secret = self.daemon.folder / "secret"
        secret.write_text("the password is geheim\n")
        for query in (f"word={secret}", f"word=1/h&word={secret}", f"word=1/h&user={secret}",
                      f"word=1/h&except=./{secret.name}", "word=1/h&word=secret", "word=set&word=secret",
                      f"word={secret}&word=1/h", "word=1/h&word=-", f"word=1/h&against={secret}",
                      f"word=1/h&svg={secret}", f"word=1/h&html={secret}"):
            status, said = page.get(f"simulate?{query}")
            self.assertEqual((status, said["error"].count("\n")), (400, 0), (query, said))
            self.assertNotIn("geheim", str(said))
        self.assertEqual(secret.read_text(), "the password is geheim\n")

    def test_bad_words(self):
        self.tracked(1)
        page = self.signed_in()
        for query, wanted in (("", 400), ("word=lots", 400), ("word=set", 400), ("word=set&word=3", 400),
                              ("word=set&word=99&word=1/h", 409), ("word=set&word=3&word=1/h&per=user", 400),
                              (f"word={'1' * 1001}", 400), ("word=1/h&since=someday", 400),
                              ("word=1/h&per=%3Cscript%3E", 400), ("word=" + "&word=".join("1/h" * 11), 400),
                              (f"word=1/h&user={'a' * 4096}", 414)):
            status, said = page.get(f"simulate?{query}")
            self.assertEqual((status, said["error"].count("\n")), (wanted, 0), (query, said))
        self.assertEqual(Page(self.port).get("simulate?word=1/h")[0], 401)

    def test_names_of_strangers_are_text_in_the_picture(self):
        self.tracked(3, "<script>alert(1)</script>\x1b[31m\u202e@example.org")
        status, headers, body = self.signed_in().ask("/api/simulate?word=2/h&anyone=")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"), body)
        picture = json.loads(body)["svg"]
        self.assertIn("&lt;script&gt;alert(1)", picture)
        for text in ("<script", "\x1b", "\u202e"):
            self.assertNotIn(text, picture)


class Blocking(Case):
    WHO = "mallory@example.org"

    def refuses(self):
        return self.daemon.ask(sender=self.WHO).startswith("REJECT Sending is blocked")

    def test_a_block_and_its_end(self):
        page = self.signed_in("--write")
        status, said = page.change("block", word=self.WHO, **{"dry-run": True})
        self.assertEqual(status, 200, said)

        def words(text):  # without the rows, which name who makes it
            return [line for line in text.splitlines() if not line.startswith("INSERT")]
        self.assertEqual(words(said["text"]),
                         words(self.daemon.command("block", self.WHO, "--dry-run").stdout))
        self.assertIn(f"Would block {self.WHO} until unblocked.", words(said["text"]))
        self.assertEqual(page.get("blocked")[1]["blocked"], [])
        status, said = page.change("block", word=self.WHO, **{"for": "1h"})
        self.assertEqual(status, 200, said)
        self.assertIn(f"'carbonio-limits unblock {self.WHO}' ends the block", said["text"])
        self.assertTrue(self.refuses())
        [row] = page.get("blocked")[1]["blocked"]
        self.assertEqual((row["who"], row["until"] - row["since"]), (self.WHO, 3600))
        self.assertTrue(row["by"].startswith("the page, signed in as "), row)
        status, said = page.change("unblock", word=self.WHO, **{"dry-run": True})
        self.assertIn("Nothing was changed (--dry-run).", said["text"])
        self.assertTrue(self.refuses())
        self.assertEqual(page.change("unblock", word=self.WHO)[0], 200)
        self.assertFalse(self.refuses())
        self.assertEqual([each["blocked"] for each in page.get("blocked?past=")[1]["past"]], [False, True])

    def test_who_must_not_be_blocked(self):
        page = self.signed_in("--write")
        for who, why in (("postmaster@example.org", "complaints"), ("127.0.0.1", "this host itself"),
                         (pwd.getpwuid(os.getuid()).pw_name, "who runs this command")):
            status, said = page.change("block", word=who)
            self.assertEqual((status, said["error"].count("\n")), (409, 0), said)
            self.assertIn(why, said["error"])
        self.assertEqual(page.get("blocked")[1]["blocked"], [])

    def test_bad_words(self):
        page = self.signed_in("--write")
        for parameters in ({}, {"word": "@example.org"}, {"word": ["a", "b"]},
                           {"word": self.WHO, "for": "forever"}, {"word": self.WHO, "hold": True},
                           {"word": self.WHO, "database": "/x"}, {"word": "a" * 1001},
                           {"word": "<b>x</b>\n\u001b[31m@example.org"},
                           {"word": "192.0.2.1", "account": True}):
            status, said = page.change("block", **parameters)
            self.assertEqual((status, said["error"].count("\n")), (400, 0), (parameters, said))
            self.assertNotIn("\x1b", said["error"])
        for parameters in ({}, {"word": self.WHO, "delete": True}, {"word": self.WHO, "release": True}):
            self.assertEqual(page.change("unblock", **parameters)[0], 400, parameters)
        self.assertEqual(page.change("blocked")[0], 405)
        self.assertEqual(page.change("signals")[0], 405)
        self.assertEqual(page.get("signals?word=rate&word=5")[0], 400)
        self.assertEqual(page.get("blocked")[1]["blocked"], [])

    def test_names_of_strangers(self):
        name = "<script>alert(1)</script>"
        page = self.signed_in("--write")
        status, said = page.change("block", word=f"{name}@example.org")
        self.assertIn(status, (200, 400), said)
        _, headers, body = page.ask("/api/blocked")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_names_that_look_like_options(self):
        page = self.signed_in("--write")
        for name in ("-x@example.org", "--delete@example.org"):
            self.refuse(name)
            self.assertEqual(page.get(f"usage?word={name}&top=3")[0], 200)
            self.assertEqual(page.change("reset", word=name, limit="3")[0], 200)
            self.assertEqual(self.daemon.ask(sender=name), "DUNNO")
            self.assertEqual(page.change("block", word=name, **{"for": "1h"})[0], 200)
            self.assertEqual([row["who"] for row in page.get("blocked")[1]["blocked"]], [name])
            self.assertEqual(page.change("unblock", word=name)[0], 200)
            self.assertEqual(page.get("blocked")[1]["blocked"], [])

    def test_only_who_may_write(self):
        for path in ("block", "unblock"):
            self.assertEqual(Page(self.port).change(path, word=self.WHO)[0], 401)
            status, said = self.signed_in().change(path, word=self.WHO)
            self.assertEqual(status, 403)
            self.assertIn("web link --write", said["error"])
            page = self.signed_in("--write")
            page.token = page.token[::-1]
            self.assertEqual(page.change(path, word=self.WHO)[0], 403)
        self.assertFalse(self.refuses())


class Access(Case):
    def test_links(self):
        self.assertRegex(self.link(), rf"^http://127\.0\.0\.1:{self.port}/sign-in\?token=[0-9a-f]{{64}}$")
        link = self.link()
        self.assertEqual(Page(self.port).sign_in(link), 200)
        self.assertEqual(Page(self.port).sign_in(link), 403)
        self.assertEqual(Page(self.port).sign_in(link[:-1] + "x"), 403)

    def test_a_reader_changes_nothing(self):
        page = self.signed_in()
        self.assertEqual(page.token, "")
        status, said = page.change("set", word=["3", "9/h"])
        self.assertEqual(status, 403)
        self.assertIn("web link --write", said["error"])
        self.assertNotIn("9/h", self.daemon.command("list").stdout)

    def test_a_restart_signs_out(self):
        page = self.signed_in("--write")
        self.end()
        self.serve()
        self.assertEqual(page.get("usage")[0], 401)
        self.assertEqual(page.sign_in(self.link("--write")), 200)

    def test_forged_origin_and_host(self):
        page = self.signed_in("--write")
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
            status, _, _ = page.ask("/api/off", "POST", '{"word": "3"}', {
                "Content-Type": "application/json", "X-Change-Token": page.token, **headers})
            self.assertEqual(status, 403, headers)
        for host in ("evil.example", "localhost:evil.example", "localhost:", "localhost:0", "127.0.0.1:x"):
            self.assertEqual(page.ask("/", headers={"Host": host})[0], 421, host)

    def test_never_to_the_world(self):
        self.end()
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            f"[web]\nlisten=0.0.0.0:{self.port}\n")
        done = self.daemon.command("web", "serve", check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("--behind-proxy", done.stderr)


class Listening(Case):
    """Where it is served, and what is said where it is not."""

    def listen(self, address):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(f"[web]\nlisten={address}\n")

    def test_all_addresses_of_localhost(self):
        self.end()
        self.listen(f"localhost:{self.port}")
        self.serve()
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, self.port), timeout=5) as connection:
                connection.sendall(b"GET /icon.svg HTTP/1.0\r\nHost: localhost\r\n\r\n")
                self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200"), address)

    def test_where_it_is_not_served(self):
        self.assertEqual(self.daemon.command("web", "status").stdout, "The page is served.\n")
        self.end()
        links = self.daemon.folder / "data/cbpolicyd/links"
        before = list(links.glob("*"))
        for another in (False, True):
            if another:  # a program that says nothing
                self.addCleanup(socket.create_server(("127.0.0.1", self.port)).close)
            done = self.daemon.command("web", "link", check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (
                2, "", "carbonio-limits: the page is not served; 'carbonio-limits web serve' serves it\n"))
            done = self.daemon.command("web", "status", check=False)
            self.assertEqual((done.returncode, done.stdout), (
                3, "The page is not served; 'carbonio-limits web serve' serves it.\n"))
        self.assertEqual(list(links.glob("*")), before)

    def test_where_it_is_served_already(self):
        done = self.daemon.command("web", "serve", check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("another program listens there", done.stderr)
        self.assertIn("listen in [web] of carbonio-limits.conf", done.stderr)

    def test_without_systemd(self):
        for verb, words in (("start", "'carbonio-limits web serve' serves the page in the foreground"),
                            ("stop", "Ctrl-C ends 'carbonio-limits web serve'")):
            done = self.daemon.command("web", verb, check=False)
            self.assertEqual((done.returncode, done.stderr), (
                2, f"carbonio-limits: systemd does not run services here; {words}\n"))


class Hostile(Case):
    """Whoever is at the other end: a clear answer or a closed connection, and others are served."""

    def raw(self, data, wait=5):
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(data)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
        return received

    def assert_served(self):
        self.assertEqual(Page(self.port).ask("/")[0], 401)

    def test_what_is_no_http(self):
        for data in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0\x01",
                     b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"POST /api/off HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"):
            answer = self.raw(data)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), (data, answer))
        self.assert_served()

    def test_a_missing_host_is_said(self):
        answer = self.raw(b"GET /api/usage HTTP/1.0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertIn(b'{"error":"the Host header is missing"}', answer)

    def test_too_long(self):
        self.assertIn(b"HTTP/1.1 431", self.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n"))
        answer = self.raw(
            b"POST /api/off HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
        self.assertIn(b"HTTP/1.1 413", answer)
        self.assertTrue(answer.endswith(b'\r\n\r\n{"error":"the request cannot be read"}\n'), answer)
        status, _, _ = Page(self.port).ask("/" + "x" * 5000)
        self.assertEqual(status, 414)

    def test_paths_that_climb(self):
        for target in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page.js/../../x", "//etc",
                       "/api/../page.js"):
            self.assertEqual(Page(self.port).ask(target)[0], 404, target)

    def test_names_of_strangers(self):
        name = "<script>alert(1)</script>\x1b[31m\"'&"
        self.daemon.sql("INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, "
                        "FirstSeen, LastSeen, Times, Client) VALUES "
                        f"(1, 'refused', 'Quotas', 4, 'Sender:' || CAST(x'{name.encode().hex()}' AS TEXT), "
                        f"'defer', {int(time.time() * 1000)}, {int(time.time() * 1000)}, 1, '<i>')")
        _, _, html = self.signed_in().ask("/")
        self.assertIn("&lt;script&gt;alert(1)", html)
        for text in ("<script>alert", "\x1b", "<i>"):
            self.assertNotIn(text, html)

    def test_a_stop_is_orderly(self):
        page = self.signed_in()
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=10), 0)
        with self.assertRaises(OSError):
            page.ask("/")


if __name__ == "__main__":
    unittest.main()
