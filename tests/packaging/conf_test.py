#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Texts in the packages: the default carbonio-limits.conf sets nothing; the keys in its comments are
known to the daemon and have the values that the README gives as defaults. The libraries in the
programs, and their licences, are named."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR", "build/release/bin")).resolve()
SOURCE = pathlib.Path(__file__).resolve().parents[2]
TEXT = (SOURCE / "packaging/conf/carbonio-limits.conf").read_text()
SHOWN = re.compile(r"^#(\w+=.*)$", re.MULTILINE)


class Configuration(unittest.TestCase):
    def check(self, text):
        """The output of `cbpolicyd --check-config` with this as carbonio-limits.conf."""
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            (home / "conf").mkdir()
            (home / "conf/cbpolicyd.conf").write_text(
                f"[server]\nlog_file={home}/log\n[database]\n"
                f"DSN=DBI:SQLite:dbname={home}/x.sqlitedb\n")
            (home / "conf/carbonio-limits.conf").write_text(text)
            done = subprocess.run([BIN_DIR / "cbpolicyd", "--check-config", "--zextras-home", home],
                                  capture_output=True, text=True, timeout=60, check=False)
            return done.returncode, (done.stdout + done.stderr).replace(folder, "")

    def test_what_is_shown_is_known_and_valid(self):
        said = self.check("")
        self.assertEqual(said[0], 0, said)
        self.assertEqual(self.check(TEXT), said)
        self.assertEqual(self.check(SHOWN.sub(r"\1", TEXT)), said)

    def test_a_slip_would_be_told(self):
        self.assertIn("cache_entrys", self.check("[database]\ncache_entrys=1\n")[1])

    def test_keys_and_defaults_are_those_of_the_readme(self):
        part = (SOURCE / "README.md").read_text().split("\n## Configuration\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (\w+) \| (\w+) \| ([^|]*) \|", part, re.MULTILINE)
        told = {key: value.strip() for _, key, value in rows if key != "key"}
        told["nameservers"] = ""  # "the system's"
        self.assertEqual(dict(line.split("=") for line in SHOWN.findall(TEXT)), told)

    def test_the_manual_page_has_each_key(self):
        page = (SOURCE / "packaging/man/cbpolicyd.8").read_text()
        keys = [line.split("=")[0] for line in SHOWN.findall(TEXT)]
        self.assertEqual([key for key in keys if f"\n.It Cm {key} No = " not in page], [])


class Libraries(unittest.TestCase):
    NAMES = {"z": "zlib", "cares": "c-ares", "nlohmann_json": "nlohmann/json", "tl-expected": "tl::expected",
             "SQLite3": "SQLite", "fmt": "{fmt}", "lzma": "liblzma", "spf2": "libspf2", "idn2": "libidn2",
             "unistring": "libunistring"}
    OTHERS = {"Threads", "Python3", "GTest", "benchmark"}  # of the system, or only of tests

    def test_each_is_in_the_copyright_and_in_the_readme(self):
        """Their code is in the packages' programs."""
        found = set(re.findall(r"^ *find_(?:package|library)\((?:\w+_(?:LIBRARY|TARGET) )?([\w-]+)",
                               (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE))
        self.assertLessEqual({"Boost", "hiredis", "pugixml", *self.NAMES}, found)
        for text in ((SOURCE / "packaging/deb/copyright").read_text(),
                     (SOURCE / "README.md").read_text().split("### Libraries")[1]):
            for name in found - self.OTHERS:
                self.assertIn(self.NAMES.get(name, name), text)


if __name__ == "__main__":
    unittest.main()
