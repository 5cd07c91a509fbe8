#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""zmcbpolicydctl, zmcbpolicydinit and zmcbpadmin as zmcontrol, carbonio-configd and cron call them,
and `carbonio-limits service`, which they use, on a host without systemd."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import host
from host import CBPOLICYD, CONFIG, CTL, DATABASE, HOME, LIMITS, LOG, PID_FILE, RUN, as_zextras


def ctl(*words):
    done = as_zextras(CTL, *words)
    return done.returncode, done.stdout


def service(*words):
    done = as_zextras(LIMITS, "service", *words)
    return done.returncode, done.stdout


STARTED = (0, "Starting policyd...done.\n")
STOPPED = (0, "Stopping policyd...done.\n")
MARK = HOME / "data/cbpolicyd/enabled"
RUNS = (0, "policyd is running.\n")
RUNS_NOT = (1, "policyd is not running.\n")


class Words(host.HostTest):
    def test_zmcontrols_loop(self):
        """start norewrite, status, stop; output is shown if the exit status is not 0."""
        shown = []

        def play(*words):
            status, output = ctl(*words)
            shown.append("Failed.\n" + output if status else "Done.")

        def status():
            code, output = ctl("status")
            shown.append("Running" if code == 0 else "Stopped\n\t" + output)

        play("start", "norewrite")
        status()
        play("start", "norewrite")
        play("stop")
        status()
        play("stop")
        self.assertEqual(shown, ["Done.", "Running", "Done.", "Done.",
                                 "Stopped\n\tpolicyd is not running.\n", "Done."])

    def test_words_and_exit_statuses(self):
        self.assertEqual(ctl("status"), RUNS_NOT)
        self.assertEqual(ctl("stop"), (0, "policyd is not running.\n"))
        self.assertEqual(ctl("start", "norewrite"), STARTED)
        self.assertEqual(self.ask(), "DUNNO")
        self.assertEqual(ctl("start"), (0, "policyd is already running.\n"))
        self.assertEqual(ctl("status"), RUNS)
        for word in ("restart", "reload"):
            self.assertEqual(ctl(word, "norewrite"), (0, "Restarting policyd...done.\n"))
        self.assertEqual(ctl("kill"), STOPPED)
        self.assertEqual(ctl("status"), RUNS_NOT)
        self.assertTrue(self.refused())
        usage = f"Usage: {CTL} start|stop|kill|reload|restart|status\n"
        self.assertEqual(ctl(), (1, usage))
        self.assertEqual(ctl("begin"), (1, usage))

    def test_only_zextras(self):
        for program in (CTL, HOME / "libexec/zmcbpolicydinit", HOME / "bin/zmcbpadmin"):
            done = host.run(program, "status")
            self.assertEqual((done.returncode, done.stdout),
                             (1, "Error: must be run as zextras user\n"))

    def test_a_start_makes_the_database_with_this_servers_domains(self):
        self.assertEqual(ctl("start", "norewrite"), STARTED)
        with sqlite3.connect(DATABASE) as database:
            rows = database.execute("SELECT Member FROM policy_group_members WHERE Member LIKE '@%'")
            self.assertEqual(rows.fetchall(), [("@example.net",)])

    def test_without_norewrite_configd_writes_the_configuration_first(self):
        with Configd(lambda: CONFIG.write_text(host.CBPOLICYD_CONF.replace("10031", "10032"))) as it:
            self.assertEqual(ctl("start"), STARTED)
        self.assertEqual(it.asked, ["REWRITE cbpolicyd\n"])
        if not host.has_loopback6():
            self.skipTest("this machine has no ::1")
        socket.create_connection(("::1", 10032), timeout=10).close()

    def test_a_start_works_without_configd(self):
        self.assertEqual(ctl("start"), STARTED)

    def test_service_says_the_same(self):
        self.assertEqual(service("status"), (3, "The policy daemon is not running.\n"))
        code, output = service("start")
        self.assertEqual((code, output.splitlines()[0]), (0, "Started the policy daemon."))
        self.assertIn("the service is not switched on", output)
        MARK.touch()
        self.addCleanup(MARK.unlink)
        self.assertEqual(service("start"), (0, "The policy daemon is already running.\n"))
        self.assertEqual(self.ask(), "DUNNO")
        code, output = service("status", "--json")
        state = json.loads(output)
        self.assertEqual((code, state["running"], state["ok"], state["supervised_by"]),
                         (0, True, True, "supervisor"))
        self.assertEqual({state["pid"], state["worker"]}, set(host.processes(str(CBPOLICYD))))
        self.assertIn(f"pid {state['pid']} with worker {state['worker']}", service("status")[1])
        self.assertEqual(service("reload")[0], 0)
        self.assertTrue(host.eventually(lambda: "configuration reloaded" in LOG.read_text()))
        for said in ("Stopped the policy daemon.", "The policy daemon is not running."):
            code, output = service("stop")
            self.assertEqual((code, output.splitlines()[0]), (0, said))
            self.assertIn("answers 451 to all mail until 'carbonio-limits service start'", output)
        self.assertEqual(service("reload")[0], 2)
        for wrong in ((), ("begin",), ("start", "--json"), ("start", "now")):
            self.assertEqual(service(*wrong)[0], 1, wrong)

    def test_another_user_learns_who_may(self):
        done = host.run(LIMITS, "service", "start", user="nobody", group=host.group_of("nobody"),
                        extra_groups=[])
        self.assertEqual(done.returncode, 2)
        self.assertIn("start it as zextras or as root", done.stdout)

    def test_root_starts_it_as_zextras(self):
        self.assertEqual(host.run(LIMITS, "service", "start").returncode, 0)
        for pid in host.processes(str(CBPOLICYD)):
            self.assertEqual(pathlib.Path(f"/proc/{pid}").stat().st_uid, host.ZEXTRAS)
        self.assertEqual(ctl("stop"), STOPPED)


