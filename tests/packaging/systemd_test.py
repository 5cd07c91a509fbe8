#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The units under a real systemd, which runs as the first process in its own namespaces, with only our
units and those that they refer to."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "carbonio"))

import host  # noqa: E402
from host import CBPOLICYD, CTL, HOME, LIMITS, LOG, PID_FILE, RUN  # noqa: E402

UNITS = HERE.parent.parent / "packaging/systemd"
SYSTEM = pathlib.Path("/usr/lib/systemd/system")
UNIT = "carbonio-policyd.service"
MARK = HOME / "data/cbpolicyd/enabled"
SYSTEMD = pathlib.Path("/usr/lib/systemd/systemd")
TARGETS = ("sysinit", "basic", "shutdown", "timers", "network", "network-online", "carbonio-mta",
           "test")


class Systemd:
    """`run` runs a program in the namespaces of this systemd."""

    def __init__(self):
        # systemd needs cgroups of its own; host.py made the rest.
        self.log = open("/run/systemd.log", "w+")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child",
             "--mount-proc", SYSTEMD, "--system", "--unit=test.target", "--log-target=console",
             "--show-status=0"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, "container": "test"})
        self.pid = None
        if not host.eventually(self.is_up, 30):
            self.stop()
            raise unittest.SkipTest(f"systemd cannot run here: {self.text()}")
        self.run("systemctl", "set-environment", f"CARBONIO_STATE={os.environ['CARBONIO_STATE']}",
                 check=True)

    def is_up(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            self.pid = children.read_text().split()[0]
        except (OSError, IndexError):
            return False
        return self.run("systemctl", "is-active", "test.target").stdout == "active\n"

    def run(self, *words, check=False):
        done = host.run("nsenter", "--target", self.pid, "--mount", "--pid", *words)
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode}: {done.stdout}{self.text()}")
        return done

    def text(self):
        return "".join(path.read_text() for path in pathlib.Path("/run").glob("*.log"))

    def stop(self):
        self.process.kill()
        self.process.wait()


def install(drop_in=False):
    for path in SYSTEM.glob("carbonio-*"):
        if path.name.endswith(".target"):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in UNITS.glob("carbonio-limits-*"):
        shutil.copy(path, SYSTEM)
    if drop_in:
        shutil.copy(HERE / "shipped-policyd.service", SYSTEM / UNIT)
        shutil.copytree(UNITS / f"{UNIT}.d", SYSTEM / f"{UNIT}.d")
    else:
        shutil.copy(UNITS / UNIT, SYSTEM)


def setUpModule():
    if not SYSTEMD.exists():
        raise unittest.SkipTest("there is no systemd here")
    for folder in ("/usr/lib/systemd/system", "/etc/systemd/system"):
        host.mount("-t", "tmpfs", "tmpfs", folder)
    pathlib.Path("/run/systemd/system").mkdir(parents=True)
    for name in TARGETS:
        (SYSTEM / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n"
                                               "[Install]\nWantedBy=test.target\n")
    # There is no journal.
    (SYSTEM / "service.d").mkdir()
    (SYSTEM / "service.d/output.conf").write_text(
        "[Service]\nStandardOutput=append:/run/services.log\nStandardError=inherit\n")
    install()
    global systemd
    systemd = Systemd()
    unittest.addModuleCleanup(systemd.stop)


class SystemdTest(host.HostTest):
    drop_in = False

    def setUp(self):
        super().setUp()
        install(self.drop_in)
        systemd.run("systemctl", "daemon-reload", check=True)
        self.addCleanup(systemd.run, "systemctl", "stop", UNIT)
        self.addCleanup(lambda: systemd.run("systemctl", "reset-failed"))
        systemd.run("systemctl", "enable", "carbonio-mta.target", check=True)
        MARK.touch()

    def run(self, result=None):
        wrong_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > wrong_before:
            print(f"=== {self.id()}: systemd ===", systemd.text(), sep="\n", flush=True)
        return result

    def service(self, *words):
        done = systemd.run(LIMITS, "service", *words)
        return done.returncode, done.stdout

    def show(self, name):
        return systemd.run("systemctl", "show", f"--property={name}", "--value", UNIT,
                           check=True).stdout.strip()

    def start(self):
        self.assertEqual(self.service("start"), (0, "Started the policy daemon.\n"))

    def worker(self):
        """The number outside: systemd counts its processes from one."""
        found = [pid for pid, line in host.processes(f"{CBPOLICYD} --config").items()
                 if not line.startswith("nsenter")]
        self.assertEqual(len(found), 1)
        return found[0]


