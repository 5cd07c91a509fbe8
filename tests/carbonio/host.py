# SPDX-License-Identifier: AGPL-3.0-only
"""A Carbonio host for the tests of services, in namespaces of its own: /opt/zextras, /run,
/etc/hosts, the user zextras, the network and the processes belong to this test alone. Programs and
scripts run with the paths, the user and the ports of a real host, nothing of this machine is in the
way, and nothing is left behind.

    if __name__ == "__main__":
        host.run_tests()     # re-executes this test in there; prints "skipped" and exits with 77 if
                             # this machine does not allow it (no root, no namespaces)
"""

import fcntl
import grp
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "postfix"))

from daemon import (  # noqa: E402, F401
    ATTRIBUTES, Connection, bin_dir, format_request, has_loopback6)

HOME = pathlib.Path("/opt/zextras")
RUN = pathlib.Path("/run/carbonio")
PID_FILE = RUN / "cbpolicyd.pid"
CONFIG = HOME / "conf/cbpolicyd.conf"
DATABASE = HOME / "data/cbpolicyd/db/cbpolicyd.sqlitedb"
LOG = HOME / "log/cbpolicyd.log"
CTL = HOME / "bin/zmcbpolicydctl"
LIMITS = HOME / "bin/carbonio-limits"
CBPOLICYD = HOME / "common/bin/cbpolicyd"
PORT = 10031
ZEXTRAS = 64990
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
INSIDE = "CARBONIO_TEST_HOST"

# As configd renders it with default attributes.
CBPOLICYD_CONF = """\
[server]
protocols=<<EOT
Postfix
Bizanga
EOT
modules=<<EOT
Core
AccessControl
Accounting
Amavis
CheckHelo
CheckSPF
Greylisting
Quotas
EOT
user=zextras
group=zextras
pid_file=/run/carbonio/cbpolicyd.pid
cache_file=/opt/zextras/data/cbpolicyd/cbpolicyd.cache
background=yes
min_servers=4
max_servers=25
max_requests=1000
log_level=3
log_file=/opt/zextras/log/cbpolicyd.log
log_mail=main
log_detail=modules
host=localhost
port=10031
timeout_idle=1020
timeout_busy=120
[database]
DSN=DBI:SQLite:dbname=/opt/zextras/data/cbpolicyd/db/cbpolicyd.sqlitedb
bypass_mode=tempfail
bypass_timeout=30
[Quotas]
enable=1
"""


def run_tests():
    if os.environ.get(INSIDE) != "1":
        words = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True).returncode:
            print("skipped: only root can make namespaces for these tests, where they are allowed")
            sys.exit(SKIPPED)
        os.environ[INSIDE] = "1"
        os.execvp(words[0], [*words, sys.executable, "-B", *sys.argv])
    make()
    unittest.main()


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def make_devices():
    """A /dev without this machine's log socket: what is written to ours comes from the test alone.
    `umount -R /dev` removes it. Not for all tests: systemd wants the real one."""
    fresh = pathlib.Path("/run/dev")
    fresh.mkdir()
    mount("-t", "tmpfs", "tmpfs", str(fresh), "-o", "mode=0755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (fresh / name).touch()
        mount("--bind", f"/dev/{name}", str(fresh / name))
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"),
                         ("stderr", "fd/2")):
        (fresh / name).symlink_to(target)
    (fresh / "shm").mkdir()
    (fresh / "shm").chmod(0o1777)
    mount("--move", str(fresh), "/dev")


