# SPDX-License-Identifier: AGPL-3.0-only
"""cbpolicyd in the background: a supervisor that keeps the sockets, and a worker that may die."""

import contextlib
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from daemon_case import ALICE, always, bin_dir, eventually, policy, quota
from program_test import ProgramTest, run


class Background(ProgramTest):
    """cbpolicyd without --fg and with background=yes."""

    def start(self, daemon):
        """Returns once it accepts connections, and what it inherited is closed."""
        self.addCleanup(self.end, daemon)
        self.edit(daemon, "background=no", "background=yes")
        done = run("--config", daemon.config, environment=daemon.environment)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", ""))
        return int(daemon.pid_file.read_text())

    def processes(self, daemon):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as words:
                    if os.fsencode(daemon.config) in words.read():
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def end(self, daemon):
        for pid in self.processes(daemon):
            with contextlib.suppress(ProcessLookupError):  # its supervisor ended it
                os.kill(pid, signal.SIGTERM)
        if not eventually(lambda: not self.processes(daemon), 15):
            for pid in self.processes(daemon):
                os.kill(pid, signal.SIGKILL)

    def test_it_accepts_connections_when_it_returns(self):
        daemon = self.make_daemon(always("refused"), start=False)
        pid = self.start(daemon)
        self.assertEqual(daemon.ask(), "REJECT refused")
        self.assertIn(pid, self.processes(daemon))
        self.assertNotEqual(os.getsid(pid), os.getsid(0), "it has left our session")

    def test_sigterm_to_the_pid_of_the_file_ends_all(self):
        daemon = self.make_daemon(policy() + quota(5), start=False)
        pid = self.start(daemon)
        self.assertEqual(daemon.ask(), "DUNNO")
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(eventually(lambda: not self.processes(daemon), 20))
        self.assertFalse(daemon.pid_file.exists())
        self.assertEqual(daemon.counter(ALICE), 1)

    def test_a_killed_worker_is_replaced_and_nobody_refused(self):
        daemon = self.make_daemon(policy() + quota(2), start=False)
        supervisor = self.start(daemon)
        self.assertEqual(daemon.ask(), "DUNNO")
        workers = [pid for pid in self.processes(daemon) if pid != supervisor]
        self.assertEqual(len(workers), 1, "a supervisor with a worker")
        os.kill(workers[0], signal.SIGKILL)
        start = time.monotonic()
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER later"])
        self.assertLess(time.monotonic() - start, 10)

    def supervised(self):
        daemon = self.make_daemon(policy() + quota(1000), start=False)
        return daemon, self.start(daemon)

    def worker(self, daemon, supervisor):
        found = [pid for pid in self.processes(daemon) if pid != supervisor]
        return found[0] if len(found) == 1 else None

    def new_worker(self, daemon, supervisor, old):
        found = None

        def is_there():  # while a worker is replaced there may be none, or another
            nonlocal found
            found = self.worker(daemon, supervisor)
            return found not in (None, old)

        self.assertTrue(eventually(is_there))
        return found

    def test_nobody_is_refused_while_workers_die(self):
        daemon, supervisor = self.supervised()
        counted = 0
        worker = self.worker(daemon, supervisor)
        for _ in range(4):
            self.assertEqual(daemon.ask(), "DUNNO")  # a new connection each time
            counted += 1
            os.kill(worker, signal.SIGKILL)
            worker = self.new_worker(daemon, supervisor, worker)
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(daemon.counter(ALICE), counted + 1)

    def test_a_worker_that_dies_again_and_again_is_started_more_and_more_slowly(self):
        daemon, supervisor = self.supervised()
        pauses = []
        worker = self.worker(daemon, supervisor)
        for _ in range(4):
            start = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            worker = self.new_worker(daemon, supervisor, worker)
            pauses.append(time.monotonic() - start)
        self.assertGreater(pauses[-1], 0.7)  # 100 ms, 200, 400, 800
        self.assertLess(min(pauses[:2]), pauses[-1])  # one of them may have been held up

    def test_the_pid_file_names_the_supervisor(self):
        daemon, supervisor = self.supervised()
        self.assertEqual(int(daemon.pid_file.read_text()), supervisor)
        os.kill(self.worker(daemon, supervisor), signal.SIGKILL)
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(int(daemon.pid_file.read_text()), supervisor)

    def test_sighup_reaches_the_worker(self):
        daemon, supervisor = self.supervised()
        os.kill(supervisor, signal.SIGHUP)
        daemon.wait_for_log("configuration reloaded")

    def test_a_worker_does_not_outlive_its_supervisor(self):
        daemon, supervisor = self.supervised()
        os.kill(supervisor, signal.SIGKILL)
        self.assertTrue(eventually(lambda: not self.processes(daemon), 20))

    def test_the_worker_inherits_nothing_but_the_sockets(self):
        """However the starter was: descriptors, ignored and blocked signals, secrets, umask."""
        daemon = self.make_daemon(policy() + quota(1000), start=False)
        self.addCleanup(self.end, daemon)
        self.edit(daemon, "background=no", "background=yes")
        secret = open(daemon.folder / "secret", "w")
        self.addCleanup(secret.close)
        signals = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR2)

        def as_an_odd_starter():
            for each in signals:
                signal.signal(each, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            os.umask(0o077)

        done = subprocess.run(
            [bin_dir() / "cbpolicyd", "--config", daemon.config], pass_fds=[secret.fileno()],
            preexec_fn=as_an_odd_starter, restore_signals=False, timeout=60, capture_output=True,
            env={**os.environ, **daemon.environment, "zimbra_ldap_password": "S3cret", "TZ": "UTC"})
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        supervisor = int(daemon.pid_file.read_text())
        worker = self.worker(daemon, supervisor)
        for pid in (supervisor, worker):
            targets = {}
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # the backup closes its own just now
                    targets[int(fd.name)] = os.readlink(fd)
            self.assertEqual({targets[fd] for fd in (0, 1, 2)}, {os.devnull})
            self.assertNotIn(secret.name, targets.values())
        listening = [target for target in targets.values() if target.startswith("socket:")]
        self.assertLessEqual(len(listening), 2 + 1)  # IPv4, IPv6, and the word that it is ready
        environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        self.assertIn(b"TZ=UTC", environment)
        self.assertIn(f"ZEXTRAS_HOME={daemon.folder}".encode(), environment)
        self.assertFalse([line for line in environment if b"S3cret" in line])
        status = dict(line.split(":\t") for line in
                      Path(f"/proc/{worker}/status").read_text().splitlines() if ":\t" in line)
        heard = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)  # by a descriptor
        self.assertEqual(int(status["SigBlk"], 16), sum(1 << (number - 1) for number in heard))
        ignored = (signal.SIGPIPE, signal.SIGXFSZ)  # its own choice
        self.assertEqual(int(status["SigIgn"], 16), sum(1 << (number - 1) for number in ignored))
        self.assertEqual(daemon.log_file.stat().st_mode & 0o777, 0o644)
        # And the supervisor sees its worker die and hears its signals all the same.
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(daemon.ask(), "DUNNO")
        os.kill(supervisor, signal.SIGTERM)
        self.assertTrue(eventually(lambda: not self.processes(daemon), 20))

    def test_sigusr2_replaces_the_worker_on_the_same_sockets(self):
        daemon, supervisor = self.supervised()
        for _ in range(3):
            worker = self.worker(daemon, supervisor)
            os.kill(supervisor, signal.SIGUSR2)
            self.new_worker(daemon, supervisor, worker)
            self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(daemon.counter(ALICE), 3)

    def test_a_stuck_worker_does_not_keep_a_restart_from_ending(self):
        daemon, supervisor = self.supervised()
        worker = self.worker(daemon, supervisor)
        os.kill(worker, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGUSR2)
        self.assertTrue(eventually(lambda: self.worker(daemon, supervisor) not in (None, worker), 60))
        self.assertEqual(daemon.ask(), "DUNNO")


if __name__ == "__main__":
    unittest.main()
