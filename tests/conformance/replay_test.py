#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Replays the conversations recorded from the Perl daemon (cases/*.json) and prints every difference
in our answers and tables.

    replay_test.py [-j N] [PREFIX ...]      as in: replay_test.py quotas policy-1-00

A case has the enabled modules, SQL for a fresh database, requests at given seconds with the recorded
answers, and finally the contents of some tables. Each case has its own daemon, database and clock:
libfaketime reads the time from a file, so a day passes at once.

Environment: BIN_DIR, the folder of the programs; CONFORMANCE_MODULES, a list separated by commas:
cases that need another module are skipped, and counted at the end.
"""

import argparse
import glob
import json
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "postfix"))

from daemon import Connection, Daemon  # noqa: E402

CASES = HERE / "cases"
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)
TOLERANCE = 0.02  # of numbers in tables: fractions of a second pass while a case is played

# Defaults of the attributes of a step, as of the recording; without those that Postfix added later.
RECORDED_ATTRIBUTES = {
    "request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
    "client_address": "192.0.2.10", "client_name": "client.example.net",
    "reverse_client_name": "client.example.net", "helo_name": "client.example.net",
    "sender": "alice@example.org", "recipient": "bob@example.com", "recipient_count": "0",
    "queue_id": "", "instance": "1.1.1", "size": "2048", "etrn_domain": "", "sasl_method": "",
    "sasl_username": "", "sasl_sender": "", "ccert_subject": "", "ccert_issuer": "",
    "ccert_fingerprint": "", "encryption_protocol": "", "encryption_cipher": "",
    "encryption_keysize": "0",
}  # fmt: skip

# The configuration of the recorded daemon, with the Perl daemon's algorithm.
RECORDED_OPTIONS = {
    "server": {"min_servers": 1, "min_spare_servers": 1, "max_spare_servers": 1, "max_servers": 2,
               "max_requests": 1000000},
    "Greylisting": {
        "training_mode": 0,
        "defer_message": "Greylisting in effect, please come back later",
        "blacklist_message": "Greylisting in effect, sending server blacklisted",
    },
    "Quotas": {"algorithm": "decay"},
}  # fmt: skip


class Clock:
    """The time of one daemon, as seconds since noon."""

    def __init__(self, file: Path):
        self._file = file
        self.set(0)

    def set(self, seconds: float):
        text = (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.rename(self._file)

    def environment(self) -> dict:
        return faketime() | {
            "TZ": "UTC",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
        }


def faketime() -> dict:
    """The environment of a program whose clock libfaketime moves, but for when it is."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        sys.exit("libfaketime is not installed: run scripts/install-dependencies")
    sanitizer = os.environ.get("ASAN_OPTIONS", "")
    return {
        "LD_PRELOAD": found[0],
        # Timeouts use the monotonic clock, which is not faked.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        # The preloaded library comes before the sanitizer's, which ASan otherwise rejects.
        "ASAN_OPTIONS": ":".join(filter(None, [sanitizer, "verify_asan_link_order=0"])),
    }


def options_of(case: dict) -> dict:
    options = {section: dict(values) for section, values in RECORDED_OPTIONS.items()}
    for section, values in case.get("options", {}).items():
        options.setdefault(section, {}).update(values)
    return options


class Player:
    """One case with its daemon."""

    def __init__(self, case: dict):
        self._case = case
        self._daemon = Daemon(modules=case["modules"], options=options_of(case), host="127.0.0.1")
        self._clock = Clock(self._daemon.folder / "clock")
        self._daemon.environment.update(self._clock.environment())
        self._connection: Connection | None = None

    def play(self) -> list[str]:
        """The differences, in words."""
        try:
            self._write(self._case.get("sql", ""))
            self._daemon.start()
            differences = []
            for number, step in enumerate(self._case["steps"], start=1):
                differences += self._step(number, step)
            differences += self._tables()
            if self._connection:
                self._connection.close()
            self._daemon.stop()
            return differences
        finally:
            if self._daemon.process:
                self._daemon.kill()
            self._daemon.remove()

    def _write(self, statements: str):
        database = sqlite3.connect(self._daemon.database, timeout=10)
        database.executescript(statements)
        database.close()
        self._daemon.give_to_service_user()

    def _step(self, number: int, step: dict) -> list[str]:
        self._clock.set(step["at"])
        if "sql" in step:
            self._write(step["sql"])
        if "request" not in step:
            return []
        request = {**RECORDED_ATTRIBUTES, "instance": f"7.{number}.0", **step["request"]}
        answer, expected = self._ask(request), step.get("answer")
        if expected is None or answer == expected:
            return []
        return [f"step {number} at {step['at']} s: recorded {expected!r}, ours says {answer!r}"]

    def _ask(self, request: dict) -> str:
        """After an error the connection is closed; then the next question needs another one."""
        for _ in range(2):
            if self._connection is None:
                self._connection = Connection(self._daemon.address)
            text = "".join(f"{k}={v}\n" for k, v in request.items() if v is not None)
            try:
                self._connection.send(text.encode() + b"\n")
                answer = self._connection.answer()
            except ConnectionError:
                answer = None
            if answer is not None:
                return answer
            self._connection.close()
            self._connection = None
        return "(closed)"

    def _tables(self) -> list[str]:
        differences = []
        for name, query in self._case.get("watch", {}).items():
            ours = [list(row) for row in self._daemon.query(query)]
            recorded = self._case["tables"][name]
            if not same(ours, recorded):
                differences += [f"table {name}:"]
                differences += [f"  recorded only {r}" for r in recorded if not has(ours, r)]
                differences += [f"  ours only     {r}" for r in ours if not has(recorded, r)]
                if len(differences) == 1:
                    differences += [f"  recorded {recorded}, ours {ours}"]
        return differences


def has(rows: list, row: list) -> bool:
    return any(same(row, other) for other in rows)


def same(a, b) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    try:
        return abs(float(a) - float(b)) <= TOLERANCE
    except (TypeError, ValueError):
        return a == b


def play(path: Path) -> list[str]:
    try:
        return Player(json.loads(path.read_text())).play()
    except Exception as error:  # the other cases are still played
        return [f"{type(error).__name__}: {error}"]


def chosen(prefixes: list[str]) -> tuple[list[Path], int]:
    """The cases to play, and how many were left out for their modules."""
    paths = [p for p in sorted(CASES.glob("*.json"))
             if not prefixes or any(p.name.startswith(prefix) for prefix in prefixes)]
    known = os.environ.get("CONFORMANCE_MODULES")
    if known is None:
        return paths, 0
    known = {m.strip() for m in known.split(",")}
    wanted = [p for p in paths if set(json.loads(p.read_text())["modules"]) <= known]
    return wanted, len(paths) - len(wanted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("prefix", nargs="*", help="only the cases whose names begin so")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="cases played at a time")
    arguments = parser.parse_args()
    paths, left_out = chosen(arguments.prefix)
    if not paths:
        print("no case to play", file=sys.stderr)
        return 1
    failed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for path, differences in zip(paths, pool.map(play, paths)):
            if differences:
                failed += 1
                print(f"{path.stem} differs:", *differences, sep="\n  ", flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed, {left_out} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
