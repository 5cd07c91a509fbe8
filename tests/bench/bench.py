#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""How fast the daemon is, beside a server that does nothing, in one run.

All servers stand on this machine at the same time. The two of a row are loaded in turns, round after
round; a ratio is that of one round, and what is printed is the median of the rounds with the lowest
and the highest. So a machine that is busy with something else for a while changes the figures, hardly
the ratios. The daemon has the article's limit in force (10 in 60 s for each sender), and logs as
Carbonio's configuration says.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import cluster
import mail
import maillog
import servers
from beside import DaemonWithPage, DaemonWithSignals, measure_page, measure_signals
from command import measure_command, measure_growth
from report import machine, print_report, spread, summary
from servers import ALL_COUNTED, BenchDaemon, NullServer, article, bin_dir, cpu_seconds, memory_mib

IDLE_AIM_MIB = 15
AFTER_AIM_MIB = 150
START_AIM = 1.5
SENDERS = 1000  # of a row, unless it says otherwise


@dataclass
class Row:
    """One load on two servers, and what of the other's speed ours should reach with it."""

    name: str
    connections: int
    aim: float | None = None
    senders: int = SENDERS
    limit: int = article.SEND_LIMIT
    random: bool = False
    tail: str | None = None  # of our load's senders, see bench_load
    p99_aim: float | None = None
    cpu_aim: float | None = None  # of a request's processor time, against the other's
    server: str = "article"
    base: str = "nothing"
    needs_redis: bool = False
    rounds: list = field(default_factory=list)  # (of ours, of the other)


def rows() -> list[Row]:
    return [
        Row("100 connections", 100, 0.80, p99_aim=1.5),
        Row("10 connections", 10, 0.55),
        Row("1 connection", 1, 0.70),
        # Refusals count nothing, and with the limit reached most answers are refusals. Here every
        # answer has its count committed before it.
        Row("100 connections, all counted", 100, limit=ALL_COUNTED),
        Row("10 connections, all counted", 10, limit=ALL_COUNTED),
        Row("1 connection, all counted", 1, limit=ALL_COUNTED),
        Row("100 connections, 100,000 senders at random", 100, senders=100_000, random=True,
            server="thousands"),
        Row("100 connections, 1,000,000 senders at random", 100, 0.40, senders=1_000_000,
            random=True, server="millions"),
        Row("10,000 policies, 100,000 members / 10 policies", 100, 0.85, cpu_aim=1.3,
            limit=ALL_COUNTED, server="10000 policies", base="10 policies"),
        # Names in ASCII need no form but lower case; --against a build without that step shows it.
        Row("names beyond ASCII / in ASCII", 100, limit=ALL_COUNTED, tail="\u00e4@ex\u00e4mple.org",
            server="article", base="other article"),
        Row("recipient_delimiter / without", 100, limit=ALL_COUNTED, server="delimiter",
            base="article"),
        Row("plus addresses / without", 100, limit=ALL_COUNTED, tail="+x@example.org",
            server="delimiter", base="article"),
        Row("every module / Quotas alone", 100, 0.50, limit=ALL_COUNTED, server="every module",
            base="article"),
        # Most are refused, which is an event of each sender and minute with both; --against a build
        # without events shows what those cost.
        Row("figures, near limits / without", 100, 0.98, server="told", base="untold"),
        # Both browsers' requests are those of the page Now; doctor, once a minute, is left out.
        Row("page open in two browsers / without", 10, 0.98, server="page", base="article"),
        Row("all signals / without", 10, 0.95, limit=ALL_COUNTED, cpu_aim=1.05,
            server="signals", base="article"),
        # One of each sender passes, and Redis hears nothing of the others.
        Row("refusals with [cluster] / without", 100, 0.95, limit=1, server="cluster",
            base="article", needs_redis=True),
        Row("all counted with [cluster] / without", 100, limit=ALL_COUNTED, server="cluster",
            base="article", needs_redis=True),
    ]


