#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The packages' programs need only libc and libgcc_s of the host, in the versions of RHEL 9 and Ubuntu
22.04, whatever system they were built on. The package depends on no more than that."""

import re
import subprocess
import unittest

import package_case

LIBC = {"libc.so.6", "libm.so.6", "libresolv.so.2", "libgcc_s.so.1", "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1"}
# The oldest glibc and libgcc (GCC 11) of the hosts served.
NEWEST = {"GLIBC": (2, 34), "GCC": (11,)}
PROGRAMS = ("opt/zextras/common/bin/cbpolicyd", "opt/zextras/bin/carbonio-limits")


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def symbols_asked(program):
    """(name, kind, version) of each versioned symbol: ("arc4random", "GLIBC", (2, 36))."""
    for name, version in re.findall(r"UND\s+(\w+)@(\w+(?:\.\d+)*)", run("readelf", "--dyn-syms", "-W", program)):
        kind, _, number = version.partition("_")
        yield name, kind, tuple(map(int, number.split(".")))


class Linkage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = package_case.FOLDER / "files"
        run("dpkg-deb", "-x", package_case.our_deb(), cls.tree)

    def test_needs_libc_and_libgcc_only(self):
        for program in PROGRAMS:
            dynamic = run("readelf", "-d", self.tree / program)
            needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
            self.assertIn("libc.so.6", needed)
            self.assertLessEqual(needed, LIBC, program)
            self.assertNotIn("PATH)", dynamic)  # RPATH, RUNPATH

    def test_no_symbol_is_too_new(self):
        for program in PROGRAMS:
            asked = list(symbols_asked(self.tree / program))
            self.assertGreater(len(asked), 50, program)
            self.assertLessEqual({kind for _, kind, _ in asked}, set(NEWEST), program)
            for name, kind, version in asked:
                with self.subTest(program=program, symbol=name):
                    self.assertLessEqual(version, NEWEST[kind])

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
                         {"carbonio-core", "procps", "libc6", "libgcc-s1"})


if __name__ == "__main__":
    unittest.main()
