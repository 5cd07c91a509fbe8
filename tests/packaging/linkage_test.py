#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What the packages' programs ask of the host: libc and nothing else. The newest version of a symbol
is printed; it may be no newer than the libc of the machine they were built on, or than $GLIBC_MAX
(2.34 where they are built for RHEL 9 and Ubuntu 22.04). And what the packages say they need."""

import os
import platform
import re
import subprocess
import unittest

import package_case

LIBC = {"libc.so.6", "libm.so.6", "libresolv.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
PROGRAMS = ("opt/zextras/common/bin/cbpolicyd", "opt/zextras/bin/carbonio-limits")


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def number(version):
    return tuple(map(int, version.split(".")))


class Linkage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = package_case.FOLDER / "files"
        run("dpkg-deb", "-x", package_case.our_deb(), cls.tree)

    def test_needs_libc_only(self):
        for program in PROGRAMS:
            dynamic = run("readelf", "-d", self.tree / program)
            needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
            self.assertIn("libc.so.6", needed)
            self.assertLessEqual(needed, LIBC, program)
            self.assertNotIn("PATH)", dynamic)  # RPATH, RUNPATH

    def test_no_symbol_is_too_new(self):
        newest = os.environ.get("GLIBC_MAX", platform.libc_ver()[1])
        for program in PROGRAMS:
            symbols = run("objdump", "-T", self.tree / program)
            versions = {number(found) for found in re.findall(r"GLIBC_(\d[\d.]*)", symbols)}
            asked = max(versions)
            print(f"{program} asks for GLIBC_{'.'.join(map(str, asked))}")
            self.assertLessEqual(asked, number(newest), program)
            self.assertNotIn("GLIBCXX", symbols)

    def test_hardened(self):
        for program in PROGRAMS:
            header = run("readelf", "-hldW", self.tree / program)
            self.assertRegex(header, r"Type:\s+DYN")  # position independent
            self.assertIn("GNU_RELRO", header)
            self.assertRegex(header, r"FLAGS.*NOW")
            self.assertRegex(header, r"GNU_STACK .* RW ")
            self.assertIn("__stack_chk_fail", run("objdump", "-T", self.tree / program))

    def test_stripped_and_without_paths_of_the_build(self):
        for program in PROGRAMS:
            self.assertNotIn(".symtab", run("readelf", "-SW", self.tree / program))
            self.assertNotIn(str(package_case.SOURCE).encode(), (self.tree / program).read_bytes())

    def test_what_the_package_depends_on(self):
        depends = run("dpkg-deb", "-f", package_case.our_deb(), "Depends")
        self.assertEqual({name.split()[0] for name in depends.split(",")},
                         {"carbonio-core", "procps", "libc6"})


if __name__ == "__main__":
    unittest.main()