def make_servers(names: set[str], stack: ExitStack, programs: Path | None = None) -> dict:
    """Started, and warm in so far as each was asked once. `programs`: those of another build."""
    makers = {
        "nothing": NullServer,
        "article": lambda: BenchDaemon(programs=programs),
        "other article": lambda: BenchDaemon(programs=programs),
        "delimiter": lambda: BenchDaemon(programs=programs,
                                         options={"server": {"recipient_delimiter": "+"}}),
        "thousands": lambda: BenchDaemon(programs=programs),
        "millions": lambda: BenchDaemon(programs=programs),
        "10 policies": lambda: servers.with_policies(10, 0, SENDERS, programs),
        "10000 policies": lambda: servers.with_policies(10_000, 100_000, SENDERS, programs),
        "every module": lambda: servers.with_every_module(programs),
        "told": lambda: servers.with_figures(programs),
        "untold": lambda: BenchDaemon(programs=programs, options={"metrics": {"file": ""},
                                                                  "notify": {"near": 0}}),
        "page": lambda: DaemonWithPage(programs=programs),
        "signals": lambda: DaemonWithSignals(programs=programs),
        "cluster": lambda: cluster.ClusterDaemon(cluster.start_engine(stack), programs=programs),
    }
    made = {}
    for name in sorted(names):
        server = made[name] = makers[name]()
        stack.callback(server.remove)
        stack.callback(server.stop)
        if isinstance(server, BenchDaemon):
            server.start()
            server.ask()
    return made


def bench_load(port: int, seconds: float, *options, before_it=()) -> dict:
    command = [*before_it, bin_dir() / "bench_load", "--port", port, "--seconds", seconds, *options]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"bench_load ended with status {done.returncode} on port {port}")
    return json.loads(done.stdout)


def load(row: Row, server, seconds: float, before_it: list[str], tail: str | None) -> dict:
    if isinstance(server, BenchDaemon):
        server.set_limit(row.limit)
    pid = server.process.pid
    before = cpu_seconds(pid)
    with server.beside() if isinstance(server, BenchDaemon) else nullcontext():
        result = bench_load(server.port, seconds, "--connections", row.connections, "--senders",
                            row.senders, *(["--random"] if row.random else []),
                            *(["--tail", tail] if tail else []), before_it=before_it)
    # The warm-up costs too, so this is a little more than what the counted requests cost.
    result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / max(1, result["requests"])
    if isinstance(server, BenchDaemon) and server.log_file.exists():
        os.truncate(server.log_file, 0)  # a line for each request: it grows quickly
    return result


def measure(pairs: list[tuple], all_rows: list[Row], rounds: int, seconds: float, pin: bool,
            same: bool):
    """`pairs`: for each row our server and the other; `same`: that of another build."""
    pids = {server.process.pid for pair in pairs for server in pair}
    before_it = servers.separate_cores(*pids) if pin else []
    for number in range(rounds):
        for row, pair in zip(all_rows, pairs):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            # Only ours has other senders, unless both are the same server of two builds.
            tails = {0: row.tail, 1: row.tail if same else None}
            results = {which: load(row, pair[which], seconds, before_it, tails[which])
                       for which in order}
            row.rounds.append((results[0], results[1]))
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)


def measure_memory(senders: int, stack: ExitStack) -> dict:
    """A fresh daemon, idle and after one mail of each of so many senders."""
    daemon = BenchDaemon()
    stack.callback(daemon.remove)
    daemon.start()
    stack.callback(daemon.stop)
    daemon.ask()
    idle = memory_mib(daemon.process.pid)
    bench_load(daemon.port, 600, "--connections", 100, "--senders", senders, "--requests", senders)
    tracked = daemon.query("SELECT count(*) FROM quotas_tracking")[0][0]
    if tracked < senders:
        raise SystemExit(f"of {senders} senders {tracked} were counted")
    return {"senders": senders, "idle": idle, "after": memory_mib(daemon.process.pid),
            "idle_aim": IDLE_AIM_MIB, "after_aim": AFTER_AIM_MIB}