class Configd:
    """Answers one request like the newer configd: first the answer, then the file."""

    def __init__(self, rewrite):
        self.rewrite = rewrite
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 7171))
        self.socket.settimeout(30)
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(30)
        self.socket.close()

    def serve(self):
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rw") as file:
            self.asked.append(file.readline())
            file.write("SUCCESS REWRITES COMPLETE\n")
            file.flush()
            time.sleep(0.5)  # it is slow; no test relies on this time
            self.rewrite()


class BadMoments(host.HostTest):
    def start(self):
        self.assertEqual(ctl("start", "norewrite"), STARTED)
        return int(PID_FILE.read_text())

    def stop(self):
        self.assertEqual(ctl("stop"), STOPPED)
        self.assertEqual(host.processes(str(CBPOLICYD)), {})

    def other(self, *words):
        """A process that is not ours."""
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_stale_pid_file(self):
        supervisor = self.start()
        for pid in sorted(host.processes(str(CBPOLICYD))):
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(host.eventually(lambda: not host.processes(str(CBPOLICYD))))
        self.assertEqual(int(PID_FILE.read_text()), supervisor, "it is stale")
        self.assertEqual(ctl("status"), RUNS_NOT)
        self.assertNotEqual(self.start(), supervisor)
        self.stop()
        self.assertFalse(PID_FILE.exists())

    def test_the_pid_file_names_another_process(self):
        # The word in its arguments does not make it a policy daemon.
        process = self.other("tail", "-f", "/dev/null", str(CBPOLICYD))
        PID_FILE.write_text(f"{process.pid}\n")
        PID_FILE.chmod(0o644)  # root's
        self.assertEqual(service("status"), (3, "The policy daemon is not running.\n"))
        self.assertEqual(service("stop")[0], 0)
        self.assertIsNone(process.poll())
        self.assertNotEqual(self.start(), process.pid)
        self.assertEqual(service("stop"), (0, "Stopped the policy daemon.\n"))
        self.assertIsNone(process.poll(), "no other process is ended")

    def test_a_pid_file_of_garbage(self):
        for text in ("", "no number\n", "-1\n", "0\n", "99999999999999\n"):
            with self.subTest(text):
                PID_FILE.write_text(text)
                os.chown(PID_FILE, host.ZEXTRAS, host.ZEXTRAS)
                self.assertEqual(ctl("status"), RUNS_NOT)
                self.start()
                self.stop()

    def test_two_starts_at_once(self):
        as_zextras(LIMITS, "init")
        both = [subprocess.Popen([LIMITS, "service", "start"], user="zextras", group="zextras",
                                 extra_groups=[], stdout=subprocess.PIPE, text=True)
                for _ in range(2)]
        self.assertEqual([each.communicate(timeout=60)[1] or each.returncode for each in both],
                         [0, 0])
        self.assertEqual(len(host.processes(str(CBPOLICYD))), 2, "one supervisor with one worker")
        self.assertEqual(self.ask(), "DUNNO")
        self.stop()

    def test_a_second_supervisor_says_that_it_is_the_second(self):
        first = self.start()
        done = as_zextras(CBPOLICYD, "--config", CONFIG)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"cbpolicyd: the policy daemon is already running with pid {first}", done.stdout)
        # On another port, too: there must not be two on one database.
        CONFIG.write_text(host.CBPOLICYD_CONF.replace("10031", "10032"))
        for words in ((), ("--fg",), ("--supervise",)):
            done = as_zextras(CBPOLICYD, "--config", CONFIG, *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"the policy daemon is already running with pid {first}", done.stdout)
        self.assertEqual(self.ask(), "DUNNO")
        self.stop()

    def test_the_port_is_held_by_another_daemon(self):
        holder = socket.create_server(("127.0.0.1", host.PORT))
        code, output = ctl("start", "norewrite")
        self.assertEqual(code, 1)
        self.assertEqual(output.count("\n"), 2, output)
        self.assertTrue(output.startswith("Starting policyd...failed.\ncannot listen on 127.0.0.1:"
                                          "10031: Address already in use; another program listens"))
        self.assertFalse(PID_FILE.exists())
        self.assertEqual(ctl("status"), RUNS_NOT)
        holder.close()
        self.start()
        self.stop()

    def test_run_was_emptied(self):
        RUN.rmdir()
        self.assertEqual(ctl("start", "norewrite"), STARTED)  # as a boot without tmpfiles leaves it
        self.assertEqual(ctl("status"), RUNS)
        self.assertEqual(ctl("start"), (0, "policyd is already running.\n"))
        # Once it exists again, the daemon writes its pid file.
        RUN.mkdir()
        os.chown(RUN, host.ZEXTRAS, host.ZEXTRAS)
        self.assertTrue(host.eventually(PID_FILE.exists))
        self.assertIn(int(PID_FILE.read_text()), host.processes(str(CBPOLICYD)))
        PID_FILE.unlink()
        self.assertEqual(ctl("restart", "norewrite")[0], 0)
        self.assertTrue(host.eventually(PID_FILE.exists))
        self.stop()

    def test_the_log_cannot_be_written(self):
        """Mail does not wait for that, and the system log gets the daemon's lines."""
        host.make_devices()
        self.addCleanup(subprocess.run, ["umount", "-R", "/dev"], check=True)
        log_socket = pathlib.Path("/dev/log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system_log:
            system_log.bind(str(log_socket))
            log_socket.chmod(0o666)
            system_log.settimeout(30)

            def logged(words):
                """Reads lines, among others, until one has these words; a timeout fails."""
                while words not in system_log.recv(4096).decode():
                    pass

            CONFIG.write_text(host.CBPOLICYD_CONF.replace("/log/cbp", "/no-such-folder/cbp"))
            began = time.monotonic()
            self.assertEqual(ctl("start", "norewrite"), STARTED)
            self.assertLess(time.monotonic() - began, 20, "it waited for the end of the output")
            self.assertEqual(self.ask(), "DUNNO")
            logged("ERROR: cannot open the log /opt/zextras/no-such-folder/cbpolicyd.log: No such file "
                   "or directory; logging to the system log")
            # And to the file as soon as it can be created.
            CONFIG.write_text(host.CBPOLICYD_CONF)
            self.assertEqual(service("reload")[0], 0)
            self.assertTrue(host.eventually(
                lambda: LOG.exists() and "configuration reloaded" in LOG.read_text()))
            # And back, without losing a line.
            CONFIG.write_text(host.CBPOLICYD_CONF.replace("log_file", "log_fiel"))
            self.assertEqual(service("reload")[0], 0)
            logged("configuration reloaded")
            self.assertIn("log_fiel", LOG.read_text())
            self.stop()

    def test_a_broken_configuration(self):
        supervisor = self.start()
        CONFIG.write_text(host.CBPOLICYD_CONF.replace("port=10031", "port=many"))
        for word in ("restart", "reload"):
            code, output = service(word)
            self.assertEqual((code, output.count("\n")), (2, 1))
            self.assertIn("port", output)
            self.assertIn("the running daemon keeps its configuration", output)
        self.assertEqual(self.ask(), "DUNNO")
        CONFIG.write_text(host.CBPOLICYD_CONF)
        self.assertEqual(service("restart")[0], 0)
        self.assertEqual(int(PID_FILE.read_text()), supervisor)
        self.stop()

    def test_a_restart_takes_over_a_changed_port(self):
        supervisor = self.start()
        CONFIG.write_text(host.CBPOLICYD_CONF.replace("10031", "10032"))
        self.assertEqual(service("restart"), (0, "Restarted the policy daemon.\n"))
        self.assertEqual(int(PID_FILE.read_text()), supervisor)
        self.assertTrue(self.refused())
        with host.Connection(("127.0.0.1", 10032)) as connection:
            self.assertEqual(connection.ask(), "DUNNO")
        # While the new port is taken it keeps trying.
        holder = socket.create_server(("127.0.0.1", host.PORT))
        CONFIG.write_text(host.CBPOLICYD_CONF)
        restarting = subprocess.Popen([LIMITS, "service", "restart"], user="zextras",
                                      group="zextras", extra_groups=[], stdout=subprocess.DEVNULL)
        self.assertTrue(host.eventually(lambda: len(host.processes(str(CBPOLICYD))) == 1))
        holder.close()
        self.assertEqual(restarting.wait(60), 0)
        self.assertEqual(self.ask(), "DUNNO")
        self.stop()

    def test_restart_keeps_the_sockets(self):
        supervisor = self.start()
        refusals = []
        stop = threading.Event()

        def connect():
            while not stop.is_set():
                if self.refused():
                    refusals.append(time.monotonic())

        connecting = threading.Thread(target=connect)
        connecting.start()
        try:
            for _ in range(3):
                before = set(host.processes(str(CBPOLICYD)))
                self.assertEqual(service("restart"), (0, "Restarted the policy daemon.\n"))
                after = set(host.processes(str(CBPOLICYD)))
                self.assertEqual(before & after, {supervisor})
                self.assertEqual(len(after), 2)
        finally:
            stop.set()
            connecting.join()
        self.assertEqual(refusals, [])

    def test_after_an_upgrade_the_supervisor_is_changed_too(self):
        supervisor = self.start()
        shutil.copy(CBPOLICYD, "/run/newer")
        host.mount("--bind", "/run/newer", str(CBPOLICYD))
        self.addCleanup(pathlib.Path("/run/newer").unlink)
        # The old supervisor may still run it for a moment.
        self.addCleanup(subprocess.run, ["umount", "--lazy", CBPOLICYD], check=True)
        self.addCleanup(self.clean)  # first
        self.assertEqual(service("restart"), (0, "Restarted the policy daemon.\n"))
        self.assertNotEqual(int(PID_FILE.read_text()), supervisor)
        for pid in host.processes(str(CBPOLICYD)):
            self.assertTrue(os.path.samefile(f"/proc/{pid}/exe", CBPOLICYD))
        self.assertEqual(self.ask(), "DUNNO")

    def test_configds_kill_of_all_with_the_word_ends_all(self):
        self.start()
        for pid in host.processes("cbpolicyd"):
            with contextlib.suppress(ProcessLookupError):  # ended by the supervisor's end
                os.kill(pid, signal.SIGTERM)
        self.assertTrue(host.eventually(lambda: not host.processes(str(CBPOLICYD))))
        self.assertEqual(ctl("status"), RUNS_NOT)
        self.start()

    def test_a_stuck_daemon_is_killed(self):
        supervisor = self.start()
        worker = next(pid for pid in host.processes(str(CBPOLICYD)) if pid != supervisor)
        os.kill(worker, signal.SIGSTOP)
        self.assertEqual(service("status")[0], 3, "it does not answer")
        self.stop()  # after 20 s

    def test_service_run_stays_in_the_foreground(self):
        process = subprocess.Popen([LIMITS, "service", "run"], user="zextras", group="zextras",
                                   extra_groups=[])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(host.eventually(lambda: service("status")[0] == 0))
        self.assertEqual(int(PID_FILE.read_text()), process.pid)
        self.assertEqual(service("restart")[0], 0)
        self.assertEqual(ctl("stop"), STOPPED)
        self.assertEqual(process.wait(30), 0)


class Others(host.HostTest):
    def test_zmcbpolicydinit(self):
        init = HOME / "libexec/zmcbpolicydinit"
        done = as_zextras(init)
        self.assertEqual(done.returncode, 0, done.stdout)
        again = as_zextras(init)
        self.assertEqual(again.returncode, 1)
        self.assertTrue(again.stdout.startswith("Must use -force to overwrite existing database."))
        for word in ("-force", "-f"):
            forced = as_zextras(init, word)
            self.assertEqual(forced.returncode, 0, forced.stdout)
            self.assertIn("Copied the old database", forced.stdout)
        self.assertEqual(as_zextras(init, "now").returncode, 1)

    def test_zmcbpadmin(self):
        admin = HOME / "bin/zmcbpadmin"
        as_zextras(LIMITS, "init")
        done = as_zextras(admin, "--cleanup")
        self.assertEqual((done.returncode, done.stdout), (0, ""), "the service is switched off")
        (HOME / "data/cbpolicyd/enabled").touch()
        done = as_zextras(admin, "--cleanup")
        self.assertEqual(done.returncode, 0)
        self.assertIn("quotas_tracking", done.stdout)
        self.assertEqual(as_zextras(admin).returncode, 1)
        (HOME / "data/cbpolicyd/enabled").unlink()
        ctl("start", "norewrite")
        self.assertIn("quotas_tracking", as_zextras(admin, "--cleanup").stdout)
        CONFIG.unlink()
        self.assertEqual(as_zextras(admin, "--cleanup").returncode, 1)


class Cron(host.HostTest):
    """/etc/cron.d/carbonio-limits, whose lines run as cron runs them where there is no systemd."""

    @staticmethod
    def line(command):
        text = (host.REPOSITORY / "packaging/cron.d/carbonio-limits").read_text()
        [line] = [each for each in text.splitlines()
                  if each.endswith(command) or f"{command} >" in each]
        *schedule, user, what = line.split(None, 6)
        return " ".join(schedule), user, what

    def run_line(self, command):
        _, user, what = self.line(command)
        self.assertEqual(user, "zextras")
        done = as_zextras("/bin/sh", "-c", what)
        return done.returncode, done.stdout

    def test_steps_are_taken_each_minute_while_the_service_is_on(self):
        self.assertEqual(self.line("answer --due")[0], "* * * * *")
        mark = HOME / "data/cbpolicyd/answers"
        self.addCleanup(lambda: mark.unlink(missing_ok=True))
        as_zextras(LIMITS, "init", "--no-prov")
        MARK.unlink(missing_ok=True)
        self.assertEqual(self.run_line("answer --due"), (0, ""))
        self.assertFalse(mark.exists())
        MARK.touch()
        self.assertEqual(self.run_line("answer --due"), (0, ""))
        self.assertTrue(mark.exists())

    def test_notices_are_sent_each_minute_while_they_are_on(self):
        self.assertEqual(self.line("notify --due")[0], "* * * * *")
        state = HOME / "data/cbpolicyd/notify"
        box, sbin = HOME / "log/state/box", HOME / "common/sbin"
        for folder in (box, sbin):
            folder.mkdir(exist_ok=True)
            self.addCleanup(shutil.rmtree, folder)
        os.chown(box, host.ZEXTRAS, host.ZEXTRAS)
        (sbin / "sendmail").write_text(f"#!/bin/sh\ncat >{box}/$(ls {box} | wc -l)\n")
        (sbin / "sendmail").chmod(0o755)
        self.addCleanup(lambda: (HOME / "conf/carbonio-limits.conf").unlink(missing_ok=True))
        self.addCleanup(lambda: state.unlink(missing_ok=True))
        as_zextras(LIMITS, "init", "--no-prov")
        MARK.touch()
        self.assertEqual(ctl("start", "norewrite"), STARTED)
        self.assertEqual(self.run_line("notify --due"), (0, ""))
        self.assertFalse(state.exists())
        done = as_zextras(LIMITS, "notify", "--to", "admin@example.com")
        self.assertEqual(done.returncode, 0, done.stdout)
        at = int((time.time() - 120) * 1000)
        as_zextras("sqlite3", DATABASE, "INSERT INTO limits_events (Minute, Kind, Module, RowID, "
                   f"TrackKey, Verdict, FirstSeen, LastSeen, Times) VALUES ({at // 60000}, 'refused', "
                   f"'Quotas', 4, 'Sender:anna@example.org', 'defer', {at}, {at}, 1)")
        self.assertEqual(self.run_line("notify --due"), (0, ""))
        self.assertIn("anna@example.org", (box / "1").read_text())
        self.assertEqual(self.run_line("notify --due"), (0, ""))
        self.assertEqual(len(list(box.iterdir())), 2)
        self.assertEqual(as_zextras(LIMITS, "notify", "--off").returncode, 0)
        self.assertEqual(self.run_line("notify --due"), (0, ""))

    def test_sync_runs_hourly_where_the_service_is_on(self):
        self.assertEqual(self.line("sync")[0], "23 * * * *")
        as_zextras(LIMITS, "init", "--no-prov")
        domains = "SELECT Member FROM policy_group_members WHERE Member LIKE '@%'"
        for on in (False, True):
            MARK.touch() if on else MARK.unlink(missing_ok=True)
            self.assertEqual(self.run_line("sync"), (0, ""))
            done = host.run("sqlite3", "-readonly", DATABASE, domains)
            self.assertEqual("@example.net" in done.stdout, on, done.stdout)


if __name__ == "__main__":
    host.run_tests()
