# SPDX-License-Identifier: AGPL-3.0-only
"""A Debian system in a folder, for the tests of the packages: created once with debootstrap and kept
between runs, used through an overlay that is removed with the test, and run as a container with
systemd as its first process (`boot`) or without it, as on a host with zmcontrol.

$CARBONIO_LIMITS_ROOTS is the folder of the systems (default: ~/.cache/carbonio-limits)."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "passwd", "procps", "python3", "sqlite3", "postfix",
            "rpm")
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def why_not():
    """Why this machine cannot run such a system; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make and enter a system in a folder"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if "\toverlay" not in pathlib.Path("/proc/filesystems").read_text():
        return "this kernel has no overlay file system"
    return ""


def cached_system():
    """The folder with the system, created now if it is missing."""
    folder = pathlib.Path(os.environ.get("CARBONIO_LIMITS_ROOTS") or
                          os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    if "CARBONIO_LIMITS_ROOTS" not in os.environ:
        folder /= "carbonio-limits"
    what = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    system = folder / f"root-{SUITE}-{what}"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.joinpath(f"{system.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run beside this one wait for it
        if not system.is_dir():
            create(folder, system)
    return system


def create(folder, system):
    """Under another name first, so that `system` is never half a system."""
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=system.name, dir=folder))
    fresh.chmod(0o755)
    try:
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
                               SUITE, fresh, MIRROR], capture_output=True, text=True, check=False,
                              env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=1800)
        if done.returncode != 0:
            raise RuntimeError(f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        fresh.rename(system)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def eventually(condition, timeout_s=60.0):
    """The condition's value once it is true; raises after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("it never came true")
        time.sleep(0.1)


class Root:
    """One running system. `run` is a command in it; files are reached through `path`."""

    def __init__(self, boot):
        self.boot = boot
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="carbonio-limits-root-"))
        self.nspawn = None
        self.merged = self.folder / "root"
        self.upper = self.folder / "upper"
        self.merged.mkdir()
        self.upper.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", self.upper], check=True)
        for name in ("files", "work"):
            (self.upper / name).mkdir()
        subprocess.run(["mount", "-t", "overlay", "none", "-o",
                        f"lowerdir={cached_system()},upperdir={self.upper}/files,"
                        f"workdir={self.upper}/work", self.merged], check=True)
        (self.merged / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        self.start()

    def start(self):
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
                   "--machine=mail", "--console=pipe", "-D", self.merged]
        command += ["--boot"] if self.boot else ["--as-pid2", "/bin/sleep", "infinity"]
        self.log = open(self.folder / "console", "ab")
        self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=subprocess.STDOUT)
        self.leader = eventually(self._leader)
        if self.boot:
            eventually(lambda: self.try_run("systemctl", "is-system-running").stdout.strip() in
                       ("running", "degraded"))

    def _leader(self):
        """The first process of the system, once it has replaced nspawn."""
        if self.nspawn.poll() is not None:
            raise AssertionError((self.folder / "console").read_text(errors="replace")[-3000:])
        pid = self.nspawn.pid
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
            if words and b"nspawn" not in words:
                return child
        return None

    def stop(self):
        if self.nspawn is None:
            return
        # systemd as the first process shuts down on TERM; other first processes are killed.
        self.nspawn.send_signal(signal.SIGTERM if self.boot else signal.SIGKILL)
        try:
            self.nspawn.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.kill(int(self.leader), signal.SIGKILL)
            self.nspawn.kill()
            self.nspawn.wait()
        if pathlib.Path(f"/proc/{self.leader}").exists():
            os.kill(int(self.leader), signal.SIGKILL)
            eventually(lambda: not pathlib.Path(f"/proc/{self.leader}").exists())
        self.log.close()
        self.nspawn = None

    def reboot(self):
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        for folder in (self.merged, self.upper):
            subprocess.run(["umount", "-R", folder], check=False)
        shutil.rmtree(self.folder)

    def path(self, name):
        """A file of the system, seen from outside. Not below /run and /tmp, which are mounted inside."""
        return self.merged / str(name).lstrip("/")

    def enter(self):
        """The words that precede a command to run it inside."""
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "--root", "--wd"]

    def try_run(self, *words, user=None, timeout=120, stdin=""):
        inside = ["runuser", "-u", user, "--", *words] if user else words
        return subprocess.run([*self.enter(), "env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8",
                               "DEBIAN_FRONTEND=noninteractive", *map(str, inside)], text=True,
                              capture_output=True, input=stdin, timeout=timeout, check=False)

    def run(self, *words, status=0, **more):
        """Standard output and error of a command, which must exit with this status."""
        done = self.try_run(*words, **more)
        if done.returncode != status:
            raise AssertionError(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def shell(self, text, **more):
        return self.run("sh", "-c", text, **more)
