# SPDX-License-Identifier: AGPL-3.0-only
"""Base of the tests of the packages: the packages themselves (from $PACKAGES_DIR, else made by
scripts/package), Carbonio's stand-ins, and a system for each test to install them in."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import fakes
import root

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="carbonio-limits-packages-"))
unittest.addModuleCleanup(shutil.rmtree, FOLDER)

LIMITS = "/opt/zextras/bin/carbonio-limits"
DATABASE = "/opt/zextras/data/cbpolicyd/db/cbpolicyd.sqlitedb"
MARK = "/opt/zextras/data/cbpolicyd/enabled"
UNIT = "carbonio-policyd.service"

POSTFIX = """compatibility_level = 3.6
mydestination = example.com, localhost
local_recipient_maps =
local_transport = discard:
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
smtpd_sender_restrictions = check_policy_service inet:127.0.0.1:10031
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10031, permit_mynetworks, reject_unauth_destination
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:10031
"""


def packages_dir():
    given = os.environ.get("PACKAGES_DIR")
    if given:
        return pathlib.Path(given).resolve()
    made = FOLDER / "made"
    if not made.exists():
        subprocess.run([SOURCE / "scripts/package", "--out", made], check=True, timeout=3600,
                       stdout=subprocess.DEVNULL)
    return made


def our_deb():
    return next(packages_dir().glob("carbonio-limits_*.deb"))


def older_deb():
    """The same package with an earlier version number."""
    package = FOLDER / "carbonio-limits_0.0.9-1_amd64.deb"
    if not package.exists():
        tree = FOLDER / "older"
        subprocess.run(["dpkg-deb", "-R", our_deb(), tree], check=True)
        control = tree / "DEBIAN/control"
        lines = ["Version: 0.0.9-1" if line.startswith("Version:") else line
                 for line in control.read_text().splitlines()]
        control.write_text("\n".join(lines) + "\n")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True,
                       capture_output=True)
    return package


def main():
    """Runs the tests, or prints why this machine cannot, with the exit status that ctest counts as skipped."""
    if root.why_not():
        print(f"skipped: {root.why_not()}")
        sys.exit(77)
    unittest.main()


class PackageTest(unittest.TestCase):
    def host(self, boot, carbonio=True):
        """A fresh host with Carbonio's stand-ins, under systemd or zmcontrol."""
        host = root.Root(boot)
        self.addCleanup(host.remove)
        self.root = host
        shutil.copy(HERE / "mailer.py", host.path("/usr/local/bin/mailer.py"))
        if carbonio:
            self.dpkg("-i", fakes.core_deb(FOLDER), fakes.policyd_deb(FOLDER))
        return host

    def dpkg(self, action, *packages, status=0):
        """Runs dpkg with package files, which are copied in, or with package names."""
        names = []
        for package in packages:
            if isinstance(package, pathlib.Path):
                shutil.copy(package, self.root.path("/root"))
                package = f"/root/{package.name}"
            names.append(package)
        return self.root.run("dpkg", action, *names, status=status, timeout=300)

    # What an admin and Carbonio's parts do.

    def zextras(self, *words, **more):
        return self.root.run(*words, user="zextras", **more)

    def sql(self, text):
        return self.zextras("sqlite3", DATABASE, text).split("\n")[:-1]

    def make_perl_database(self):
        """The Perl daemon's database with the article's limit: 10 a minute, policy 6, quota 3."""
        schema = (SOURCE / "daemon/sqlite/schema.sql").read_text().replace("{p}", "")
        text = schema + """
            INSERT INTO policies (Name,Priority,Description) VALUES('article', 0, '');
            INSERT INTO policy_members (PolicyID,Source,Destination) VALUES(6,'any','any');
            INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES
              (6,'Sender:user@domain','Sender:user@domain', 3600, 'DEFER', 'later');
            INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES(3,'MessageCount',10);"""
        self.zextras("sqlite3", "-bail", DATABASE, stdin=text)

    def ask(self, number=1, sender="alice@example.com"):
        return self.root.run("python3", "/usr/local/bin/mailer.py", "ask", number,
                             sender).splitlines()

    def who_answers(self):
        """perl, ours, or nobody."""
        done = self.root.try_run("python3", "/usr/local/bin/mailer.py", "ask", "1",
                                 "nobody@elsewhere.example")
        if done.returncode != 0:
            return "nobody"
        return "perl" if "X-Policy: perl" in done.stdout else "ours"

    def eventually_answers(self, who):
        root.eventually(lambda: self.who_answers() == who)

    def start_postfix(self):
        self.root.path("/etc/postfix/main.cf").write_text(POSTFIX)
        self.root.run("postfix", "reload" if self.root.boot else "start")

    def files(self):
        """All files with owner, mode and the target of links."""
        text = self.root.shell(
            "find /opt /usr /etc /var/lib/systemd -path /usr/share/zoneinfo -prune -o "
            "-printf '%p %u:%g %m %l\\n'")
        return {line.split(" ", 1)[0]: line.split(" ", 1)[1].strip()
                for line in text.splitlines()}
