# SPDX-License-Identifier: AGPL-3.0-only
"""What it costs that MTAs share their limits by Redis: the script by the server's own account, three
daemons beside what one Redis can do at all, and the latency of one connection. The other side is
always bench_count, which asks Redis as the daemon does and decides nothing. Redis writes its log of
commands each second, as README has it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import servers  # first: it makes the others' folders known
import mail
from report import spread
from servers import ALL_COUNTED, BenchDaemon, bin_dir

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_case import Engine  # noqa: E402
from daemon_case import eventually  # noqa: E402

HOSTS = (1, 3, 10)
BATCHES = (1, 16, 64, 256)
# Of a bare prototype, in microseconds a question.
AIMS = {1: (17, 8.2, 7.5, 7.2), 3: (19, 9.4, 8.6, 8.0), 10: (22, 12.6, 11.7, 10.9)}

MTAS = 3
CONNECTIONS = 100  # to each
SENDERS = 1000
CALLS = 2  # that a daemon has under way
SPEED_AIM = 0.7
# One for Redis and, for each daemon and its load, as much as those use while Redis is busy. With
# fewer the daemons share what bench_count leaves free, and the aim holds for the processor time of
# Redis alone: that is all that daemons on hosts of their own share.
CORES = 1 + MTAS
LATENCY_AIM = 1.5

# A day of mail lies in few pairs: an hour's period joins what arrives within a minute.
HOURLY = "UPDATE quotas SET Period = 3600 WHERE ID = 3;\n"


def can_run() -> str | None:
    """Why not, or None."""
    for program in ("redis-check-rdb", "redis-cli"):
        if shutil.which(program) is None:
            return f"{program} (redis-tools) is not installed"
    return None


class ClusterDaemon(BenchDaemon):
    """Shares the article's limit by an engine."""

    def __init__(self, engine: Engine, number=1, sql="", programs=None):
        super().__init__(sql, programs=programs, options={
            "cluster": {"url": engine.url, "node": f"mta{number}.example.org"}})

    def status(self) -> dict:
        try:
            return json.loads(self.status_file.read_text())["cluster"] or {}
        except (OSError, ValueError):
            return {}

    def start(self):
        super().start()
        if not eventually(lambda: self.status().get("sharing")):
            raise SystemExit(f"the daemon does not share its limits:\n{self.log()}")


def start_engine(stack: ExitStack) -> Engine:
    engine = Engine(keep=True)
    stack.callback(engine.remove)
    return engine


def bench_count(engine: Engine, seconds: float, before_it=(), **options) -> dict:
    command = [*before_it, bin_dir() / "bench_count", "--port", engine.port, "--seconds", seconds]
    for name, value in options.items():
        command += [f"--{name}", value]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          timeout=seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"bench_count ended with status {done.returncode}")
    return json.loads(done.stdout)


def measure_script(rounds: int, seconds: float, stack: ExitStack) -> list[dict]:
    engine = start_engine(stack)
    cells = [(hosts, batch) for hosts in HOSTS for batch in BATCHES]
    times = {cell: [] for cell in cells}
    for _ in range(rounds):
        for hosts, batch in cells:
            figures = bench_count(engine, seconds / 4, hosts=hosts, batch=batch)
            times[hosts, batch].append(figures["script_us"] / batch)
    return [{"hosts": hosts, "batch": batch, "us": spread(times[hosts, batch]),
             "aim": AIMS[hosts][BATCHES.index(batch)]} for hosts, batch in cells]


def counting_daemons(engine: Engine, count: int, stack: ExitStack) -> list[ClusterDaemon]:
    daemons = []
    for number in range(count):
        daemon = ClusterDaemon(engine, number + 1, HOURLY)
        stack.callback(daemon.remove)
        daemon.set_limit(ALL_COUNTED)  # before the start: all must have the same rules
        daemon.start()
        stack.callback(daemon.stop)
        daemons.append(daemon)
    for daemon in daemons:
        if not eventually(lambda: daemon.status().get("hosts") == count):
            raise SystemExit(f"not all daemons see {count} hosts:\n{daemon.log()}")
    return daemons


def load_all(daemons: list[ClusterDaemon], connections: int, seconds: float,
             before_it=()) -> list[dict]:
    """At the same time, by a load generator each."""
    command = [*before_it, bin_dir() / "bench_load", "--seconds", seconds, "--connections", connections,
               "--senders", SENDERS, "--port"]
    loads = [subprocess.Popen([str(word) for word in [*command, daemon.port]],
                              stdout=subprocess.PIPE, text=True) for daemon in daemons]
    results = []
    for process, daemon in zip(loads, daemons):
        output, _ = process.communicate(timeout=seconds + 60)
        if process.returncode != 0:
            raise SystemExit(f"bench_load ended with status {process.returncode}")
        results.append(json.loads(output))
        os.truncate(daemon.log_file, 0)
    return results