def make():
    """Once, inside."""
    programs = os.open(bin_dir(), os.O_PATH)
    for folder in ("/opt", "/run"):
        mount("-t", "tmpfs", "tmpfs", folder, "-o", "mode=0755")
    network = socket.socket()
    fcntl.ioctl(network, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up
    for name, line in (("passwd", f"zextras:x:{ZEXTRAS}:{ZEXTRAS}::{HOME}:/bin/bash"),
                       ("group", f"zextras:x:{ZEXTRAS}:")):
        with open(f"/etc/{name}") as file:
            lines = [each for each in file.read().splitlines() if not each.startswith("zextras:")]
        pathlib.Path(f"/run/{name}").write_text("\n".join([*lines, line]) + "\n")
        mount("--bind", f"/run/{name}", f"/etc/{name}")
    pathlib.Path("/run/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    mount("--bind", "/run/hosts", "/etc/hosts")
    for folder in ("bin", "libexec", "conf", "log", "data/cbpolicyd/db", "common/bin", "log/state"):
        (HOME / folder).mkdir(parents=True)
    for folder in (HOME, *HOME.rglob("*")):
        os.chown(folder, ZEXTRAS, ZEXTRAS)
    mount("--bind", f"/proc/{os.getpid()}/fd/{programs}", str(HOME / "common/bin"))
    LIMITS.touch()
    mount("--bind", f"/proc/{os.getpid()}/fd/{programs}/carbonio-limits", str(LIMITS))
    for script, folder in (("zmcbpolicydctl", "bin"), ("zmcbpadmin", "bin"),
                           ("zmcbpolicydinit", "libexec")):
        shutil.copy(REPOSITORY / "scripts" / script, HOME / folder)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    shutil.copy(HERE / "carbonio", HOME / "bin/carbonio")
    os.environ["CARBONIO_STATE"] = str(HOME / "log/state")
    state = HOME / "log/state"
    (state / "servers").mkdir()
    (state / "servers/mail.example.com").write_text("zimbraServiceEnabled: mta\n")
    (state / "global").write_text("zimbraMtaMyNetworks: 127.0.0.0/8 [::1]/128\n")
    (state / "domains").write_text("example.net\n")
    (state / "user").write_text("zextras\n")
    subprocess.run(["chown", "-R", "zextras:zextras", state], check=True)
    (HOME / "conf/localconfig.xml").write_text(
        "<localconfig>\n  <key name=\"zimbra_server_hostname\">\n    <value>mail.example.com</value>\n"
        "  </key>\n</localconfig>\n")


def group_of(user):
    """The primary group's name: nobody's is nogroup on Debian, nobody on RHEL."""
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def as_zextras(*words, **more):
    return run(*words, user="zextras", group="zextras", extra_groups=[], **more)


def run(*words, **more):
    return subprocess.run([str(word) for word in words], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, cwd="/",
                          **{"env": {**os.environ, "HOME": str(HOME)}, **more})


def processes(word="cbpolicyd"):
    """pid -> command line of all processes with this word in it, as `pgrep -f` finds them."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line and int(pid) != os.getpid():
            found[int(pid)] = line.strip()
    return found


def eventually(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class HostTest(unittest.TestCase):
    """Each test begins with a freshly booted host: no daemon, no database, the service switched off,
    and its configuration written."""

    def setUp(self):
        self.addCleanup(self.clean)
        RUN.mkdir(exist_ok=True)
        os.chown(RUN, ZEXTRAS, ZEXTRAS)
        CONFIG.write_text(CBPOLICYD_CONF)
        os.chown(CONFIG, ZEXTRAS, ZEXTRAS)
        os.chown(CONFIG.parent, ZEXTRAS, ZEXTRAS)

    def clean(self):
        for pid in processes(str(CBPOLICYD)):
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(eventually(lambda: not processes(str(CBPOLICYD))))
        for path in (*DATABASE.parent.iterdir(), LOG, *(RUN.iterdir() if RUN.exists() else ()),
                     HOME / "data/cbpolicyd/enabled"):
            path.unlink(missing_ok=True)

    def ask(self, **attributes):
        with Connection(("127.0.0.1", PORT)) as connection:
            return connection.ask(**attributes)

    def refused(self):
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=10).close()
        except ConnectionRefusedError:
            return True
        return False