def measure_start(senders: int, rounds: int, stack: ExitStack) -> dict:
    empty, full = BenchDaemon(), servers.with_tracked_senders(senders)
    for daemon in (empty, full):
        stack.callback(daemon.remove)
        servers.seconds_to_first_answer(daemon)  # takes the rows over, and the files into memory
    pairs = [(servers.seconds_to_first_answer(empty), servers.seconds_to_first_answer(full))
             for _ in range(max(5, rounds))]
    return {"senders": senders, "aim": START_AIM, "empty_s": spread([pair[0] for pair in pairs]),
            "full_s": spread([pair[1] for pair in pairs]),
            "ratio": spread([pair[1] / pair[0] for pair in pairs])}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="one round of half a second each; memory and start with 100,000 senders")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--seconds", type=float, help="of one load in one round; default 2")
    parser.add_argument("--no-pin", action="store_true",
                        help="let the kernel choose cores for the servers and the load")
    parser.add_argument("--json", metavar="FILE", type=Path, help="the figures, for programs")
    parser.add_argument("--rows", metavar="PATTERN", default="",
                        help="measure only the rows whose names match this regular expression; also "
                        "'memory', 'start', 'command', 'growth', 'page', 'signals', 'maillog', "
                        "'cluster' and 'mails through Postfix' are such names")
    parser.add_argument("--against", metavar="DIR", type=Path,
                        help="measure the speed of this build against the programs of another one "
                        "in DIR")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    seconds = arguments.seconds or (0.5 if arguments.quick else 2.0)
    many = 100_000 if arguments.quick else 1_000_000
    if rounds < 1 or seconds <= 0:
        parser.error("--rounds and --seconds are positive")
    try:
        re.compile(arguments.rows)
    except re.error as error:
        parser.error(f"--rows: not a valid regular expression: '{arguments.rows}': {error}")

    def wanted(name: str) -> bool:
        return re.search(arguments.rows, name) is not None

    def part(name: str, function, *options, paired=False):
        """One of the measurements that are no rows of the table of speeds; None if not wanted."""
        if not wanted(name) or (against and not paired):
            return None
        with ExitStack() as stack:
            result = function(*options, stack)
        print(f"{name} done", file=sys.stderr)
        return result

    against = arguments.against
    if against and not (against / "cbpolicyd").exists():
        parser.error(f"{against} has no program cbpolicyd")
    about = machine()
    no_redis = cluster.can_run()
    all_rows = [row for row in rows()
                if wanted(row.name) and not (no_redis and row.needs_redis)]
    with ExitStack() as stack:
        names = {row.server for row in all_rows}
        if against:
            ours, others = make_servers(names, stack), make_servers(names, stack, against)
            pairs = [(ours[row.server], others[row.server]) for row in all_rows]
        else:
            made = make_servers(names | {row.base for row in all_rows}, stack)
            pairs = [(made[row.server], made[row.base]) for row in all_rows]
        measure(pairs, all_rows, rounds, seconds, not arguments.no_pin, against is not None)
    report = {
        "machine": about,
        "run": {"rounds": rounds, "seconds": seconds, "pinned": not arguments.no_pin,
                "limit": article.SEND_LIMIT, "against": str(against) if against else None},
        "rows": [summary(row, against is not None) for row in all_rows],
        "memory_mib": part("memory", measure_memory, many),
        "start": part("start", measure_start, many, rounds),
        "command": part("command", measure_command, many, rounds),
        "growth": part("growth", measure_growth),
        "page": part("page", measure_page, seconds),
        "signals": part("signals", measure_signals, rounds),
        "maillog": part("maillog", maillog.measure_maillog, many, rounds),
        "cluster": None,
        "mails": None,
    }
    if no_redis:
        print(f"rows with Redis left out: {no_redis}", file=sys.stderr)
    else:
        report["cluster"] = part("cluster", cluster.measure_cluster, rounds, seconds,
                                 not arguments.no_pin)
    if why_not := mail.can_run():
        print(f"mails through Postfix left out: {why_not}", file=sys.stderr)
    else:
        report["mails"] = part("mails through Postfix",
                               lambda stack: mail.measure_mail(500 if arguments.quick else 3000,
                                                               rounds, stack, against), paired=True)
    print_report(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
