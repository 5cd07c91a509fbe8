# SPDX-License-Identifier: AGPL-3.0-only
"""Base of the tests of `enable` and `disable`: a folder that looks like /opt/zextras and belongs to
the service's user, with stand-ins for `carbonio` and configd, a Postfix configuration that configd
writes, and the real daemon, which `enable` starts in the background."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys

from carbonio_case import HERE, SERVER, Carbonio
from configd import Configd

sys.path.insert(0, str(HERE.parent / "daemon"))

from daemon_case import (  # noqa: E402, F401
    Connection, eventually, free_port, needs_root, service_user)
from plugin_case import PROGRAM  # noqa: E402
from postfix_instance import MASTER_CF, main_cf  # noqa: E402

SWITCH = f"carbonio prov ms {SERVER} +zimbraServiceEnabled cbpolicyd " \
         "zimbraCBPolicydQuotasEnabled TRUE"
ON = ["zimbraServiceEnabled: mta", "zimbraServiceEnabled: cbpolicyd",
      "zimbraCBPolicydQuotasEnabled: TRUE"]
POSTCONF = shutil.which("postconf", path=f"{os.environ['PATH']}:/usr/sbin")


class EnableCase(Carbonio):
    newer = False  # generation of configd

    def setUp(self):
        super().setUp()
        self.service_user = service_user()
        if self.service_user:
            self.user = self.service_user
        for folder in ("data", "log", "run", "common/sbin"):
            (self.home / folder).mkdir(parents=True)
        self.put("user", self.user)
        self.make_postfix()
        self.port = free_port()
        self.configd = Configd(self.home, SERVER, policy_port=self.port, user=self.service_user,
                               write_postfix=self.write_postfix, newer=self.newer)
        self.local_config()
        self.configd.__enter__()
        self.addCleanup(self.configd.__exit__)
        self.addCleanup(self.end_daemon)
        self.own()

    def local_config(self, **more):
        super().local_config(**{"zimbra_user": self.user, "zmconfigd_listen_port":
                                getattr(self, "configd", None) and self.configd.port, **more})

    def own(self):
        if self.service_user:
            subprocess.run(["chown", "-R", self.service_user, self.home], check=True)

    def put(self, name, *lines):
        super().put(name, *lines)
        (self.state / name).chmod(0o666)

    # Postfix, as far as postconf shows it.

    def make_postfix(self):
        self.postfix_folder = self.home / "common/conf"
        self.postfix_folder.mkdir()
        (self.postfix_folder / "master.cf").write_text(
            MASTER_CF.format(smtp="2525", submission="2587", reinject="2028"))
        self.write_postfix("")
        self.write_postconf(f'exec {POSTCONF} -c {self.postfix_folder} "$@"')

    def write_postconf(self, line):
        program = self.home / "common/sbin/postconf"
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)

    def write_postfix(self, check):
        # Empty, as the daemon's: postconf takes what Postfix does not.
        text = main_cf(self.postfix_folder, check) + "myorigin =\n"
        if hasattr(self, "configd"):
            text += self.configd.postscreen()
        fresh = self.postfix_folder / "main.cf.new"
        fresh.write_text(text)
        # postconf waits until a file is two seconds old.
        os.utime(fresh, (1_700_000_000, 1_700_000_000))
        fresh.rename(self.postfix_folder / "main.cf")

    def postfix_asks(self):
        return (self.postfix_folder / "main.cf").read_text().count("check_policy_service")

    # The command, and its results.

    def switch(self, *arguments, status=0, user=None):
        """Standard output and standard error; a failure has one line of the latter."""
        done = subprocess.run(
            [PROGRAM, *arguments], capture_output=True, text=True, timeout=120, user=user,
            group=user and pwd.getpwnam(user).pw_gid, extra_groups=[] if user else None,
            env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home),
                 "CARBONIO_STATE": str(self.state)})
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stderr.count("\n"), 0 if status == 0 else 1, done.stderr)
        return done.stdout, done.stderr

    def attributes(self, server=SERVER):
        return (self.state / "servers" / server).read_text().splitlines()

    @property
    def mark(self):
        return self.home / "data/cbpolicyd/enabled"

    def tree(self):
        """All files except the daemon's log, its backup and status files, and the stand-in's
        records."""
        out = {}
        for path in sorted(self.home.rglob("*")):
            if path.name in ("calls", "commands", "cbpolicyd.log") or not path.is_file():
                continue
            if path.suffix in (".sqlitedb-wal", ".sqlitedb-shm"):
                continue
            if ".backup" in path.name or ".status.json" in path.name:
                continue
            with contextlib.suppress(FileNotFoundError):
                out[str(path)] = path.read_bytes()
        return out

    # The daemon.

    def daemon_pid(self):
        """Of the supervisor; None if it is not running."""
        try:
            pid = int((self.home / "run/cbpolicyd.pid").read_text())
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ValueError):
            return None
        return None if state == "Z" else pid

    def end_daemon(self):
        pid = self.daemon_pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(eventually(lambda: self.daemon_pid() is None, 30), "the daemon is still running")

    def assert_runs(self):
        pid = self.daemon_pid()
        self.assertIsNotNone(pid, "the daemon is not running")
        if self.service_user:
            owner = pathlib.Path(f"/proc/{pid}").stat().st_uid
            self.assertEqual(owner, pwd.getpwnam(self.service_user).pw_uid)
