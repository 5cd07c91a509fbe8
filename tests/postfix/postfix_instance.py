# SPDX-License-Identifier: AGPL-3.0-only
"""A private Postfix: its own configuration, queue, data and log in a temporary folder, started and
stopped with `postfix -c`. It asks a policy service where Carbonio's does (three places), accepts
mail for any domain and throws it away.

Its listeners, each on a free port of 127.0.0.1:
  smtp        as port 25: asks in the sender restrictions, the recipient restrictions and at the end
  submission  as 465 and 587: smtpd_recipient_restrictions is overridden with nothing
  reinject    as 10028, where filtered mail comes back: sender restrictions and the end
All of them believe XCLIENT from 127.0.0.1, so that a test can come from any address and as any
SASL user. Postfix has to be started by root; where we are another, the tests fail and say so.
"""

import contextlib
import functools
import os
import re
import shutil
import signal
import smtplib
import subprocess
import time
from dataclasses import dataclass, field

from daemon import free_port, public_folder

MAIN_CF = """\
compatibility_level = {level}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = loopback-only
inet_protocols = ipv4
relay_domains = static:ALL
relay_transport = discard:
default_transport = discard:
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_sender_restrictions = {check} permit_mynetworks, permit
smtpd_recipient_restrictions = {check} permit_sasl_authenticated, permit_mynetworks, \
reject_unauth_destination, permit
smtpd_end_of_data_restrictions = {check} permit
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_peername_lookup = no
smtputf8_enable = no
"""

MASTER_CF = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_recipient_restrictions=
127.0.0.1:{reinject} inet n - n - - smtpd
  -o syslog_name=postfix/reinject
  -o smtpd_recipient_restrictions=
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


@functools.cache
def compatibility_level() -> str:
    """Carbonio's, where this Postfix is about as new as Carbonio's."""
    done = subprocess.run(["postconf", "-dh", "mail_version"], env={**os.environ, "PATH": PATH},
                          capture_output=True, text=True, check=True)
    version = tuple(int(number) for number in re.findall(r"\d+", done.stdout)[:2])
    return "3.11" if version >= (3, 10) else "3.6"


def main_cf(folder, check="") -> str:
    """`check` precedes Postfix's other restrictions."""
    return MAIN_CF.format(folder=folder, check=check, level=compatibility_level())


@dataclass
class Sent:
    """What became of one mail: the reply to MAIL FROM, to each recipient, and to the message."""

    mail: tuple[int, str]
    recipients: dict[str, tuple[int, str]] = field(default_factory=dict)
    data: tuple[int, str] | None = None

    @property
    def accepted(self) -> list[str]:
        return [r for r, (code, _) in self.recipients.items() if code == 250]

    @property
    def refused(self) -> dict[str, str]:
        """Recipient -> the reply as one line."""
        return {r: f"{code} {text}" for r, (code, text) in self.recipients.items() if code != 250}

    @property
    def passed(self) -> bool:
        """Every recipient and the message itself were accepted."""
        return not self.refused and self.data is not None and self.data[0] == 250


class PostfixInstance:
    def __init__(self, policy_service: str | None):
        """`policy_service` is what check_policy_service names; None asks nobody."""
        if os.geteuid() != 0:
            raise RuntimeError("these tests start a private Postfix, which only root can: run as root")
        if shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            raise RuntimeError("Postfix is not installed: run scripts/install-dependencies")
        self.folder = public_folder("postfix-test-")
        self.ports = {name: free_port() for name in ("smtp", "submission", "reinject")}
        self._conf = self.folder / "conf"
        self._log_from = 0
        for name in ("conf", "queue", "data"):
            (self.folder / name).mkdir(mode=0o755)
        shutil.chown(self.folder / "data", "postfix")
        check = f"check_policy_service {policy_service}," if policy_service else ""
        (self._conf / "main.cf").write_text(main_cf(self.folder, check))
        (self._conf / "master.cf").write_text(MASTER_CF.format(**self.ports))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, traceback):
        self.stop()
        if kind is not None:
            print(f"--- Postfix's log ---\n{self.log()}")
        self.remove()

    def _postfix(self, *words) -> subprocess.CompletedProcess:
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        return subprocess.run(["postfix", "-c", str(self._conf), *words], text=True, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**environment, "PATH": path})

    def start(self):
        done = self._postfix("start")
        if done.returncode != 0:
            raise RuntimeError(f"postfix start: {done.stdout}\n{self.log()}")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.connect().quit()
                return
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"Postfix does not answer:\n{self.log()}")

    def stop(self):
        try:
            self._postfix("stop")
        except subprocess.TimeoutExpired:  # seen once, under load
            master = (self.folder / "queue/pid/master.pid").read_text()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(master), signal.SIGKILL)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget_log(self):
        """From here on `log` tells only what comes."""
        self._log_from = len(self._whole_log())

    def _whole_log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def log(self) -> str:
        return self._whole_log()[self._log_from :]

    def wait_for_log(self, *needles: str, count: int = 1, timeout_s: float = 60) -> list[str]:
        """The lines that hold all needles, once there are `count`; fails where they do not come."""
        deadline = time.monotonic() + timeout_s
        while True:
            lines = [line for line in self.log().splitlines() if all(n in line for n in needles)]
            if len(lines) >= count:
                return lines
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(lines)} of {count} lines with {needles} in:\n{self.log()}")
            time.sleep(0.05)

    # Sending.

    def connect(self, listener="smtp", xclient: str | None = None) -> smtplib.SMTP:
        """`xclient` as Postfix's XCLIENT has it: "ADDR=192.0.2.7 LOGIN=alice@example.org"."""
        session = smtplib.SMTP("127.0.0.1", self.ports[listener], "client.example.net", timeout=60)
        session.ehlo()
        if xclient:
            code, text = session.docmd("XCLIENT", xclient)
            if code != 220:
                raise RuntimeError(f"XCLIENT: {code} {text.decode()}")
            session.ehlo()
        return session

    def send(self, sender: str, recipients, listener="smtp", xclient=None, size_bytes=400) -> Sent:
        """One mail on a connection of its own."""
        session = self.connect(listener, xclient)
        try:
            return send_on(session, sender, recipients, size_bytes)
        finally:
            try:
                session.quit()
            except (OSError, smtplib.SMTPException):
                session.close()


def send_on(session: smtplib.SMTP, sender: str, recipients, size_bytes=400) -> Sent:
    """One mail on an open connection. Goes on with the recipients that were accepted."""
    recipients = [recipients] if isinstance(recipients, str) else list(recipients)
    code, text = session.mail(sender)
    sent = Sent(mail=(code, text.decode()))
    if code != 250:
        session.rset()
        return sent
    for recipient in recipients:
        code, text = session.rcpt(recipient)
        sent.recipients[recipient] = (code, text.decode())
    if sent.accepted:
        head = f"From: <{sender}>\r\nTo: undisclosed-recipients:;\r\nSubject: a test\r\n\r\n"
        line = "x" * 70 + "\r\n"
        body = line * max(1, (size_bytes - len(head)) // len(line))
        code, text = session.data(head + body)
        sent.data = (code, text.decode())
    else:
        session.rset()
    return sent
