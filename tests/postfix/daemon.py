# SPDX-License-Identifier: AGPL-3.0-only
"""One cbpolicyd of our own for a test: its folder, configuration, database, life and questions.

    with Daemon() as daemon:                 # made, started, and stopped at the end
        daemon.sql("INSERT INTO policies ...")   # typed with the real sqlite3 program
        daemon.ask(sender="a@example.org")       # -> "DUNNO"

The programs come from BIN_DIR. Started by root, the daemon becomes `zextras` where there is such a
user, else `nobody`; started by another it stays who it is. Everything lies in one temporary folder
laid out like /opt/zextras, which is what $ZEXTRAS_HOME says to the programs; its mode is 0755,
because neither Postfix nor `nobody` may enter one of mode 0700.
"""

import contextlib
import errno
import grp
import os
import pwd
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

ALL_MODULES = ("AccessControl", "Accounting", "CheckHelo", "CheckSPF", "Greylisting", "Quotas")

# What Postfix 3.7 sends, in its order, with the values of an unauthenticated mail from outside.
ATTRIBUTES = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.10",
    "client_name": "client.example.net",
    "client_port": "40000",
    "reverse_client_name": "client.example.net",
    "server_address": "192.0.2.1",
    "server_port": "25",
    "helo_name": "client.example.net",
    "sender": "alice@example.org",
    "recipient": "bob@example.com",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "1.1.1",
    "size": "2048",
    "etrn_domain": "",
    "stress": "",
    "sasl_method": "",
    "sasl_username": "",
    "sasl_sender": "",
    "ccert_subject": "",
    "ccert_issuer": "",
    "ccert_fingerprint": "",
    "ccert_pubkey_fingerprint": "",
    "encryption_protocol": "",
    "encryption_cipher": "",
    "encryption_keysize": "0",
    "policy_context": "",
}

START_TIMEOUT_S = 60  # sanitizers on a busy machine; usually it takes a tenth of a second
READY_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 30

# What we make is read by the users that the daemon and Postfix become.
os.umask(0o022)


def bin_dir() -> Path:
    """The folder with cbpolicyd and carbonio-limits."""
    try:
        return Path(os.environ["BIN_DIR"])
    except KeyError:
        raise SystemExit(
            "BIN_DIR is not set: it is the bin/ folder of the build, as in BIN_DIR=build/release/bin"
        ) from None


