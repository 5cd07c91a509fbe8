#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The commands of README for admins, typed as they stand there. (Those of the installation are in
packaging/root_test.py.)"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/daemon"))

from daemon_case import bin_dir, eventually, free_port  # noqa: E402
from incomplete_database_test import POLICYD_20, Case  # noqa: E402


def commands_of(title: str) -> str:
    """The indented lines of a section."""
    section = re.split(rf"\n##+ {title}\n", (ROOT / "README.md").read_text())[1].split("\n#")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert lines, title
    return "\n".join(lines) + "\n"


class Readme(Case):
    def here(self, daemon):
        return {"text": True, "cwd": daemon.folder,
                "env": {"PATH": f"{bin_dir()}:{os.environ['PATH']}", "ZEXTRAS_HOME": str(daemon.folder)}}

    def type_them(self, daemon, text):
        return subprocess.run(["bash", "-c", text], capture_output=True, timeout=120, check=False,
                              **self.here(daemon))

    def in_the_background(self, daemon, text):
        return subprocess.Popen(["bash", "-c", text], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                **self.here(daemon))

    def own_the_folders(self, daemon):
        for folder in (daemon.folder / "data", daemon.folder / "data/cbpolicyd"):
            shutil.chown(folder, daemon.database.owner())

    def test_limits_in_one_command(self):
        daemon = self.make_daemon()
        for line in commands_of("Limits in one command").splitlines():
            if not line.startswith("carbonio-limits") or " init " in line:
                continue
            done = self.type_them(daemon, line)
            self.assertIn(done.returncode, (0, 3) if "doctor" in line else (0,), line + done.stderr)
            self.assertEqual(done.stderr, "", line)

    def test_asking_by_hand(self):
        daemon = self.make_daemon()
        daemon.command("send", "1/min", "--anyone")
        text = commands_of("Asking the daemon by hand").replace("10031", str(daemon.port))
        self.assertEqual(self.type_them(daemon, text).stdout, "action=DUNNO\n")
        self.assertRegex(self.type_them(daemon, text).stdout,
                         r"^action=DEFER Too many messages sent: the limit is 1 per minute[.] Please try "
                         r"again in (\d+ seconds?|1 minute)[.]\n$")

    def test_what_stops_an_account(self):
        daemon = self.make_daemon()
        daemon.sql("DELETE FROM policy_group_members WHERE Member = '@example.com';")
        done = self.type_them(daemon, commands_of("Automatically"))
        self.assertEqual(done.stderr, "")
        self.assertIn("signal networks 5: notify,block:1h", done.stdout)
        self.assertIn("limit 3: notify", done.stdout)

    def test_choosing_a_limit(self):
        daemon = self.make_daemon()
        daemon.command("send", "100/h")
        daemon.sql("".join(
            "INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, "
            f"Size, RecipientData) VALUES ('i{number}', 'Q{number}', strftime('%s', 'now') - 600 + {number}, "
            f"'10.0.0.9', 'anna@example.org', 3, '/<b{number}@example.com>#0=1;');" for number in range(9)))
        before = self.ids(daemon)
        self.assertIn(3, before)
        for line in commands_of("Choosing a limit").splitlines():
            done = self.type_them(daemon, line)
            self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        self.assertEqual(len(self.ids(daemon)), len(before) + 1)
        self.assertIn("</svg>", (daemon.folder / "page.html").read_text())

    def ids(self, daemon):
        return [each["id"] for each in json.loads(daemon.command("list", "--json").stdout)["limits"]]

    def test_a_page(self):
        port = free_port()
        daemon = self.make_daemon(options={"web": {"listen": f"127.0.0.1:{port}"}})
        self.own_the_folders(daemon)
        start, serve, link = [line for line in commands_of("A page").splitlines()
                              if line.startswith("carbonio-limits ")]
        self.assertIn("'carbonio-limits web serve'", self.type_them(daemon, start).stderr)
        with self.in_the_background(daemon, "exec " + serve) as page:
            self.assertIn("The page is served on ", page.stdout.readline())
            self.assertRegex(self.type_them(daemon, link).stdout, rf"^http://127.0.0.1:{port}/")
            page.terminate()

    def test_cron_with_your_own_postfix(self):
        daemon = self.make_daemon()
        self.own_the_folders(daemon)
        file = daemon.folder / "crontab"
        text = (ROOT / "README.md").read_text().split("\n## With your own Postfix\n")[1]
        [lines] = re.findall(r"^    cat >/etc/cron.d/limits .*?^    EOF$", text, re.MULTILINE | re.DOTALL)
        self.type_them(daemon, lines.replace("    ", "").replace("/etc/cron.d/limits", str(file)))
        settings = re.findall(r"^\w+=.*", file.read_text(), re.MULTILINE)
        commands = re.findall(r"^[*0-9]+(?: [*]){4} root (.*)", file.read_text(), re.MULTILINE)
        self.assertEqual((len(settings), len(commands)), (2, 3))
        daemon.command("block", "eve@example.org", "--for", "1s")
        self.assertTrue(eventually(lambda: " over" in daemon.command("blocked").stdout))
        for command in commands:
            done = subprocess.run(["env", "-i", *settings, "sh", "-c", command], capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), command)
        self.assertIn("No one is blocked.", daemon.command("blocked").stdout)

    def test_notices_and_reports(self):
        daemon = self.make_daemon()
        sendmail = daemon.folder / "common/sbin/sendmail"
        sendmail.parent.mkdir(parents=True)
        sendmail.write_text(f"#!/bin/sh\ncat >>{daemon.folder}/data/mails\n")
        sendmail.chmod(0o755)
        self.own_the_folders(daemon)
        done = self.type_them(daemon, commands_of("Notices and reports"))
        self.assertEqual(done.stderr, "")
        self.assertIn("Notices go to admin@example.org.", done.stdout)
        self.assertIn("A report goes to admin@example.org each day at 07:00.", done.stdout)
        self.assertIn("\n# HELP carbonio_limits_up ", done.stdout)
        mails = (daemon.folder / "data/mails").read_text()
        self.assertIn("notices are on", mails)
        self.assertIn("daily report", mails)
        section = (ROOT / "README.md").read_text().split("## Notices and reports")[1].split("\n## ")[0]
        for file in (ROOT / "packaging/prometheus").iterdir():
            self.assertIn(f"`{file.name}`", section)

    def test_taking_over_an_old_database(self):
        old = self.perl_database(POLICYD_20)
        daemon = self.make_daemon()
        file = daemon.folder / "old.sqlitedb"
        file.write_bytes(old.database.read_bytes())
        file.chmod(0o644)
        lines = commands_of("Taking over an old database").replace("/var/tmp/old.sqlitedb", str(file))
        done = self.type_them(daemon, lines)
        self.assertIn("10/min", done.stdout)
        [quoted] = re.findall('"(.*)"', lines)
        self.assertIn(f"  ok           {quoted}\n", done.stdout)
        self.assertEqual(self.ask_many(daemon, 11)[9:],
                         ["DUNNO", "DEFER Deferring: Too many messages sent in last 60 seconds"])


if __name__ == "__main__":
    unittest.main()