class Unit(SystemdTest):
    def test_verify_is_silent(self):
        units = [SYSTEM / UNIT, *SYSTEM.glob("carbonio-limits-*")]
        self.assertEqual(len(units), 8)
        done = systemd.run("systemd-analyze", "verify", "--man=no", *units)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_pause_lasts_over_restarts(self):
        self.assertEqual(self.service("start")[0], 0)
        done = systemd.run(LIMITS, "pause", "10min")
        self.assertEqual(done.returncode, 0, done.stdout)
        for verb in ("restart", "stop", "start"):
            systemd.run("systemctl", verb, UNIT, check=True)
        self.assertIn("Warning: Limits are paused until", self.service("status")[1])
        self.assertIn("limits are paused", self.show("StatusText"))
        done = systemd.run(LIMITS, "resume")
        self.assertIn("The pause has ended", done.stdout)
        self.assertTrue(host.eventually(lambda: "paused" not in self.show("StatusText")))

    def test_zmcontrol_is_in_charge_where_no_target_is_enabled(self):
        """Ubuntu 22.04 and RHEL 8: systemd runs, and packages brought the unit, but zmcontrol runs
        the services."""
        systemd.run("systemctl", "disable", "carbonio-mta.target", check=True)
        status, output = self.service("start")
        self.assertEqual((status, output.splitlines()[0]), (0, "Started the policy daemon."))
        self.assertIn("under its own supervisor", self.service("status")[1])
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.service("restart")[0], 0)
        self.assertEqual(self.service("stop")[0], 0)
        # Started by systemctl all the same, it is systemd's.
        systemd.run("systemctl", "start", UNIT, check=True)
        self.assertIn("under systemd", self.service("status")[1])
        self.assertEqual(self.service("stop")[0], 0)
        self.assertEqual(self.show("ActiveState"), "inactive")
        for target in ("carbonio-mta", "carbonio-proxy"):
            (SYSTEM / f"{target}.target").write_text("[Install]\nWantedBy=test.target\n")
            systemd.run("systemctl", "enable", f"{target}.target", check=True)
            self.service("start")
            self.assertIn("under systemd", self.service("status")[1], target)
            self.service("stop")
            systemd.run("systemctl", "disable", f"{target}.target", check=True)

    def test_not_without_the_mark_of_enable(self):
        MARK.unlink()
        code, output = self.service("start")
        self.assertEqual((code, output.count("\n")), (2, 1))
        self.assertIn("carbonio-limits enable", output)
        self.assertEqual(self.service("status")[0], 3)
        self.assertEqual(self.show("Result"), "success", "it is no failure")

    def test_start_status_reload_stop(self):
        if not host.has_loopback6():
            self.skipTest("this machine has no ::1")
        self.start()
        self.assertEqual(self.service("start"), (0, "The policy daemon is already running.\n"))
        self.assertEqual(self.ask(), "DUNNO")
        self.assertTrue(host.eventually(lambda: self.show("StatusText") ==
                                        "Serving on 127.0.0.1:10031, [::1]:10031"))
        code, output = self.service("status", "--json")
        told = json.loads(output)
        self.assertEqual((code, told["ok"], told["supervised_by"]), (0, True, "systemd"))
        self.assertEqual(str(told["pid"]), self.show("MainPID"))
        self.assertEqual(PID_FILE.read_text(), f"{told['pid']}\n")
        self.assertEqual(self.show("NFileDescriptorStore"), "2")
        self.assertEqual(self.service("reload")[0], 0)
        self.assertTrue(host.eventually(lambda: "configuration reloaded" in LOG.read_text()))
        code, output = self.service("stop")
        self.assertEqual((code, output.splitlines()[0]), (0, "Stopped the policy daemon."))
        self.assertTrue(self.refused(), "the store has given the sockets back")
        self.assertEqual(self.show("NFileDescriptorStore"), "0")
        code, output = self.service("stop")
        self.assertEqual((code, output.splitlines()[0]), (0, "The policy daemon is not running."))

    def test_it_is_locked_in(self):
        self.start()
        status = pathlib.Path(f"/proc/{self.worker()}/status").read_text()
        for line in ("CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
            self.assertIn(line, status)
        self.assertIn(f"Uid:\t{host.ZEXTRAS}\t", status)
        root = pathlib.Path(f"/proc/{self.worker()}/root")
        self.assertTrue((root / "opt/zextras/log").is_dir())
        mounts = pathlib.Path(f"/proc/{self.worker()}/mountinfo").read_text().splitlines()
        ways = {line.split()[4]: line.split()[5].split(",")[0] for line in mounts}
        self.assertEqual([ways[path] for path in ("/", "/opt/zextras/log", str(RUN))],
                         ["ro", "rw", "rw"])

    def test_redis_can_be_reached(self):
        """By a name, and by a socket in a folder for its group alone; with the file of the password."""
        folder = pathlib.Path("/run/redis")
        folder.mkdir()
        self.addCleanup(shutil.rmtree, folder)
        os.chown(folder, 0, host.ZEXTRAS)
        folder.chmod(0o750)
        redis = subprocess.Popen(
            ["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--dir", folder, "--save", "",
             "--requirepass", "secret", "--unixsocket", folder / "redis.sock", "--unixsocketperm",
             "777"], executable=shutil.which("redis-check-rdb"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL)
        self.addCleanup(redis.wait)
        self.addCleanup(redis.kill)
        password = HOME / "conf/redis-password"
        password.write_text("secret\n")
        password.chmod(0o640)
        os.chown(password, host.ZEXTRAS, host.ZEXTRAS)
        own = HOME / "conf/carbonio-limits.conf"
        self.addCleanup(own.unlink)
        for url in ("redis://localhost", "unix:///run/redis/redis.sock"):
            own.write_text(f"[cluster]\nurl={url}\npassword_file={password}\n")
            self.service("restart")
            self.assertTrue(host.eventually(
                lambda: systemd.run(LIMITS, "cluster", "status").returncode == 0),
                systemd.run(LIMITS, "cluster", "status").stdout)
            self.assertEqual(self.ask(), "DUNNO")

    def test_a_fresh_database_has_this_servers_domains(self):
        self.start()
        done = host.run("sqlite3", "-readonly", host.DATABASE,
                        "SELECT Member FROM policy_group_members WHERE Member LIKE '@%'")
        self.assertEqual(done.stdout, "@example.net\n", systemd.text())

    def test_run_was_emptied(self):
        shutil.rmtree(RUN)
        self.start()
        self.assertTrue(PID_FILE.exists())
        self.assertEqual(self.service("status")[0], 0)

    def test_one_that_runs_beside_the_unit_is_taken_over(self):
        systemd.run("runuser", "-u", "zextras", "--", CBPOLICYD, "--config", host.CONFIG, check=True)
        self.assertEqual(json.loads(self.service("status", "--json")[1])["supervised_by"], "supervisor")
        self.start()
        self.assertEqual(json.loads(self.service("status", "--json")[1])["supervised_by"], "systemd")
        self.assertEqual(self.ask(), "DUNNO")

    def test_the_port_is_held_by_another_daemon(self):
        with socket.create_server(("127.0.0.1", host.PORT)):
            done = systemd.run("systemctl", "start", "--no-block", UNIT)
            self.assertEqual(done.returncode, 0)
            self.assertTrue(host.eventually(lambda: "another program listens there"
                                            in systemd.text()))
        self.assertTrue(host.eventually(lambda: self.service("status")[0] == 0), "it mends itself")

    def test_zmcbpolicydctl_uses_the_unit(self):
        # polkit, which is missing here, would allow zextras to do this: run it as root by that name.
        pathlib.Path("/run/passwd-root").write_text("zextras:x:0:0::/opt/zextras:/bin/bash\n")

        def ctl(*words):
            done = systemd.run("unshare", "--mount", "sh", "-c",
                               'mount --bind /run/passwd-root /etc/passwd && exec "$0" "$@"', CTL, *words)
            return done.returncode, done.stdout

        self.assertEqual(ctl("status"), (1, "policyd is not running.\n"))
        self.assertEqual(ctl("start", "norewrite"), (0, "Starting policyd...done.\n"))
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(ctl("status"), (0, "policyd is running.\n"))
        self.assertEqual(ctl("restart", "norewrite"), (0, "Restarting policyd...done.\n"))
        self.assertEqual(ctl("stop"), (0, "Stopping policyd...done.\n"))
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(ctl("stop"), (0, "policyd is not running.\n"))

    def test_sync(self):
        host.as_zextras(LIMITS, "init", "--no-prov")
        systemd.run("systemctl", "start", "carbonio-limits-sync.service", check=True)
        done = host.run("sqlite3", "-readonly", host.DATABASE,
                        "SELECT Member FROM policy_group_members WHERE Member LIKE '@%'")
        self.assertIn("@example.net", done.stdout)


class Notices(SystemdTest):
    """The timer of notices, and a sendmail that writes down what it may do."""

    STATE = HOME / "data/cbpolicyd/notify"
    BOX = HOME / "data/postfix/box"
    SBIN = HOME / "common/sbin"
    SENDMAIL = f"""#!/bin/sh
cat >{BOX}/mail
{SBIN}/setgid -g >{BOX}/group
id -u >{BOX}/user
grep -e CapBnd -e NoNewPrivs /proc/self/status >{BOX}/status
for folder in /opt/zextras/conf /opt/zextras/bin /usr /etc; do
  touch $folder/written 2>>{BOX}/refused && echo $folder >>{BOX}/written
done
mv {BOX}/mail {BOX}/done.$(ls {BOX} | grep -c done)
"""

    def setUp(self):
        super().setUp()
        for folder in (self.BOX, self.SBIN):
            folder.mkdir(parents=True, exist_ok=True)
            self.addCleanup(shutil.rmtree, folder)
        os.chown(self.BOX, host.ZEXTRAS, host.ZEXTRAS)
        (self.SBIN / "sendmail").write_text(self.SENDMAIL)
        (self.SBIN / "sendmail").chmod(0o755)
        shutil.copy(shutil.which("id"), self.SBIN / "setgid")  # as postdrop is
        os.chown(self.SBIN / "setgid", 0, 1)
        (self.SBIN / "setgid").chmod(0o2755)
        self.start()
        self.addCleanup(lambda: (HOME / "conf/carbonio-limits.conf").unlink(missing_ok=True))
        self.addCleanup(lambda: self.STATE.unlink(missing_ok=True))
        self.addCleanup(systemd.run, "systemctl", "stop", "carbonio-limits-notify.timer")

    def notify(self, *words):
        done = systemd.run(LIMITS, "notify", *words)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def is_active(self):
        return systemd.run("systemctl", "is-active", "carbonio-limits-notify.timer").stdout == "active\n"

    def refuse(self):
        """Two minutes ago."""
        at = int((time.time() - 120) * 1000)
        host.run("sqlite3", host.DATABASE, "INSERT INTO limits_events (Minute, Kind, Module, RowID, "
                 f"TrackKey, Verdict, FirstSeen, LastSeen, Times) VALUES ({at // 60000}, 'refused', "
                 f"'Quotas', 4, 'Sender:anna@example.org', 'defer', {at}, {at}, 1)")

    def test_the_timer_runs_while_notices_are_on(self):
        timer = "carbonio-limits-notify.timer"
        systemd.run("systemctl", "start", timer)  # at boot
        self.assertFalse(self.is_active())
        self.assertIn("Notices go to", self.notify("--to", "admin@example.com"))
        self.assertTrue(self.is_active())
        self.refuse()
        self.assertTrue(host.eventually(lambda: (self.BOX / "done.1").exists(), 150), systemd.text())
        self.assertIn("anna@example.org", (self.BOX / "done.1").read_text())
        self.notify("--off")
        self.assertFalse(self.is_active())
        self.assertFalse(self.STATE.exists())
        systemd.run("systemctl", "start", "carbonio-limits-notify.service", check=True)
        self.assertEqual(len(list(self.BOX.glob("done.*"))), 2, "off is off")

    def test_doctor_has_a_timer_started_that_does_not_run(self):
        self.notify("--to", "admin@example.com")
        systemd.run("systemctl", "stop", "carbonio-limits-notify.timer", check=True)
        os.utime(self.STATE, (0, 0))
        done = systemd.run(LIMITS, "doctor", "--json")
        [found] = [finding for finding in json.loads(done.stdout)["findings"]
                   if finding.get("problem") == "notices.stalled"]
        command, = re.findall(r"systemctl start [\w.-]+(?=;)", found["fix"])
        systemd.run(*command.split(), check=True)
        self.assertTrue(self.is_active())
        self.assertTrue(host.eventually(lambda: '"notices.stalled"' not in systemd.run(
            LIMITS, "doctor", "--json").stdout, 100), found)

    def test_where_zmcontrol_runs_the_services(self):
        self.service("stop")
        systemd.run("systemctl", "disable", "carbonio-mta.target", check=True)
        self.notify("--to", "admin@example.com")
        self.assertTrue(self.is_active())

    def test_the_service_may_mail_and_little_else(self):
        self.notify("--to", "admin@example.com")
        systemd.run("systemctl", "stop", "carbonio-limits-notify.timer", check=True)
        for name in ("written", "refused"):
            (self.BOX / name).unlink(missing_ok=True)
        self.refuse()

        def is_sent():  # once the minute of the last event is over
            systemd.run("systemctl", "start", "carbonio-limits-notify.service", check=True)
            time.sleep(3)  # five starts in ten seconds are allowed
            return (self.BOX / "done.1").exists()

        self.assertTrue(host.eventually(is_sent, 100), systemd.text())
        self.assertEqual((self.BOX / "group").read_text(), "1\n", "a setgid program has its group")
        self.assertEqual((self.BOX / "user").read_text(), f"{host.ZEXTRAS}\n")
        self.assertEqual((self.BOX / "status").read_text(),
                         "CapBnd:\t0000000000000000\nNoNewPrivs:\t0\n")
        self.assertFalse((self.BOX / "written").exists())
        self.assertEqual((self.BOX / "refused").read_text().count("Read-only file system"), 4,
                         (self.BOX / "refused").read_text())


class Gapless(SystemdTest):
    """Clients that connect continuously are never refused."""

    def setUp(self):
        super().setUp()
        self.start()
        self.answers = []
        self.refusals = 0
        self.ended = threading.Event()
        self.client = threading.Thread(target=self.connect)
        self.client.start()
        self.addCleanup(self.client.join, 60)
        self.addCleanup(self.ended.set)

    def connect(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            begin = time.monotonic()
            try:
                with host.Connection(("127.0.0.1", host.PORT)) as connection:
                    connection.send(host.format_request(
                        {**host.ATTRIBUTES, "instance": f"9.{number}.0"}))
                    asked_after = time.monotonic() - begin
                    answer = connection.answer()
            except ConnectionRefusedError:
                self.refusals += 1
                continue
            # A stopping worker waits a tenth of a second for the first request of a new connection.
            if answer is not None or asked_after < 0.05:
                self.answers.append(answer)

    def serving(self):
        before = len(self.answers)
        self.assertTrue(host.eventually(lambda: len(self.answers) > before + 5, 60))

    def finish(self, most_broken):
        self.ended.set()
        self.client.join(60)
        self.assertEqual(self.refusals, 0)
        # A kill breaks the current connection; Postfix asks again.
        self.assertLessEqual(self.answers.count(None), most_broken)
        self.assertEqual(set(self.answers) - {None}, {"DUNNO"})

    def test_restart(self):
        for _ in range(3):
            self.serving()
            before = self.show("MainPID")
            self.assertEqual(self.service("restart"), (0, "Restarted the policy daemon.\n"))
            self.assertNotEqual(self.show("MainPID"), before)
        self.serving()
        self.finish(0)

    def test_kill_9(self):
        for _ in range(3):
            self.serving()
            os.kill(self.worker(), signal.SIGKILL)
        self.serving()
        self.finish(3)

    def test_one_that_is_stuck_is_replaced(self):
        (SYSTEM / f"{UNIT}.d").mkdir(exist_ok=True)
        (SYSTEM / f"{UNIT}.d/test.conf").write_text("[Service]\nWatchdogSec=2s\n")
        systemd.run("systemctl", "daemon-reload", check=True)
        self.assertEqual(self.service("restart")[0], 0)
        self.serving()
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        self.assertTrue(host.eventually(lambda: not pathlib.Path(f"/proc/{worker}").exists(), 60))
        self.serving()
        self.finish(3)


class DropIn(SystemdTest):
    """With the package carbonio-policyd: its unit, overridden by ours."""

    drop_in = True

    def test_it_is_ours_and_without_the_drop_in_theirs(self):
        self.start()
        self.assertEqual(self.ask(), "DUNNO")
        names = ("ExecStart", "ExecStartPre", "ReadWritePaths", "Type",
                 "FileDescriptorStoreMax", "SystemCallFilter", "CapabilityBoundingSet")
        ours = [self.show(name).partition(" start_time=")[0] for name in names]
        self.service("stop")
        install()
        systemd.run("systemctl", "daemon-reload", check=True)
        self.assertEqual([self.show(name).partition(" start_time=")[0] for name in names], ours)
        shutil.copy(HERE / "shipped-policyd.service", SYSTEM / UNIT)
        systemd.run("systemctl", "daemon-reload", check=True)
        self.assertEqual(self.show("Type"), "simple")

    def test_restart_keeps_the_sockets(self):
        self.start()
        os.kill(self.worker(), signal.SIGSTOP)
        with host.Connection(("127.0.0.1", host.PORT)) as connection:
            os.kill(self.worker(), signal.SIGKILL)
            self.assertEqual(connection.ask(), "DUNNO", "it waited in the kernel")


class Page(SystemdTest):
    """The page as a service of its own."""

    UNIT = "carbonio-limits-web.service"

    def setUp(self):
        super().setUp()
        self.start()
        self.addCleanup(systemd.run, "systemctl", "disable", "--now", self.UNIT)

    def web(self, *words, status=0):
        done = systemd.run(LIMITS, "web", *words)
        self.assertEqual(done.returncode, status, done.stdout + systemd.text())
        return done.stdout

    def answer(self, target, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", 10032, timeout=30)
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()

    def test_start_link_status_and_stop(self):
        self.assertIn("'carbonio-limits web start'", self.web("status", status=3))
        self.assertIn("The page is served", self.web("start"))
        self.assertEqual(self.web("status"), "The page is served.\n")
        link = self.web("link", "--write").splitlines()[0]
        self.assertTrue(link.startswith("http://127.0.0.1:10032/sign-in?token="), link)
        status, headers, _ = self.answer(link.partition(":10032")[2])
        self.assertEqual(status, 200)
        cookie = headers["Set-Cookie"].split(";")[0]
        status, _, page = self.answer("/", Cookie=cookie)
        self.assertEqual(status, 200)
        token = re.search('data-change="(.*?)"', page)[1]
        # Its sandbox lets it do what the subcommands do.
        for target in ("usage", "doctor", "status", "export", "limits", "changes", "blocked", "signals"):
            self.assertEqual(self.answer(f"/api/{target}", Cookie=cookie)[0], 200, target)
        for path, body in (("send", '{"word": "5/h", "user": "carl@example.com"}'),
                           ("block", '{"word": "mallory@example.com"}'),
                           ("unblock", '{"word": "mallory@example.com"}'),
                           ("pause", '{"word": "1min"}'), ("resume", "{}")):
            connection = http.client.HTTPConnection("127.0.0.1", 10032, timeout=30)
            connection.request("POST", f"/api/{path}", body, {
                "Cookie": cookie, "Content-Type": "application/json", "X-Change-Token": token,
                "Origin": "http://127.0.0.1:10032"})
            response = connection.getresponse()
            self.assertEqual(response.status, 200, response.read())
        self.assertIn("carl@example.com", systemd.run(LIMITS, "list").stdout)
        self.assertEqual(self.web("stop"), "The page is no longer served.\n")
        self.web("status", status=3)
        with self.assertRaises(OSError):
            self.answer("/")

    def test_it_may_do_little(self):
        self.web("start")
        pid = systemd.run("systemctl", "show", "--property=MainPID", "--value", self.UNIT).stdout.strip()
        status = systemd.run("cat", f"/proc/{pid}/status").stdout
        self.assertRegex(status, rf"Uid:\t{host.ZEXTRAS}\t")
        self.assertIn("CapBnd:\t0000000000000000\n", status)
        self.assertIn("NoNewPrivs:\t1\n", status)

    def test_a_port_that_is_taken_is_said(self):
        with socket.create_server(("127.0.0.1", 10032)):
            self.assertIn("failed with status", self.web("start", status=2))
            self.web("status", status=3)


if __name__ == "__main__":
    host.run_tests()
