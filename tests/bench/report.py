# SPDX-License-Identifier: AGPL-3.0-only
"""What the bench found, on what machine: as a table for people, and the same for programs."""

import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

from daemon import bin_dir


def spread(values: list[float]) -> dict:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def summary(row, against: bool) -> dict:
    """`against`: another build, so that no aim applies."""
    ours = [r[0] for r in row.rounds]
    base = [r[1] for r in row.rounds]
    result = {
        "name": row.name,
        "connections": row.connections,
        "senders": row.senders,
        "limit": row.limit,
        "against": "another build" if against else row.base,
        "aim": None if against else row.aim,
        "p99_aim": None if against else row.p99_aim,
        "cpu_aim": None if against else row.cpu_aim,
        "ratio": spread([o["per_second"] / n["per_second"] for o, n in row.rounds]),
        "p99_ratio": spread([o["p99_us"] / max(0.1, n["p99_us"]) for o, n in row.rounds]),
        "cpu_ratio": spread([o["cpu_us"] / max(0.01, n["cpu_us"]) for o, n in row.rounds]),
        "refused": sum(o["refused"] for o in ours) / max(1, sum(o["requests"] for o in ours)),
    }
    for name in ("per_second", "p50_us", "p99_us", "cpu_us"):
        result[name] = {"daemon": spread([o[name] for o in ours]),
                        "base": spread([n[name] for n in base])}
    return result


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def first_line(*command) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=10)
        return done.stdout.splitlines()[0].strip()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def machine() -> dict:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "compiler": first_line("c++", "--version"),
        "sqlite": first_line("sqlite3", "--version").split(" ")[0],
        "daemon": first_line(bin_dir() / "cbpolicyd", "--version"),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "load_before": os.getloadavg()[0],
    }


def print_table(table: list[list[str]]):
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def at_least(value: float, aim: float | None) -> str:
    return "" if aim is None else "ok" if value >= aim else "BELOW"


def at_most(value: float, aim: float | None) -> str:
    return "" if aim is None else "ok" if value <= aim else "ABOVE"


def say_aim(aim: float | None, sign: str) -> str:
    return "" if aim is None else f"{sign} {aim:g}"


