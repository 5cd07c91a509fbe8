# SPDX-License-Identifier: AGPL-3.0-only
"""Mails a second through a private Postfix that asks in all three places: the daemon, beside the
server that does nothing. Needs root, as Postfix does."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack

from servers import ALL_COUNTED, BenchDaemon, NullServer  # first: it makes the others' folder known
from postfix_instance import PostfixInstance
from report import spread

AIM = 0.95
SESSIONS = 20


def can_run() -> str | None:
    """Why not, or None."""
    if os.geteuid() != 0:
        return "a private Postfix can only be started by root"
    if smtp_source() is None:
        return "smtp-source (Postfix) is not installed"
    return None


def smtp_source() -> str | None:
    return shutil.which("smtp-source", path=f"{os.environ['PATH']}:/usr/sbin")


def mails_per_second(postfix: PostfixInstance, mails: int) -> float:
    """Each over a connection of its own, with a recipient of its own."""
    begun = time.monotonic()
    subprocess.run([smtp_source(), "-N", "-s", str(SESSIONS), "-m", str(mails), "-l", "2000",
                    "-f", "alice@example.org", "-t", "bob@example.net",
                    f"127.0.0.1:{postfix.ports['smtp']}"], check=True, timeout=600,
                   stdout=subprocess.DEVNULL)
    return mails / (time.monotonic() - begun)


def counting_daemon(stack: ExitStack, programs=None) -> BenchDaemon:
    daemon = BenchDaemon(programs=programs)
    stack.callback(daemon.remove)
    daemon.set_limit(ALL_COUNTED)
    daemon.start()
    stack.callback(daemon.stop)
    return daemon


def measure_mail(mails: int, rounds: int, stack: ExitStack, against=None) -> dict:
    """`against`: the programs of another build, in place of the server that does nothing."""
    daemon = counting_daemon(stack)
    if against:
        other = counting_daemon(stack, against)
    else:
        other = NullServer()
        stack.callback(other.stop)
    ours, base = (stack.enter_context(PostfixInstance(f"inet:127.0.0.1:{server.port}"))
                  for server in (daemon, other))
    for postfix in (ours, base):
        mails_per_second(postfix, SESSIONS)  # its processes are started now
    pairs = []
    for number in range(rounds):
        order = (ours, base) if number % 2 == 0 else (base, ours)
        speed = {id(postfix): mails_per_second(postfix, mails) for postfix in order}
        pairs.append((speed[id(ours)], speed[id(base)]))
    counted = daemon.counter("Sender:alice@example.org")
    if counted < mails:
        raise SystemExit(f"of {mails} mails {counted:.0f} were counted")
    return {"aim": None if against else AIM, "sessions": SESSIONS, "mails": mails,
            "daemon": spread([pair[0] for pair in pairs]),
            "base": spread([pair[1] for pair in pairs]),
            "ratio": spread([pair[0] / pair[1] for pair in pairs])}
