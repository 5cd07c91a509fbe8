# SPDX-License-Identifier: AGPL-3.0-only
"""What the tests of the daemon have in common: a fresh daemon with a fresh database for each test,
the SQL of policies and quotas, and questions on raw connections. When a test fails, the logs of its
daemons follow its result.

A fresh database gives the first policy of ours ID 6, its quota ID 3 and its limit ID 4.
"""

import itertools
import os
import select
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "postfix"))

import article  # noqa: E402, F401
from daemon import (  # noqa: E402, F401
    ATTRIBUTES, Connection, Daemon, bin_dir, format_request, free_port, has_loopback6, public_folder,
    service_user, stay_within_the_day)

ALICE = "Sender:alice@example.org"  # what a quota by sender tracks of ATTRIBUTES
KIB = 1024
PROMPT_S = 5.0  # promised are 100 ms; the rest is for busy machines and sanitizers
# Sanitizers take ten times the time and the memory.
SANITIZED = Path(os.environ.get("BIN_DIR", "")).parent.name in ("asan", "tsan")

needs_root = unittest.skipUnless(os.geteuid() == 0, "only root can become another user")


# SQL, as an admin would type it. Each row belongs to the one of the kind above that came last.

def literal(value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str) and not value.startswith("(SELECT"):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def insert(table: str, **columns) -> str:
    values = ", ".join(literal(value) for value in columns.values())
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values});\n"


def last(table: str) -> str:
    return f"(SELECT max(ID) FROM {table})"


def policy(source="any", destination="any", priority=0) -> str:
    return (insert("policies", Name="a policy", Priority=priority, Description="") +
            insert("policy_members", PolicyID=last("policies"), Source=source,
                   Destination=destination))


def limit(counter_limit, kind="MessageCount") -> str:
    return insert("quotas_limits", QuotasID=last("quotas"), Type=kind, CounterLimit=counter_limit)


def quota(counter_limit=10, kind="MessageCount", track="Sender:user@domain", period=60,
          verdict="DEFER", data="later", last_quota=0) -> str:
    return insert("quotas", PolicyID=last("policies"), Name="a quota", Track=track, Period=period,
                  Verdict=verdict, Data=data, LastQuota=last_quota) + limit(counter_limit, kind)


def always(text: str, source="any", destination="any", verdict="REJECT") -> str:
    """A policy that refuses each mail of 2 KiB, which is the size in ATTRIBUTES."""
    return policy(source, destination) + quota(1, "MessageCumulativeSize", "Policy",
                                               verdict=verdict, data=text)


class DaemonTest(unittest.TestCase):
    def setUp(self):
        self._numbers = itertools.count(1)

    def make_daemon(self, sql="", kind=Daemon, start=True, **settings):
        """A daemon, stopped and removed at the end of the test; see Daemon for the settings."""
        daemon = kind(**settings)
        self.addCleanup(daemon.remove)
        if sql:
            daemon.sql(sql)
        if start:
            daemon.start()
        self.addCleanup(daemon.stop)
        self.addCleanup(lambda: self._logs.append(daemon.log() + daemon.output()))
        return daemon

    def run(self, result=None):
        self._logs = []
        wrong_before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > wrong_before:
            print(f"=== {self.id()}: the log ===", *self._logs, sep="\n", flush=True)
        return result

    # What it does beside the mail.

    def wait_for_rules(self, daemon):
        """Until the rules of now are in force: many rows are read beside the mail."""
        ((version,),) = daemon.query("SELECT Version FROM limits_rules_version")
        daemon.wait_for_log(f"NOTICE: rules version {version}: ")

    def backup_of(self, daemon):
        return daemon.database.with_name(daemon.database.name + ".backup")

    def wait_for_backup(self, daemon):
        """Until the backup has the rules that are in force."""
        self.assertTrue(eventually(lambda: self.backup_of(daemon).exists()), "no backup")

    # Questions on raw connections.

    def request(self, **attributes) -> bytes:
        """A question about a new message, unless `instance` says which."""
        instance = f"raw.{next(self._numbers)}"
        return format_request({**ATTRIBUTES, "instance": instance, **attributes})

    def ask_many(self, daemon, count: int, **attributes) -> list:
        """The answers about `count` new messages, asked one after another."""
        return [daemon.ask(**attributes) for _ in range(count)]

    def assert_silent(self, connection, seconds=0.3):
        readable, _, _ = select.select([connection.socket], [], [], seconds)
        if readable:
            self.fail(f"came unasked: {connection.socket.recv(1000)!r} (empty: closed)")

    def assert_closed(self, connection):
        """The daemon closes, without another byte."""
        try:
            received = connection.socket.recv(1000)
        except ConnectionError:
            return
        except TimeoutError:
            self.fail("the daemon does not close the connection")
        self.assertEqual(received, b"")

    def assert_serving(self, daemon):
        """A new connection is answered, promptly."""
        start = time.monotonic()
        self.assertEqual(daemon.ask(sender="still@serving.example"), "DUNNO")
        self.assertLess(time.monotonic() - start, PROMPT_S)


def lasting(paths):
    """Without what the daemon renames in a moment: a new backup, with its log, and a new status."""
    return [path for path in paths
            if ".backup.new" not in path.name and ".status.json." not in path.name]


def eventually(condition, timeout_s=60.0, every_s=0.05) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