def public_folder(prefix: str) -> Path:
    """A temporary folder that any user may enter."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    return folder


_given_ports: set[int] = set()


def free_port() -> int:
    """A port that is free on 127.0.0.1 and on ::1, and below those that the kernel gives to outgoing
    connections: one of them could otherwise sit on it while a test restarts its daemon. Never the
    same again: whoever got it may not have bound it yet."""
    for _ in range(200):
        port = random.randrange(10240, 32000)
        if port in _given_ports:
            continue
        if _can_bind(socket.AF_INET, "127.0.0.1", port) and _can_bind(socket.AF_INET6, "::1", port):
            _given_ports.add(port)
            return port
    raise RuntimeError("found no port that is free on both 127.0.0.1 and ::1")


def _can_bind(family: int, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.bind((host, port))
        return True
    except OSError as error:  # any other error: there is no IPv6, which is fine
        return error.errno != errno.EADDRINUSE


def has_loopback6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def stay_within_the_day(needed_s=120):
    """Waits for the next day where this one ends before that: Accounting would begin anew."""
    now = datetime.now()
    seconds = now.hour * 3600 + now.minute * 60 + now.second
    if seconds > 86400 - needed_s:
        time.sleep(86401 - seconds)


def service_user() -> str | None:
    """Whom the daemon becomes: nobody but itself, unless root starts it."""
    if os.geteuid() != 0:
        return None
    for name in ("zextras", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    return None


def format_request(attributes: dict) -> bytes:
    """A request as Postfix writes it; an attribute that is None is left out."""
    lines = [f"{name}={value}\n" for name, value in attributes.items() if value is not None]
    return "".join(lines).encode() + b"\n"


class Connection:
    """One connection of a Postfix: questions one after another."""

    def __init__(self, address, timeout=ANSWER_TIMEOUT_S):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(address))
        self._received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)

    def answer(self) -> str | None:
        """The next action line without `action=`; None where the server closed instead."""
        while b"\n\n" not in self._received:
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self._received += more
        line, self._received = self._received.split(b"\n\n", 1)
        return line.decode().removeprefix("action=")

    def ask(self, **attributes) -> str | None:
        self.send(format_request({**ATTRIBUTES, **attributes}))
        return self.answer()


class Daemon:
    """cbpolicyd with its files. Construct, `start`, ask, `stop`; or use it in a `with`."""

    def __init__(self, modules=("Quotas",), options=None, host="localhost", database=True,
                 environment=None, log_level=3, port=None, programs=None):
        """`options` are more settings by section, as {"Quotas": {"algorithm": "decay"}};
        `programs` is the bin/ folder of another build."""
        self.programs = programs or bin_dir()
        self.folder = public_folder("cbpolicyd-test-")
        self.port = port or free_port()
        self.database = self.folder / "data/cbpolicyd/db/cbpolicyd.sqlitedb"
        self.config = self.folder / "conf/cbpolicyd.conf"
        self.log_file = self.folder / "log/cbpolicyd.log"
        self.pid_file = self.folder / "run/cbpolicyd.pid"
        self.status_file = self.folder / "run/cbpolicyd.status.json"
        self.output_file = self.folder / "output"
        self.process = None
        self.environment = {"ZEXTRAS_HOME": str(self.folder), **(environment or {})}
        self._user = service_user()
        self._instance = 0
        for path in (self.config, self.log_file, self.pid_file, self.database):
            path.parent.mkdir(parents=True)
        try:
            self.write_config(modules, options or {}, host, log_level)
            if database:
                self.init_database()
            self.give_to_service_user()
        except BaseException:
            self.remove()
            raise

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, traceback):
        try:
            self.stop()
        finally:
            if kind is not None:
                print(f"--- the daemon's log ---\n{self.log()}--- its output ---\n{self.output()}")
            self.remove()

    # Its files.

    def write_config(self, modules, options, host="localhost", log_level=3):
        sections = {name: {"enable": "1" if name in modules else "0"} for name in ALL_MODULES}
        for section, values in options.items():
            sections.setdefault(section, {}).update(values)
        server = {
            "pid_file": self.pid_file,
            "cache_file": self.folder / "cbpolicyd.cache",
            "background": "no",
            "log_level": log_level,
            "log_file": self.log_file,
            "log_mail": "main",
            "log_detail": "modules",
            "host": host,
            "port": self.port,
            "timeout_idle": 1020,
            "timeout_busy": 120,
        }
        if self._user:
            group = grp.getgrgid(pwd.getpwnam(self._user).pw_gid).gr_name
            server = {"user": self._user, "group": group, **server}
        server.update(sections.pop("server", {}))
        database = {
            "DSN": f"DBI:SQLite:dbname={self.database}",
            "bypass_mode": "tempfail",
            "bypass_timeout": 30,
        }
        database.update(sections.pop("database", {}))
        lists = ["protocols=<<EOT", "Postfix", "EOT", "modules=<<EOT", "Core", *ALL_MODULES, "EOT"]
        lines = ["[server]", *lists, *(f"{k}={v}" for k, v in server.items())]
        lines += ["[database]", *(f"{k}={v}" for k, v in database.items())]
        for section, values in sections.items():
            lines += [f"[{section}]", *(f"{k}={v}" for k, v in values.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def init_database(self):
        self.command("init", "--no-prov", "--database", str(self.database))

    def give_to_service_user(self):
        if not self._user:
            return
        entry = pwd.getpwnam(self._user)
        for folder in (self.log_file.parent, self.pid_file.parent, self.database.parent):
            for path in (folder, *folder.iterdir()):
                # A daemon that runs renames files of its own.
                with contextlib.suppress(FileNotFoundError):
                    os.chown(path, entry.pw_uid, entry.pw_gid)

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def wait_for_log(self, *needles: str, count: int = 1, timeout_s: float = 60) -> list[str]:
        """The lines that hold all needles, once there are `count`: the log may come after the
        answer. Fails where they do not come."""
        deadline = time.monotonic() + timeout_s
        while True:
            lines = [line for line in self.log().splitlines() if all(n in line for n in needles)]
            if len(lines) >= count:
                return lines
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(lines)} of {count} lines with {needles} in:\n{self.log()}")
            time.sleep(0.02)

    def output(self) -> str:
        return self.output_file.read_text() if self.output_file.exists() else ""

    def remove(self):
        if self.process is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Its life.

    def spawn(self):
        """As `start`, but does not wait until it accepts connections."""
        assert self.process is None, "it runs already"
        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                [self.programs / "cbpolicyd", f"--config={self.config}", "--fg"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **self.environment}, start_new_session=True)

    def start(self):
        self.status_file.unlink(missing_ok=True)  # of one that was killed
        self.spawn()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.connect().close()
                return self.wait_until_ready()
            except OSError:
                time.sleep(0.02)
        status = self.process.poll()
        self.kill()
        what = "does not accept connections" if status is None else f"ended with status {status}"
        raise RuntimeError(f"cbpolicyd {what}:\n{self.output()}{self.log()}")

    def wait_until_ready(self):
        """The kernel accepts connections before the daemon has opened its files; its status comes
        last of them. Where that cannot be written, this only takes its time."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.status_file.exists() and time.monotonic() < deadline:
            if self.process.poll() is not None:
                return  # it has ended, as the next question shows
            time.sleep(0.01)

    def stop(self):
        """An ordered stop. A daemon that then ends with anything but 0 fails the test; so does
        one that ended before, and one in which a sanitizer found something."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError("cbpolicyd did not stop within 30 s of SIGTERM") from None
        self.process = None
        if status != 0:
            raise RuntimeError(f"cbpolicyd ended with status {status}:\n{self.output()}")

    def kill(self):
        """As a crash: nothing is put in order."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    # Talking to it, and to its database.

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def policy_service(self) -> str:
        """For Postfix's check_policy_service."""
        return f"inet:localhost:{self.port}"

    def connect(self) -> Connection:
        return Connection(self.address)

    def ask(self, **attributes) -> str | None:
        """One question on a connection of its own; each about a new message unless `instance`."""
        self._instance += 1
        with self.connect() as connection:
            return connection.ask(**{"instance": f"7.{self._instance}.0", **attributes})

    def command(self, *arguments, check=True) -> subprocess.CompletedProcess:
        """`carbonio-limits`, for which this folder is /opt/zextras."""
        done = subprocess.run([self.programs / "carbonio-limits", *arguments], text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "ZEXTRAS_HOME": str(self.folder)})
        if check and done.returncode != 0:
            raise RuntimeError(f"carbonio-limits {' '.join(arguments)}: exit {done.returncode}\n"
                               f"{done.stdout}{done.stderr}")
        return done

    def sql(self, statements: str) -> str:
        """What an admin types: the real sqlite3 program, reading its standard input."""
        done = subprocess.run(["sqlite3", "-bail", "-cmd", ".timeout 10000", self.database],
                              input=statements, text=True, capture_output=True, timeout=60)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(f"sqlite3: {done.stderr}{done.stdout}")
        return done.stdout

    def query(self, statement: str) -> list[tuple]:
        database = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()

    def counter(self, track_key: str, limit: int | None = None) -> float:
        """What is counted under a key, 0 where nothing is."""
        only = "" if limit is None else f" AND QuotasLimitsID = {limit}"
        key = track_key.replace("'", "''")
        rows = self.query(f"SELECT Counter FROM quotas_tracking WHERE TrackKey = '{key}'{only}")
        return float(rows[0][0]) if rows else 0.0
