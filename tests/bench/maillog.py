#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""maillog.py [--megabytes N] [--accounts N]: how fast `simulate` reads a mail log per second of the
processor, and the memory that it takes, beside `grep -c` and, where it is installed, `pflogsumm`, in
one run. BIN_DIR is the folder with the programs. The second log is twice as long, to show that the
time grows with it."""

import argparse
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugin"))

from mail_log import MailLog  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("BIN_DIR", "build/release/bin")).resolve() / "carbonio-limits"
AIM_MB_S = 150
AIM_MIB = 200


def write_log(path, megabytes, accounts):
    choose = random.Random(1)
    log = MailLog(days_ago=35)
    written = 0
    with path.open("w") as file:
        while written < megabytes * 1_000_000:
            for _ in range(5_000):
                account = int(accounts * choose.random() ** 2)
                log.wait(choose.random()).mail(f"user{account}@example.org",
                                               f"to{choose.randrange(50_000)}@example.com",
                                               filtered=True)
            text = log.text()
            log.lines.clear()
            file.write(text)
            written += len(text)


def measure(words, environment=None):
    """Seconds, seconds of the processor, and MiB. Not to /dev/null, where grep reads nothing."""
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        child = subprocess.Popen(words, stdout=output, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"{words[0]} ended with {status}")
    return (time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--accounts", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maillog-bench-") as folder:
        home = pathlib.Path(folder)
        environment = {"ZEXTRAS_HOME": folder}
        subprocess.run([PROGRAM, "init", "--no-prov"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **environment})
        database = home / "data/cbpolicyd/db/cbpolicyd.sqlitedb"
        subprocess.run(["sqlite3", database, "INSERT INTO policy_group_members (PolicyGroupID, Member)"
                        " VALUES (2, '@example.org')"], check=True)
        print(f"{'':28} {'s':>8} {'s of CPU':>8} {'MB/s':>8} {'MiB':>8}")
        for part in (1, 2):
            path = home / "mail.log"
            # In a process of its own: a child's memory counts from that of its parent on.
            writer = multiprocessing.Process(
                target=write_log, args=(path, given.megabytes * part / 2, given.accounts))
            writer.start()
            writer.join()
            size = path.stat().st_size
            rows = [("grep -c", ["grep", "-c", "status=sent", path], None)]
            if shutil.which("pflogsumm"):
                rows.append(("pflogsumm", ["pflogsumm", path], None))
            rows.append(("simulate", [PROGRAM, "simulate", "100/h", path], environment))
            print(f"{size / 1e6:.0f} MB of log")
            for name, words, more in rows:
                seconds, cpu, memory = measure(words, more)
                print(f"  {name:26} {seconds:8.2f} {cpu:8.2f} {size / 1e6 / max(cpu, 0.001):8.0f} "
                      f"{memory:8.0f}")
        print(f"aims: simulate {AIM_MB_S} MB/s, {AIM_MIB} MiB")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
