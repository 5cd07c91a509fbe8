#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The .rpm, installed with rpm in a system under systemd whose Carbonio packages are .rpm files too: it
replaces carbonio-policyd and gives way to it again. What dnf adds (repositories) is not tested."""

import re
import shutil
import subprocess

import fakes
from package_case import DATABASE, FOLDER, MARK, SOURCE, UNIT, PackageTest, main, packages_dir


def our_rpm():
    return next(packages_dir().glob("carbonio-limits-*.rpm"))


def needs():
    """What our package requires, for carbonio-core's stand-in to provide in the system's place."""
    words = subprocess.run(["rpm", "-qp", "--requires", our_rpm()], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return [word for word in words
            if word != "carbonio-core" and not word.startswith(("rpmlib(", "config("))]


class Rpm(PackageTest):
    def rpm(self, *words, status=0):
        return self.root.run("rpm", "--force-debian", *words, status=status, timeout=300)

    def copy_in(self, package):
        shutil.copy(package, self.root.path("/root"))
        return f"/root/{package.name}"

    def test_replaces_carbonio_policyd_and_gives_way_to_it(self):
        self.host(boot=True, carbonio=False)
        folder = FOLDER / "rpm"
        folder.mkdir()
        core = self.copy_in(fakes.make_rpm(folder, "carbonio-core", "4.0", fakes.core_files, needs()))
        policyd = self.copy_in(fakes.make_rpm(folder, "carbonio-policyd", "2.1.0.0",
                                            fakes.policyd_files))
        ours = self.copy_in(our_rpm())
        setup = self.copy_in(SOURCE / "tests/packaging/carbonio/core.postinst")
        self.assertIn("carbonio-core", self.rpm("-i", ours, status=1))
        self.rpm("-i", core, policyd)
        self.root.run("sh", setup)
        self.make_perl_database()
        self.root.run("systemctl", "start", UNIT)
        self.eventually_answers("perl")

        self.assertIn("carbonio-policyd conflicts with carbonio-limits", self.rpm("-i", ours, status=1))
        self.eventually_answers("perl")
        self.rpm("-e", "--nodeps", "carbonio-policyd")
        self.assertIn("was restarted", self.rpm("-i", ours))
        self.eventually_answers("ours")
        self.assertEqual(self.rpm("-V", "carbonio-limits", "carbonio-core"), "")
        self.assertEqual(self.rpm("-q", "--whatprovides", "carbonio-policyd").split("-1.")[0],
                         "carbonio-limits-0.1.0")
        for line in self.rpm("-qlv", "carbonio-limits").splitlines():
            self.assertRegex(line, r"^(-rwxr-xr-x|-rw-r--r--|drwxr-xr-x|lrwxrwxrwx) .* root +root ")
        self.assertEqual(self.root.run("systemd-analyze", "verify", "--man=no", UNIT), "")
        self.assertEqual(self.ask(11)[9:][0], "action=DUNNO")
        self.assertTrue(self.ask()[0].startswith("action=DEFER"))
        self.root.reboot()
        self.eventually_answers("ours")

        self.rpm("-U", "--force", ours)
        self.eventually_answers("ours")

        self.assertIn("no policy daemon is running", self.rpm("-e", "carbonio-limits"))
        self.assertEqual(self.who_answers(), "nobody")
        self.assertEqual(self.sql("PRAGMA journal_mode; SELECT count(*) FROM policies"),
                         ["delete", "6"])
        self.rpm("-i", policyd)
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "start", UNIT)
        self.eventually_answers("perl")
        copies = [name for name in self.files()
                  if re.fullmatch(re.escape(DATABASE) + r"\.\d{4}-.*", name)]
        self.assertGreaterEqual(len(copies), 1)
        self.assertTrue(self.root.path(MARK).exists())


if __name__ == "__main__":
    main()
