#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`scripts/quickstart --cluster`: what it prints is what happened, and it leaves nothing behind."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

QUICKSTART = pathlib.Path(__file__).resolve().parents[2] / "scripts/quickstart"


def running_in(folder):
    """The programs that have the folder in their command line or are in it."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            if folder in words or (process / "cwd").readlink().is_relative_to(folder):
                found.append(words)
        except OSError:
            continue
    return found


class Quickstart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="quickstart-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *words, **more):
        return subprocess.Popen([QUICKSTART, *words], text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "TMPDIR": self.folder, **more})

    def assert_nothing_left(self):
        self.assertEqual(running_in(self.folder), [])
        self.assertEqual(os.listdir(self.folder), [])

    def test_ten_of_thirty_pass(self):
        process = self.start("--cluster")
        printed, errors = process.communicate(timeout=240)
        self.assertEqual((process.returncode, errors), (0, ""), printed)
        mails = re.findall(r"^  mail +(\d+) to (mta\d): (DUNNO|DEFER)", printed, re.MULTILINE)
        self.assertEqual([(int(number), host) for number, host, _ in mails],
                         [(n + 1, f"mta{n % 3 + 1}") for n in range(30)])
        self.assertEqual([answer for *_, answer in mails], ["DUNNO"] * 10 + ["DEFER"] * 20)
        for host, passed in (("mta1", 4), ("mta2", 3), ("mta3", 3)):
            self.assertIn(f"\n  {host} let {passed} pass\n", printed)
        self.assertIn("\n  10 passed, 20 deferred\n", printed)
        self.assertIn("nothing is left running", printed)
        self.assert_nothing_left()

    def test_ended_early_it_leaves_nothing_behind_either(self):
        process = self.start("--cluster")
        for line in process.stdout:
            if line.startswith("Host mta3"):
                break
        self.assertEqual(len([words for words in running_in(self.folder) if "cbpolicyd" in words
                              or words.startswith("redis-server")]), 3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 143)
        self.assert_nothing_left()

    def test_a_server_that_is_not_there_is_one_line(self):
        programs = pathlib.Path(self.folder, "bin")
        programs.mkdir()
        for name in ("bash", "mktemp", "rm", "dirname", "cat", "shuf"):
            (programs / name).symlink_to(pathlib.Path("/usr/bin", name))
        process = self.start("--cluster", PATH=str(programs))
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(errors, "\nquickstart: there is no redis-check-rdb; install redis-tools\n")

    def test_other_words_are_wrong_use(self):
        for words in (("--clusters",), ("--cluster", "x"), ("x",)):
            process = self.start(*words)
            printed, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, printed), (1, ""))
            self.assertRegex(errors, r"^usage: \S+ \[--cluster \| --web \[--seconds N\]\]\n$")


if __name__ == "__main__":
    unittest.main()
