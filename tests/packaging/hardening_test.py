#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The programs are compiled with the hardening that distributions require: position independent code,
read-only function tables, stack protectors, libc's checked functions, control-flow protection."""

import os
import subprocess
import unittest
from pathlib import Path

BIN_DIR = Path(os.environ.get("BIN_DIR", "build/release/bin")).resolve()
PROGRAMS = [BIN_DIR / "cbpolicyd", BIN_DIR / "carbonio-limits"]


def readelf(program: Path, *options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options, program], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


class Hardening(unittest.TestCase):
    def setUp(self):
        symbols = readelf(PROGRAMS[0], "--dyn-syms")
        if "__asan_init" in symbols or "__tsan_init" in symbols:
            self.skipTest("programs with sanitizers are not what is released")

    def test_position_independent(self):
        for program in PROGRAMS:
            self.assertRegex(readelf(program, "--file-header"), r"Type: +DYN ")

    def test_read_only_after_relocation_and_bound_at_once(self):
        for program in PROGRAMS:
            self.assertIn("GNU_RELRO", readelf(program, "--program-headers"))
            self.assertIn("BIND_NOW", readelf(program, "--dynamic"))

    def test_the_stack_is_guarded_and_not_executable(self):
        for program in PROGRAMS:
            self.assertIn("__stack_chk_fail", readelf(program, "--dyn-syms"))
            self.assertRegex(readelf(program, "--program-headers"), r"GNU_STACK .* RW ")

    def test_checked_functions_of_the_libc(self):
        for program in PROGRAMS:
            self.assertRegex(readelf(program, "--dyn-syms"), r"__\w+_chk@")

    def test_control_flow_marks(self):
        if os.uname().machine != "x86_64":
            self.skipTest("Intel's marks")
        for program in PROGRAMS:
            self.assertIn("endbr64", subprocess.run(
                ["objdump", "--disassemble=main", program], check=True, stdout=subprocess.PIPE,
                text=True).stdout)


if __name__ == "__main__":
    unittest.main()
