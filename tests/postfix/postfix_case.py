# SPDX-License-Identifier: AGPL-3.0-only
"""What the Postfix tests have in common: one Postfix for the tests of a class, and a fresh daemon
with a fresh database for each of them, always on the port that Postfix asks. When a test fails, the
logs of both follow its result."""

import os
import subprocess
import unittest

from daemon import Daemon, free_port
from postfix_instance import PATH, PostfixInstance


class PostfixTest(unittest.TestCase):
    options: dict = {}  # more settings of the daemon, see Daemon
    modules: tuple = ("Quotas",)

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.postfix = PostfixInstance(f"inet:localhost:{cls.port}")
        cls.addClassCleanup(cls.postfix.remove)
        cls.postfix.start()
        cls.addClassCleanup(cls.postfix.stop)

    def setUp(self):
        self.postfix.forget_log()
        self.daemon = Daemon(self.modules, options=self.options, port=self.port)
        self.addCleanup(self.daemon.remove)
        self.daemon.start()
        self.addCleanup(self.daemon.stop)
        self.addCleanup(self._keep_logs)

    def _keep_logs(self):
        self._logs = [f"--- the daemon's log ---\n{self.daemon.log()}",
                      f"--- Postfix's log ---\n{self.postfix.log()}"]

    def run(self, result=None):
        self._logs = []
        wrong_before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > wrong_before:
            print(f"=== {self.id()} ===", *self._logs, sep="\n", flush=True)
        return result

    def send(self, sender="alice@example.org", recipients="bob@example.com", **more):
        return self.postfix.send(sender, recipients, **more)

    def send_many(self, count, **more):
        return [self.send(**more) for _ in range(count)]

    def postfix_program(self, *words):
        """What one of Postfix's own programs prints about this Postfix."""
        return subprocess.run(words, text=True, capture_output=True, timeout=60, check=True,
                              env={**os.environ, "PATH": PATH,
                                   "MAIL_CONFIG": str(self.postfix.folder / "conf")}).stdout

    def deliver(self, yes):
        """Or keep all mail to others in the queue."""
        self.postfix_program("postconf", "-e", f"defer_transports={'' if yes else 'discard'}",
                             f"queue_run_delay={'1s' if yes else '1h'}",
                             "minimal_backoff_time=1s", "maximal_backoff_time=1s")
        self.postfix_program("postfix", "reload")