def calls_of_script(engine: Engine) -> int:
    for line in engine.ask("INFO", "commandstats").splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def told(daemons: list[ClusterDaemon], name: str) -> int:
    return sum(daemon.status()[name] for daemon in daemons)


def measure_speed(rounds: int, seconds: float, stack: ExitStack) -> dict:
    """Three daemons, every request counted, and bench_count as three MTAs with the same batches."""
    engine = start_engine(stack)
    daemons = counting_daemons(engine, MTAS, stack)
    pairs, cpu_us, batches = [], [], []
    for _ in range(rounds):
        before, cpu_before = calls_of_script(engine), servers.cpu_seconds(engine.process.pid)
        results = load_all(daemons, CONNECTIONS, seconds)
        if refused := sum(result["refused"] for result in results):
            raise SystemExit(f"{refused} requests were refused where none is to be")
        calls = max(1, calls_of_script(engine) - before)
        per_second = sum(result["per_second"] for result in results)
        # The warm-up of 0.2 s has calls, too.
        questions = per_second * (seconds + 0.2)
        batches.append(questions / calls)
        cpu_between = servers.cpu_seconds(engine.process.pid)
        alone = bench_count(engine, seconds, mtas=MTAS, hosts=MTAS, calls=CALLS, counters=SENDERS,
                            batch=max(1, round(batches[-1])))
        pairs.append((per_second, alone["per_second"]))
        cpu_after = servers.cpu_seconds(engine.process.pid)
        cpu_us.append(((cpu_between - cpu_before) * 1e6 / questions,
                       (cpu_after - cpu_between) * 1e6 / alone["questions"]))
    return {"mtas": MTAS, "connections": CONNECTIONS, "cpu_aim": SPEED_AIM, "cores": CORES,
            "aim": SPEED_AIM if len(os.sched_getaffinity(0)) >= CORES else None, "batch": spread(batches),
            "daemons": spread([pair[0] for pair in pairs]),
            "base": spread([pair[1] for pair in pairs]),
            "ratio": spread([pair[0] / pair[1] for pair in pairs]),
            "redis_cpu_us": spread([pair[0] for pair in cpu_us]),
            "redis_cpu_us_base": spread([pair[1] for pair in cpu_us]),
            "redis_cpu_ratio": spread([pair[1] / max(0.1, pair[0]) for pair in cpu_us]),
            "alone": told(daemons, "alone") / max(1, told(daemons, "questions"))}


def measure_latency(rounds: int, seconds: float, pin: bool, stack: ExitStack) -> dict:
    """One connection to one daemon, a call of one question, and one connection to a daemon that
    counts alone. Redis has a core of its own, as on another host."""
    engine = start_engine(stack)
    daemons = counting_daemons(engine, 1, stack)
    lonely = mail.counting_daemon(stack)
    before_it = servers.separate_cores(engine.process.pid) if pin else []
    if before_it:
        for daemon in (*daemons, lonely):
            servers.move_to_cores(daemon.process.pid, [int(before_it[-1])])
    rows = []
    for _ in range(rounds):
        ours = load_all(daemons, 1, seconds, before_it)[0]
        call = bench_count(engine, seconds, before_it, counters=SENDERS)
        without = load_all([lonely], 1, seconds, before_it)[0]
        rows.append([figures["p50_us"] for figures in (ours, call, without)])
    return {"aim": LATENCY_AIM, "daemon_us": spread([row[0] for row in rows]),
            "base_us": spread([row[1] for row in rows]),
            "without_us": spread([row[2] for row in rows]),
            "ratio": spread([row[0] / row[1] for row in rows]),
            "ratio_of_sum": spread([row[0] / (row[1] + row[2]) for row in rows])}


def measure_cluster(rounds: int, seconds: float, pin: bool, stack: ExitStack) -> dict:
    del stack  # each part stops its servers before the next one
    with ExitStack() as inner:
        script = measure_script(rounds, seconds, inner)
    with ExitStack() as inner:
        speed = measure_speed(rounds, seconds, inner)
    with ExitStack() as inner:
        latency = measure_latency(rounds, seconds, pin, inner)
    return {"script": script, "speed": speed, "latency": latency}
