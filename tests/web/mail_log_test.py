#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What the page does with a mail log, which may be large or not readable: others are served meanwhile,
one is read at a time, and not for nobody. With a /var/log of its own."""

import gzip
import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugin"))

from mail_log import MailLog  # noqa: E402
from web_case import Case, eventually  # noqa: E402

INSIDE = "IN_A_MOUNT_NAMESPACE"
SKIPPED = 77
NOBODY = 65534
LOG = pathlib.Path("/var/log/carbonio.log")
COPIES = 3000  # of a megabyte


class MailLogTest(Case):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="page-log-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        subprocess.run(["mount", "--bind", folder, "/var/log"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/var/log"], check=True)
        super().setUp()

    def write_large(self):
        log = MailLog(days_ago=2).mail()
        while len(log.lines) < 8000:
            log.line("amavis", "what other programs say, which is most of such a log, " * 2)
        one = gzip.compress(log.text().encode())
        LOG.write_bytes(one * COPIES)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def asked(self, page):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.addCleanup(connection.close)
        connection.request("GET", "/api/simulate?word=100/h", headers={
            "Host": page.host, "Cookie": page.cookie})
        return connection

    def is_reading(self):
        before = self.cpu_s()
        time.sleep(0.5)
        return self.cpu_s() - before > 0.05

    def test_the_log_is_read(self):
        log = MailLog()
        for number in range(5):
            log.wait(1).mail("anna@example.org", f"b{number}@example.com")
        log.write(LOG)
        status, said = self.signed_in().get("simulate?word=3/h")
        self.assertEqual((status, said["refused"], said["source"]), (200, 2, "1 file"), said)

    def test_a_log_that_may_not_be_read(self):
        MailLog().mail().write(LOG)
        shutil.chown(LOG, "root", "adm")
        LOG.chmod(0o640)
        self.end()
        for path in [self.daemon.database.parent, *self.daemon.database.parent.glob("*"),
                     self.daemon.folder / "data/cbpolicyd"]:
            os.chown(path, NOBODY, NOBODY)
        self.serve()
        status, said = self.signed_in().get("simulate?word=3/h")
        self.assertEqual((status, said["error"].count("\n")), (409, 0), said)
        self.assertIn("cannot read /var/log/carbonio.log: Permission denied", said["error"])
        self.assertIn("usermod -aG adm nobody", said["error"])

    def test_others_are_served_meanwhile_and_nobody_is_read_for(self):
        self.write_large()
        page = self.signed_in()
        reading = self.asked(page)
        self.assertTrue(eventually(self.is_reading))
        for path in ("usage", "limits", "blocked", "status"):
            self.assertEqual(page.get(path)[0], 200)
        self.assertEqual(page.ask("/")[0], 200)
        self.assertTrue(self.is_reading(), "it was over before, so this shows nothing")
        waiting = [self.asked(page) for _ in range(3)]
        self.assertTrue(eventually(lambda: page.get("simulate?word=1/h")[0] == 503))
        for connection in (*waiting, reading):
            connection.close()
        self.assertTrue(eventually(lambda: not self.is_reading()), "it reads on for nobody")
        self.assertEqual(page.get("usage")[0], 200)

    def test_a_stop_waits_for_no_log(self):
        self.write_large()
        self.asked(self.signed_in())
        self.assertTrue(eventually(self.is_reading))
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=10), 0)


if __name__ == "__main__":
    if os.environ.get(INSIDE) != "1":
        words = ["unshare", "--mount"]
        if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True).returncode:
            print("skipped: only root can have a mount namespace of its own, where they are allowed")
            sys.exit(SKIPPED)
        os.environ[INSIDE] = "1"
        os.execvp(words[0], [*words, sys.executable, "-B", *sys.argv])
    unittest.main()
