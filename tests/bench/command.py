# SPDX-License-Identifier: AGPL-3.0-only
"""How long carbonio-limits works on many limits and many senders, beside a plain query of the same
rows by the sqlite3 program. Processor time of the whole program, its start included."""

import os
import resource
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import servers
from report import spread
from servers import bin_dir

LIMITS = 1000
IMPORT_AIM_S = 2.0
# Ten times the limits take at most this many times as long.
FEW, MANY = 10_000, 100_000
GROWTH_AIM = 12.0
# What a person would type to see the same.
QUERIES = {
    "list": "SELECT p.ID, p.Name, m.Source, m.Destination, q.ID, q.Track, q.Period, q.Verdict, l.Type,"
            " l.CounterLimit FROM policies p JOIN policy_members m ON m.PolicyID = p.ID"
            " JOIN quotas q ON q.PolicyID = p.ID JOIN quotas_limits l ON l.QuotasID = q.ID",
    "usage": "SELECT TrackKey, Counter, LastUpdate FROM quotas_tracking ORDER BY Counter DESC LIMIT 20",
}


def cpu_seconds_of(*command) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.fspath(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_command(senders: int, rounds: int, stack: ExitStack) -> dict:
    """Makes so many limits with one import, then lists them and the use of so many senders."""
    daemon = servers.with_tracked_senders(senders)
    stack.callback(daemon.remove)
    database = Path(daemon.database)
    text = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "limits"
    text.write_text("".join(f"send 100/h --domain d{number}.example\n" for number in range(LIMITS)))
    program = bin_dir() / "carbonio-limits"
    figures = {"limits": LIMITS, "senders": senders, "import_aim_s": IMPORT_AIM_S,
               "import_s": cpu_seconds_of(program, "import", text, "--database", database)}
    for name, query in QUERIES.items():
        pairs = [(cpu_seconds_of(program, name, "--database", database),
                  cpu_seconds_of("sqlite3", database, query)) for _ in range(max(3, rounds))]
        figures[name] = {"ours_s": spread([pair[0] for pair in pairs]),
                         "sqlite3_s": spread([pair[1] for pair in pairs]),
                         "ratio": spread([pair[0] / max(pair[1], 0.001) for pair in pairs])}
    return figures


def measure_growth(stack: ExitStack) -> dict:
    """How much longer commands take with ten times the limits."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    program = bin_dir() / "carbonio-limits"
    seconds = {}
    for count in (FEW, MANY):
        database = folder / f"{count}.db"
        text = folder / f"{count}.limits"
        text.write_text("send 100/h --everyone\n" + "".join(
            f"send {number % 900 + 1}/h --user u{number}@d{number % 100}.example\n"
            for number in range(count - 1)))
        subprocess.run([program, "init", "--no-prov", "--database", database], check=True,
                       stdout=subprocess.DEVNULL)
        for name, arguments in (("import", (text,)), ("export", ()), ("list", ())):
            seconds[name, count] = cpu_seconds_of(program, name, *arguments, "--database", database)
    return {name: {"s": seconds[name, MANY], "growth": seconds[name, MANY] / seconds[name, FEW],
                   "aim": GROWTH_AIM}
            for name in ("import", "export", "list")}
