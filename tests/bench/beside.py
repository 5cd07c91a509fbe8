# SPDX-License-Identifier: AGPL-3.0-only
"""Daemons beside which something else works while they are under load: the page, open in two
browsers, or the signals, for which `answer --due` reads what the daemon has stored."""

import contextlib
import os
import pwd
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import servers  # first: it makes the others' folders known
from report import spread
from servers import BenchDaemon, bin_dir

for _folder in ("daemon", "plugin", "web"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _folder))

import mmdb  # noqa: E402
from daemon import free_port  # noqa: E402
from mail_log import MailLog  # noqa: E402
from many_rows import COUNTERS, LIMITS, MANY  # noqa: E402
from web_case import Page  # noqa: E402

REFRESH_S = 2.5  # each of two browsers refreshes the page every five seconds
FIRST_PAGES = 100
FIRST_PAGE_AIM_MS = 100  # the 95th percentile
LOGINS = 1000
MESSAGES = 50_000  # of a day, with their clients, for the signals
DUE_EVERY_S = 60
DUE_AIM = 0.05  # of one core

SIGNALS = (("networks", "5"), ("senders", "20"), ("rate", "100"), ("night", "100"),
           ("bounces", "50"), ("countries", "4"))


def give_data_folder(daemon: BenchDaemon):
    """To the service's user, as on a host."""
    owner = daemon.database.stat()
    os.chown(daemon.folder / "data/cbpolicyd", owner.st_uid, owner.st_gid)


class DaemonWithPage(BenchDaemon):
    """The page's process runs from the start; two browsers show it during a load."""

    def __init__(self, sql="", programs=None):
        self.page_port = free_port()
        super().__init__(sql, programs=programs,
                         options={"web": {"listen": f"127.0.0.1:{self.page_port}"}})
        give_data_folder(self)
        self.page_process = None

    def start(self):
        super().start()
        self.page_process = subprocess.Popen(
            [self.programs / "carbonio-limits", "web", "serve"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, env={**os.environ, **self.environment})
        if "is served" not in self.page_process.stdout.readline():
            raise SystemExit("the page does not start")
        self.page = Page(self.page_port)
        status = self.page.sign_in(self.command("web", "link").stdout.splitlines()[0])
        if status != 200:
            raise SystemExit(f"the page's link is answered with {status}")

    def stop(self):
        if self.page_process:
            self.page_process.terminate()
            self.page_process.wait()
            self.page_process = None
        super().stop()

    @contextlib.contextmanager
    def beside(self):
        over = threading.Event()

        def refresh():
            while not over.is_set():
                for what in ("refused?since=1h&top=100", "refused?since=1h&top=20&watched="):
                    status, _ = self.page.get(what)
                    if status != 200:
                        raise SystemExit(f"the page answers {what} with {status}")
                over.wait(REFRESH_S)

        browsers = threading.Thread(target=refresh)
        browsers.start()
        try:
            yield
        finally:
            over.set()
            browsers.join()


class DaemonWithSignals(BenchDaemon):
    """All signals are on, and there is a day of mail for them."""

    def __init__(self, programs=None):
        super().__init__(programs=programs)
        give_data_folder(self)
        log, countries = self.folder / "mail.log", self.folder / "countries.mmdb"
        countries.write_bytes(mmdb.written({"198.18.0.0/15": "DE"}))
        bounces = MailLog(days_ago=1)
        for number in range(LOGINS):
            bounces.unknown("nobody@example.com", login=f"user{number}@example.org")
        bounces.write(log)
        self.config.with_name("carbonio-limits.conf").write_text(
            f"[block]\nmail_log={log}\ncountries={countries}\n")
        now = int(time.time())
        self.fill("INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, "
                  "SASLUsername, Size, RecipientData) VALUES (?, ?, ?, ?, ?, ?, 2048, ?)",
                  ((f"b{i}", f"Q{i}", now - 86400 * i // MESSAGES, f"198.18.{i % 250}.{i % 3}",
                    f"user{i % LOGINS}@example.org", f"user{i % LOGINS}@example.org",
                    f"/<to{i}@example.com>#0=1;") for i in range(MESSAGES)))
        for name, amount in SIGNALS:
            self.command("signal", name, amount, "--then", "notify,block:1h")

    def answer_due(self) -> float:
        """One run as the timer makes it; the seconds of the processor that it took."""
        user = pwd.getpwuid(self.database.stat().st_uid).pw_name
        child = subprocess.Popen([self.programs / "carbonio-limits", "answer", "--due"], user=user,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 env={**os.environ, **self.environment})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"answer --due ended with status {child.returncode}")
        return usage.ru_utime + usage.ru_stime


def measure_page(seconds: float, stack: ExitStack) -> dict:
    """The first page of a server with many limits, while its daemon answers as much as it can."""
    daemon = DaemonWithPage(MANY)
    stack.callback(daemon.remove)
    stack.callback(daemon.stop)
    daemon.start()
    load = subprocess.Popen([bin_dir() / "bench_load", "--port", str(daemon.port), "--connections",
                             "10", "--seconds", str(max(10.0, seconds))], stdout=subprocess.DEVNULL)
    stack.callback(load.wait)
    stack.callback(load.kill)
    times = []
    for _ in range(FIRST_PAGES):
        begun = time.monotonic()
        status, _, html = daemon.page.ask("/")
        times.append((time.monotonic() - begun) * 1000)
        if status != 200 or "example.org</th>" not in html:
            raise SystemExit(f"the first page is answered with {status} and shows no refusals")
    if load.poll() is not None:
        raise SystemExit("the load ended before the pages were answered")
    return {"limits": LIMITS, "counters": COUNTERS, "aim_ms": FIRST_PAGE_AIM_MS,
            "p95_ms": sorted(times)[FIRST_PAGES * 95 // 100 - 1], "ms": spread(times)}


def measure_signals(rounds: int, stack: ExitStack) -> dict:
    """What `answer --due` costs that runs each minute."""
    daemon = DaemonWithSignals()
    stack.callback(daemon.remove)
    stack.callback(daemon.stop)
    daemon.start()
    daemon.answer_due()  # reads the mail log from its beginning
    cpu_s = [daemon.answer_due() for _ in range(max(3, rounds))]
    return {"messages": MESSAGES, "aim": DUE_AIM, "cpu_s": spread(cpu_s),
            "share": spread([each / DUE_EVERY_S for each in cpu_s])}
