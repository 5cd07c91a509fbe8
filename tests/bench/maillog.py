# SPDX-License-Identifier: AGPL-3.0-only
"""How fast `simulate` reads and plays a mail log, per second of the processor, and the memory that it
takes, beside `grep -c` and pflogsumm on the same log in the same run. There is a second log, half as
long, to show that the time grows with the log."""

import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import servers
from report import spread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugin"))

from mail_log import MailLog  # noqa: E402

ACCOUNTS = 20_000
DAYS = 30
SPEED_AIM = 150  # MB/s on a core
MEMORY_AIM_MIB = 200
GROWTH_AIM = 2.4  # of twice the log
ROUNDS = 3


def write_log(path: Path, messages: int, step: float):
    """As a host with a content filter writes it; `step`: seconds between two messages."""
    choose = random.Random(1)
    log = MailLog(days_ago=DAYS + 1)
    with path.open("w") as file:
        for number in range(messages):
            kind = number % 50
            sender = f"user{int(ACCOUNTS * choose.random() ** 2)}@example.org"
            login = sender if kind % 2 else ""  # the others are of web mail
            to = [f"to{choose.randrange(50_000)}@example.com" for _ in range(5 if kind == 1 else 1)]
            log.wait(2 * step * choose.random())
            if kind == 0:
                log.refused(sender, to[0], login=login)
            else:
                status = "bounced (no such user)" if kind == 2 else "sent (250 2.0.0 Ok)"
                log.mail(sender, *to, login=login, filtered=True, status=status)
            if len(log.lines) > 50_000 or number == messages - 1:
                file.write(log.text())
                log.lines.clear()


def measure_program(words: list, environment: dict) -> tuple[float, float]:
    """Seconds of the processor, and MiB. Not to /dev/null, where grep reads nothing."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(words, stdout=output, env={**os.environ, **environment})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{words[0]} ended with status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure_maillog(messages: int, rounds: int, stack: ExitStack) -> dict:
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maillog-bench-")))
    environment = {"ZEXTRAS_HOME": str(home)}
    program = servers.bin_dir() / "carbonio-limits"
    subprocess.run([program, "init", "--no-prov"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, **environment})
    database = home / "data/cbpolicyd/db/cbpolicyd.sqlitedb"
    subprocess.run(["sqlite3", database, "INSERT INTO policy_group_members (PolicyGroupID, Member) "
                    "VALUES (2, '@example.org')"], check=True)
    figures = {"messages": messages, "accounts": ACCOUNTS, "speed_aim": SPEED_AIM,
               "memory_aim_mib": MEMORY_AIM_MIB, "growth_aim": GROWTH_AIM, "programs": {}}
    simulate_s = {}
    for part in (0.5, 1):
        log = home / "mail.log"
        # In a process of its own: a child's memory counts from that of its parent on.
        writer = multiprocessing.Process(target=write_log, args=(
            log, int(messages * part), DAYS * 86_400 / messages))
        writer.start()
        writer.join()
        commands = {"grep -c": ["grep", "-c", "status=sent", log],
                    "simulate": [program, "simulate", "100/h", log]}
        if shutil.which("pflogsumm"):
            commands["pflogsumm"] = ["pflogsumm", log]
        measured = {name: [] for name in commands}
        for number in range(min(rounds, ROUNDS)):
            for name, words in commands.items():
                if name != "pflogsumm" or number == 0:  # which takes minutes
                    measured[name].append(measure_program(words, environment))
        simulate_s[part] = spread([cpu for cpu, _ in measured["simulate"]])
        megabytes = log.stat().st_size / 1e6
        figures["megabytes"] = megabytes  # of the whole log, which is the last
        figures["programs"] = {
            name: {"cpu_s": spread([cpu for cpu, _ in runs]),
                   "mb_per_s": spread([megabytes / max(cpu, 0.001) for cpu, _ in runs]),
                   "mib": spread([mib for _, mib in runs])} for name, runs in measured.items()}
    figures["growth"] = simulate_s[1]["median"] / max(simulate_s[0.5]["median"], 0.001)
    return figures
