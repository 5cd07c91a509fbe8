# SPDX-License-Identifier: AGPL-3.0-only
"""What the tests of faults have in common: a daemon with intervals of seconds instead of minutes,
and load that continues while something is broken under it.

FAULTS=full plays the long form of some tests, as scripts/test --full does.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import (  # noqa: E402, F401
    ALICE, ATTRIBUTES, SANITIZED, Connection, Daemon, DaemonTest, always, bin_dir, eventually,
    format_request, insert, needs_root, policy, quota, service_user)

FULL = os.environ.get("FAULTS") == "full"
# 99 of 100 answers, and the slowest. Promised are 100 ms; the rest is for busy machines.
MOST_S, SLOWEST_S = (5.0, 20.0) if SANITIZED else (1.0, 5.0)
FAST = {"backup_interval": 1, "check_interval": 1, "remind_interval": 1}


class Load(threading.Thread):
    """Questions one after another on one connection, each about a new message, until it is stopped.
    `slowest` is the longest that an answer took, in seconds."""

    def __init__(self, daemon, name="load", pause_s=0.002, **attributes):
        super().__init__(daemon=True)
        self._daemon, self._pause_s, self._attributes = daemon, pause_s, attributes
        self._prefix = name
        self._ended = threading.Event()
        self.times, self.answers, self.broken = [], [], None

    def run(self):
        try:
            with self._daemon.connect() as connection:
                while not self._ended.is_set():
                    start = time.monotonic()
                    answer = connection.ask(instance=f"{self._prefix}.{len(self.answers)}",
                                            **self._attributes)
                    self.times.append(time.monotonic() - start)
                    self.answers.append(answer)
                    if answer is None:
                        self.broken = "the connection was closed"
                        return
                    time.sleep(self._pause_s)
        except OSError as error:
            self.broken = str(error)

    @property
    def slowest(self):
        return max(self.times)

    def finish(self):
        self._ended.set()
        self.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.finish()


class FaultsTest(DaemonTest):
    def make_fast(self, sql="", **settings):
        """A daemon with short intervals; `options` of its own are added to them."""
        options = {section: dict(values) for section, values in settings.pop("options", {}).items()}
        options["database"] = {**FAST, **options.get("database", {})}
        return self.make_daemon(sql, options=options, **settings)

    def aside(self, daemon, why):
        """What was kept, without the logs beside it."""
        names = daemon.database.parent.glob(f"{daemon.database.name}.{why}-*")
        return [name for name in names if not name.name.endswith(("-wal", "-shm"))]

    def trouble(self, daemon):
        """What the status file says; None where it says that all is well."""
        status = json.loads(daemon.pid_file.with_name("cbpolicyd.status.json").read_text())
        return status["trouble"] and status["trouble"]["what"]

    def assert_well(self, daemon):
        self.assertTrue(eventually(lambda: self.trouble(daemon) is None),
                        f"trouble continues: {self.trouble(daemon)}")

    def assert_prompt(self, load):
        self.assertIsNone(load.broken)
        self.assertLess(sorted(load.times)[int(len(load.times) * 0.99)], MOST_S)
        self.assertLess(load.slowest, SLOWEST_S)


GARBAGE = b"this is no database\n" * 2000
RULES = policy() + quota(10, period=86400)


class FileTest(FaultsTest):
    """A daemon that has counted four mails of alice, whose limit is ten a day."""

    def setUp(self):
        super().setUp()
        self.daemon = self.make_fast(RULES)
        self.assertEqual(self.ask_many(self.daemon, 4), ["DUNNO"] * 4)

    def logs(self):
        database = self.daemon.database
        return [database.with_name(database.name + tail) for tail in ("-wal", "-shm")]

    def play(self, fault, *needles, left=6):
        """Causes the fault under load, and waits until it is over. Alice then has `left` mails left."""
        with Load(self.daemon, sender="load@example.org") as load:
            self.assertTrue(eventually(lambda: len(load.answers) > 10))
            fault()
            self.daemon.wait_for_log("ERROR", "database trouble", *needles)
            # Until a fresh connection has read the new file.
            self.daemon.wait_for_log("NOTICE", "is sound")
        self.assert_prompt(load)
        self.assertEqual(load.answers[:11], ["DUNNO"] * 10 + ["DEFER later"])
        self.assertEqual(set(load.answers[10:]), {"DEFER later"})
        self.assertEqual(self.ask_many(self.daemon, left + 1), ["DUNNO"] * left + ["DEFER later"])
        self.assert_stored(10)

    def assert_stored(self, count, key=ALICE):
        self.assertTrue(eventually(lambda: self.daemon.counter(key) == count),
                        f"{self.daemon.counter(key)} of {count} are stored")
        self.assertEqual(self.daemon.sql("PRAGMA integrity_check;"), "ok\n")
        self.assertEqual(self.daemon.database.stat().st_mode & 0o777, 0o644)
        self.daemon.restart()
        self.assertEqual(self.daemon.ask(), "DEFER later")
