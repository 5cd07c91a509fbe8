# SPDX-License-Identifier: AGPL-3.0-only
"""The servers that the bench compares, each with the rules that it is to be measured with, and what
can be read of their processes. All stand side by side and only the one that is asked works."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "postfix"))

import article  # noqa: E402
from daemon import Daemon, bin_dir, free_port  # noqa: E402

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# SPF and names in the DNS are left out: they would measure a name server.
ALL_MODULES = ("AccessControl", "CheckHelo", "CheckSPF", "Greylisting", "Quotas", "Accounting")
EVERY_MODULE = """\
INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (6, 'a', 'PASS');
INSERT INTO checkhelo (PolicyID, Name, UseBlacklist, UseHRP, HRPPeriod, HRPLimit, RejectInvalid,
  RejectIP) VALUES (6, 'h', 1, 1, 3600, 10, 1, 1);
INSERT INTO greylisting (PolicyID, Name, UseGreylisting, GreylistPeriod, Track)
  VALUES (6, 'g', 1, 0, 'SenderIP:/24');
INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod, MessageCountLimit, Verdict)
  VALUES (6, 'a', 'Sender:user@domain', 0, 1000000000, 'DEFER');
"""
POLICIES_FROM = 1000  # their IDs
ALL_COUNTED = 1_000_000_000  # a limit that nobody reaches


class NullServer:
    """Answers DUNNO and does nothing."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([bin_dir() / "bench_null_server", str(self.port)])
        time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def remove(self):
        pass


class BenchDaemon(Daemon):
    """Has the article's limit in force, ten in 60 s for each sender."""

    def __init__(self, sql="", **settings):
        super().__init__(**settings)
        self.limit = article.SEND_LIMIT
        self.sql(article.POLICY + article.SEND + sql)

    def set_limit(self, limit: int):
        if limit != self.limit:
            self.sql(f"UPDATE quotas_limits SET CounterLimit = {limit} WHERE ID = 4;")
            self.limit = limit

    def beside(self):
        """What works while it is under load: nothing."""
        return contextlib.nullcontext()

    def fill(self, statement: str, rows):
        """Many rows, while it does not run."""
        database = sqlite3.connect(self.database)
        with database:
            database.executemany(statement, rows)
        database.close()
        self.give_to_service_user()


def member(number: int, senders: int) -> str:
    """The first are the load's senders, so that each request matches one policy by a group, however
    many there are; the others are of all kinds that are found in an index."""
    if number < senders:
        return f"s{number:08x}@example.org"
    return (f"@member{number}.test", f"user{number}@example.net", f"$account{number}",
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32")[number % 4]


def with_policies(policies: int, members: int, senders: int, programs=None) -> BenchDaemon:
    """Each policy is for a group of its own and has a quota."""
    daemon = BenchDaemon(programs=programs)
    daemon.set_limit(ALL_COUNTED)  # now, since so many rows take a moment to be read again
    ids = range(POLICIES_FROM, POLICIES_FROM + policies)
    daemon.fill("INSERT INTO policies (ID, Name, Priority) VALUES (?, 'p', 10)",
                ((i,) for i in ids))
    daemon.fill("INSERT INTO policy_groups (ID, Name) VALUES (?, 'g' || ?)", ((i, i) for i in ids))
    daemon.fill("INSERT INTO policy_members (PolicyID, Source) VALUES (?, '%g' || ?)",
                ((i, i) for i in ids))
    daemon.fill("INSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict) "
                "VALUES (?, ?, 'q', 'Sender:@domain', 60, 'DEFER')", ((i, i) for i in ids))
    daemon.fill("INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) "
                f"VALUES (?, 'MessageCount', {ALL_COUNTED})", ((i,) for i in ids))
    daemon.fill("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (?, ?)",
                ((POLICIES_FROM + number % policies, member(number, senders))
                 for number in range(max(members, senders))))
    return daemon


def with_tracked_senders(senders: int) -> BenchDaemon:
    daemon = BenchDaemon()
    now = int(time.time())
    daemon.fill("INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
                f"VALUES (4, ?, {now}, 1)",
                ((f"Sender:s{number:08x}@example.org",) for number in range(senders)))
    return daemon


def with_every_module(programs=None) -> BenchDaemon:
    return BenchDaemon(EVERY_MODULE, modules=ALL_MODULES, programs=programs)


def with_figures(programs=None) -> BenchDaemon:
    """For a node exporter, with as many names as can be, and with limits that are nearly used up."""
    daemon = BenchDaemon(programs=programs, options={"metrics": {"top_senders": 100}})
    folder = Path(daemon.folder) / "zmstat/prometheus"
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # the daemon runs as another user
    return daemon


def seconds_to_first_answer(daemon: BenchDaemon) -> float:
    """From the start of the program; it is stopped again."""
    begun = time.monotonic()
    daemon.spawn()
    while True:
        try:
            answer = daemon.ask(sender="s00000007@example.org", instance=f"start.{begun}")
            break
        except OSError:
            if daemon.process.poll() is not None or time.monotonic() - begun > 60:
                raise SystemExit(f"the daemon does not start:\n{daemon.output()}") from None
            time.sleep(0.0005)
    elapsed = time.monotonic() - begun
    if answer != "DUNNO":
        raise SystemExit(f"the first answer is {answer}")
    daemon.stop()
    return elapsed


def move_to_cores(pid: int, cores):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def separate_cores(*pids: int) -> list[str]:
    """The load generator gets the first core, the servers the others: where the kernel puts them on
    one core or two makes a factor of ten at one connection, and it chooses anew in each run.
    Returns the words to put before the load generator."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return []
    for pid in pids:
        move_to_cores(pid, cores[1:])
    return ["taskset", "-c", str(cores[0])]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