def print_pairs(rows: list[dict], mails: dict | None):
    """This build and another."""
    table = [["this / that", "this/s", "that/s", "ratio", "spread", "this p99 us", "that p99 us",
              "this cpu us", "that cpu us"]]

    def add(name, this, that, ratio, *more):
        table.append([name, f"{this['median']:,.0f}", f"{that['median']:,.0f}",
                      f"{ratio['median']:.3f}", f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}", *more])

    for r in rows:
        speed, p99, cpu = r["per_second"], r["p99_us"], r["cpu_us"]
        add(r["name"], speed["daemon"], speed["base"], r["ratio"],
            f"{p99['daemon']['median']:,.0f}", f"{p99['base']['median']:,.0f}",
            f"{cpu['daemon']['median']:.2f}", f"{cpu['base']['median']:.2f}")
    if mails:
        add(f"mails/s through Postfix, {mails['sessions']} sessions", mails["daemon"], mails["base"],
            mails["ratio"], "", "", "", "")
    print_table(table)


def print_speeds(rows: list[dict]):
    table = [["", "daemon/s", "other/s", "ratio", "spread", "aim", "", "p50 us", "p99 us",
              "other p99", "cpu us", "refused"]]
    for r in rows:
        table.append([
            r["name"],
            f"{r['per_second']['daemon']['median']:,.0f}",
            f"{r['per_second']['base']['median']:,.0f}",
            f"{r['ratio']['median']:.2f}",
            f"{r['ratio']['lowest']:.2f}-{r['ratio']['highest']:.2f}",
            say_aim(r["aim"], ">="),
            at_least(r["ratio"]["median"], r["aim"]),
            f"{r['p50_us']['daemon']['median']:,.0f}",
            f"{r['p99_us']['daemon']['median']:,.0f}",
            f"{r['p99_us']['base']['median']:,.0f}",
            f"{r['cpu_us']['daemon']['median']:.1f}",
            f"{r['refused']:.0%}",
        ])
    print_table(table)


def print_others(report: dict):
    """Ratios other than of speed, memory, and the start."""
    table = [["", "", "spread", "aim", ""]]

    def add(name, figures, shown, aim):
        table.append([name, shown(figures["median"]),
                      f"{shown(figures['lowest'])}-{shown(figures['highest'])}",
                      "" if aim is None else f"<= {shown(aim)}", at_most(figures["median"], aim)])

    for row in report["rows"]:
        if row["p99_aim"] is not None:
            add(f"{row['name']}: p99, ratio", row["p99_ratio"], "{:.2f}".format, row["p99_aim"])
        if row["cpu_aim"] is not None:
            add(f"{row['name']}: cpu of a request, ratio", row["cpu_ratio"], "{:.2f}".format,
                row["cpu_aim"])
    mails = report["mails"]
    if mails:
        name = f"mails/s through Postfix, {mails['sessions']} sessions"
        for who in ("daemon", "base"):
            add(f"{name}, {who.replace('base', 'the other')}", mails[who], "{:.0f}".format, None)
        ratio = mails["ratio"]
        table.append([f"{name}, ratio", f"{ratio['median']:.2f}",
                      f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}", f">= {mails['aim']}",
                      at_least(ratio["median"], mails["aim"])])
    if memory := report["memory_mib"]:
        add("memory, idle", spread([memory["idle"]]), "{:.1f} MiB".format, memory["idle_aim"])
        add(f"memory after {memory['senders']:,} senders", spread([memory["after"]]),
            "{:.1f} MiB".format, memory["after_aim"])
    if start := report["start"]:
        add("start until the first answer, empty", start["empty_s"], "{:.3f} s".format, None)
        add(f"the same with {start['senders']:,} senders", start["full_s"], "{:.3f} s".format, None)
        add("ratio of the two", start["ratio"], "{:.2f}".format, start["aim"])
    if page := report["page"]:
        name = f"first page, {page['limits']:,} limits and {page['counters']:,} counters"
        add(name, page["ms"], "{:.0f} ms".format, None)
        add("  95th percentile", spread([page["p95_ms"]]), "{:.0f} ms".format, page["aim_ms"])
    if signals := report["signals"]:
        add(f"answer --due, {signals['messages']:,} messages in a day, cpu", signals["cpu_s"],
            "{:.2f} s".format, None)
        add("  once a minute, of a core", signals["share"], "{:.1%}".format, signals["aim"])
    for name, figures in (report["growth"] or {}).items():
        add(f"{name} of 100,000 limits, cpu", spread([figures["s"]]), "{:.1f} s".format, None)
        add("  times that of 10,000", spread([figures["growth"]]), "{:.1f}".format, figures["aim"])
    if command := report["command"]:
        add(f"import of {command['limits']:,} limits, cpu", spread([command["import_s"]]),
            "{:.2f} s".format, command["import_aim_s"])
        for name in ("list", "usage"):
            add(f"{name}, cpu", command[name]["ours_s"], "{:.3f} s".format, None)
            add(f"{name} / sqlite3", command[name]["ratio"], "{:.1f}".format, None)
    if len(table) > 1:
        print_table(table)


def print_script(cells: list[dict]):
    print("\nscript for shared counters in redis-server, us a question: median, lowest (aim)")
    batches = sorted({cell["batch"] for cell in cells})
    table = [["hosts", *(f"batch of {batch}" for batch in batches)]]
    for hosts in sorted({cell["hosts"] for cell in cells}):
        table.append([str(hosts), *(f"{c['us']['median']:.1f}, {c['us']['lowest']:.1f} ({c['aim']:g})"
                                    for c in cells if c["hosts"] == hosts)])
    print_table(table)


