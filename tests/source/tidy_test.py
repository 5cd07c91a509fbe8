#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""scripts/tidy checks again what has changed, and only that."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Finds fault with `bad`, and writes down what it was asked for.
TIDY = """#!/bin/sh
[ "$1" = --version ] && exit
for source; do :; done
echo "$source" >>"$ASKED"
! grep bad "$source"
"""


class Tidy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tidy = self.folder / "clang-tidy"
        self.tidy.write_text(TIDY)
        self.tidy.chmod(0o755)
        (self.folder / ".clang-tidy").write_text("Checks: '*'\n")
        (self.folder / "a.hpp").write_text("int a();\n")
        self.source = self.folder / "a.cpp"
        self.source.write_text('#include "a.hpp"\nint a() { return 1; }\n')
        self.options = ""

    def run_tidy(self, *prefix):
        """Its status, and how many sources were checked."""
        command = f"c++ {self.options} -o a.o -c {self.source}"
        entry = {"directory": str(self.folder), "command": command, "file": str(self.source)}
        (self.folder / "compile_commands.json").write_text(json.dumps([entry]))
        asked = self.folder / "asked"
        asked.write_text("")
        environment = {**os.environ, "ASKED": str(asked), "XDG_CACHE_HOME": str(self.folder),
                       "PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = subprocess.run([ROOT / "scripts/tidy", ".", *prefix], cwd=self.folder,
                              env=environment, capture_output=True, text=True, check=False)
        return done.returncode, len(asked.read_text().splitlines())

    def test_what_is_clean_is_checked_once(self):
        self.assertEqual(self.run_tidy(), (0, 1))
        self.assertEqual(self.run_tidy(), (0, 0))

    def test_what_has_changed_is_checked_again(self):
        include, body = '#include "a.hpp"\n', "int a() { return 2; }"
        changes = {
            "the source": lambda: self.source.write_text(include + body),
            "a comment": lambda: self.source.write_text(include + body + "  // NOLINT"),
            "an include": lambda: self.source.write_text(include + include + body),
            "a macro": lambda: (self.folder / "a.hpp").write_text("int a();\n#define A 1\n"),
            "an option": lambda: setattr(self, "options", "-O2"),
            "the checks": lambda: (self.folder / ".clang-tidy").write_text("Checks: '-*'\n"),
            "clang-tidy": lambda: self.tidy.write_text(TIDY.replace("&& exit", "&& echo 15 && exit")),
        }
        self.run_tidy()
        for what, change in changes.items():
            with self.subTest(what):
                change()
                self.assertEqual(self.run_tidy(), (0, 1))
                self.assertEqual(self.run_tidy(), (0, 0))

    def test_tests_have_checks_of_their_own(self):
        (self.folder / "tests").mkdir()
        self.source = self.folder / "tests/a_test.cpp"
        self.source.write_text("int a();\n")
        self.run_tidy()
        (self.folder / "tests/.clang-tidy").write_text("InheritParentConfig: true\n")
        self.assertEqual(self.run_tidy(), (0, 1))
        self.assertEqual(self.run_tidy(), (0, 0))

    def test_what_is_not_clean_is_checked_each_time(self):
        self.source.write_text("int bad();\n")
        for _ in range(2):
            self.assertEqual(self.run_tidy(), (1, 1))

    def test_only_sources_below_the_prefix(self):
        self.assertEqual(self.run_tidy(str(self.folder / "a")), (0, 1))
        # Nothing to check is no success.
        self.assertEqual(self.run_tidy("/nowhere"), (1, 0))


if __name__ == "__main__":
    unittest.main()