def print_cluster(figures: dict):
    print_script(figures["script"])
    speed, latency = figures["speed"], figures["latency"]
    table = [["with [cluster]", "daemon", "Redis alone", "ratio", "spread", "aim", ""]]

    def add(name, ours, base, ratio, aim, is_met):
        table.append([name, f"{ours['median']:,.0f}", f"{base['median']:,.0f}",
                      f"{ratio['median']:.2f}", f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}",
                      aim, is_met])

    def add_cpu():
        ours, base, ratio = (speed[name] for name in (
            "redis_cpu_us", "redis_cpu_us_base", "redis_cpu_ratio"))
        table.append(["  cpu of Redis, us a question", f"{ours['median']:.1f}",
                      f"{base['median']:.1f}", f"{ratio['median']:.2f}",
                      f"{ratio['lowest']:.2f}-{ratio['highest']:.2f}",
                      say_aim(speed["cpu_aim"], ">="),
                      at_least(ratio["median"], speed["cpu_aim"])])

    add(f"{speed['mtas']} daemons, {speed['connections']} connections each, requests/s",
        speed["daemons"], speed["base"], speed["ratio"], say_aim(speed["aim"], ">="),
        at_least(speed["ratio"]["median"], speed["aim"]))
    add_cpu()
    add("1 daemon, 1 connection, p50 us", latency["daemon_us"], latency["base_us"],
        latency["ratio"], say_aim(latency["aim"], "<="),
        at_most(latency["ratio"]["median"], latency["aim"]))
    print()
    print_table(table)
    print(f"{speed['batch']['median']:.0f} questions a call; {speed['alone']:.2%} of them answered "
          "without Redis, which was late")
    if speed["aim"] is None:
        print(f"requests/s have an aim where there are {speed['cores']} cores; on hosts of their own "
              "the daemons share only the processor time of Redis")
    without, call = (latency[name]["median"] for name in ("without_us", "base_us"))
    print(f"1 connection without [cluster]: {without:.0f} us; {without + call:.0f} us with a call to "
          f"Redis, and a daemon with [cluster] takes {latency['ratio_of_sum']['median']:.2f} of that")


def print_maillog(figures: dict):
    print(f"\nmail log of {figures['messages']:,} messages and {figures['accounts']:,} accounts, "
          f"{figures['megabytes']:,.0f} MB")
    programs = figures["programs"]
    table = [["", "MB/s on a core", "spread", "aim", "", "cpu s", "MiB", "aim", ""]]
    for name, found in programs.items():
        speed, ours = found["mb_per_s"], name == "simulate"
        speed_aim = figures["speed_aim"] if ours else None
        memory_aim = figures["memory_aim_mib"] if ours else None
        table.append([name, f"{speed['median']:,.0f}", f"{speed['lowest']:.0f}-{speed['highest']:.0f}",
                      say_aim(speed_aim, ">="), at_least(speed["median"], speed_aim),
                      f"{found['cpu_s']['median']:.2f}", f"{found['mib']['highest']:.0f}",
                      say_aim(memory_aim, "<="), at_most(found["mib"]["highest"], memory_aim)])
    print_table(table)
    if "pflogsumm" not in programs:
        print("pflogsumm is not installed")
    for name, found in programs.items():
        if name != "simulate":
            ratio = programs["simulate"]["mb_per_s"]["median"] / found["mb_per_s"]["median"]
            print(f"simulate / {name}: {ratio:.2f} of the speed")
    print(f"twice the log takes simulate {figures['growth']:.2f} times as long (aim "
          f"{say_aim(figures['growth_aim'], '<=')}) {at_most(figures['growth'], figures['growth_aim'])}")


def print_report(report: dict):
    m, run = report["machine"], report["run"]
    print(f"{m['daemon']}, SQLite {m['sqlite']}, {m['compiler']}")
    print(f"{m['cores']} cores of {m['processor']}, Linux {m['kernel']}, load before the run "
          f"{m['load_before']:.2f}, {m['date']}")
    other = (f"that is {run['against']}" if run["against"] else
             "the other is a server that does nothing, or the one that the row names")
    print(f"{run['rounds']} rounds of {run['seconds']:g} s each, the two of a row in turns; {other};\n"
          f"1,000 senders; limit {run['limit']} in 60 s"
          + ("; load on one core, servers on the others\n" if run["pinned"] else "\n"))
    if run["against"]:
        print_pairs(report["rows"], report["mails"])
        return
    print_speeds(report["rows"])
    print()
    print_others(report)
    if report["maillog"]:
        print_maillog(report["maillog"])
    if report["cluster"]:
        print_cluster(report["cluster"])
