#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What doctor advises about files, the daemon and Postfix is typed as it is printed; advice_test.py
does that for rows, and fails where a problem has a test in neither. A test of a problem is named
after it: test_daemon_rules or test_daemon_rules_of_a_kind."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))

import doctor_test  # noqa: E402
import mmdb  # noqa: E402
from cluster_case import Engine  # noqa: E402
from advice_examples import insert, parts, policy  # noqa: E402
from daemon_case import bin_dir, eventually, needs_root, quota  # noqa: E402
from postfix_instance import MASTER_CF  # noqa: E402

# Tested with stand-ins for Carbonio's own programs.
ELSEWHERE = {
    "service.enabled": ("tests/carbonio/enable_test.py",
                        "test_doctor_reports_in_one_finding_that_it_is_switched_off"),
}
LIMIT = policy() + quota()


class Host(doctor_test.DoctorTest):
    def make(self, sql=LIMIT, **settings):
        super().make(sql, options={"server": {"background": "yes"}}, **settings)
        tools = self.daemon.folder / "tools"
        tools.mkdir()
        (tools / "carbonio-limits").symlink_to(bin_dir() / "carbonio-limits")
        (tools / "cbpolicyd").symlink_to(bin_dir() / "cbpolicyd")
        sbin = self.daemon.folder / "common/sbin"
        sbin.mkdir(parents=True)
        self.write_program(sbin / "postconf", 'exec /usr/sbin/postconf "$@"')
        self.write_program(sbin / "postmap", 'exec /usr/sbin/postmap "$@"')
        self.write_program(sbin / "postfix", f'echo "$@" >>{self.daemon.folder}/postfix-calls')
        self.environment = {"PATH": f"{tools}:{os.environ['PATH']}",
                            "ZEXTRAS_HOME": str(self.daemon.folder)}
        self.options = []
        self.addCleanup(self.end_background)

    def write_program(self, path, line):
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def end_background(self):
        """A daemon that a fix has started."""
        if self.daemon.process is None and self.daemon.pid_file.exists():
            subprocess.run(["carbonio-limits", "service", "stop"], env=self.environment,
                           capture_output=True, timeout=60, check=False)

    def found(self) -> dict:
        for file in (self.daemon.folder / "postfix").iterdir():
            os.utime(file, (0, 0))  # postconf waits until a file is two seconds old
        done = subprocess.run(
            ["carbonio-limits", "doctor", "--json", "--postfix-config",
             str(self.daemon.folder / "postfix"), *self.options], text=True, capture_output=True,
            timeout=60, env=self.environment)
        self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)
        found = {}
        for finding in json.loads(done.stdout)["findings"]:
            if finding["state"] == "wrong":
                found.setdefault(finding["problem"], []).append(finding)
        return found

    def type_it(self, command):
        done = subprocess.run(["bash", "-c", command], text=True, capture_output=True, timeout=90,
                              env=self.environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{command}\n{done.stdout}")

    def rows(self):
        return "".join(line for line in self.daemon.sql(".dump").replace("limits_rules_version", "")
                       .splitlines(True) if not line.startswith("INSERT INTO limits_events"))

    def try_out(self, name, typed=None, also=(), rows=True, settled=True):
        """`typed`: from a sentence to commands, or what to do instead of typing."""
        if settled:
            self.settle()
        found = self.found()
        self.assertEqual(set(found), {name, *also}, found)
        before = self.rows() if rows else None
        for finding in found[name]:
            self.assertEqual(finding["command"], typed is None, finding)
            for command in typed(finding["fix"]) if typed else [finding["fix"]]:
                self.type_it(command)
        if before is not None:
            self.assertEqual(before, self.rows())
        left = {}
        # The daemon follows a reload in a moment.
        self.assertTrue(eventually(lambda: left.update(now=self.found()) or
                                   set(left["now"]) <= set(found) - {name}, 20, 0.5), left)


class Database(Host):
    def test_database_exists(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.unlink()
        self.options = ["--database", str(self.daemon.database)]
        found = self.found()
        self.assertEqual(found["database.exists"][0]["command"], True)
        self.type_it(found["database.exists"][0]["fix"])
        self.assertNotIn("database.exists", self.found())

    def test_database_readable(self):
        self.make()
        self.daemon.stop()
        copy = self.daemon.database.with_name("copy")
        self.type_it(f"carbonio-limits backup {copy}")
        self.daemon.database.write_bytes(b"x" * 5000)
        self.try_out("database.readable",
                     lambda fix: [re.search(r"mv .* carbonio-limits init(?=,)", fix)[0],
                                  re.search(r"carbonio-limits restore COPY", fix)[0]
                                  .replace("COPY", str(copy))],
                     also=["daemon.running"], rows=False, settled=False)
        self.assertIn(("Sender:user@domain", 10), self.daemon.query(
            "SELECT Track, CounterLimit FROM quotas q JOIN quotas_limits l ON QuotasID = q.ID"))

    def test_database_readable_with_a_backup(self):
        self.make()
        self.wait_for_backup(self.daemon)
        self.daemon.stop()
        self.daemon.database.write_bytes(b"x" * 5000)
        found = self.found()
        self.type_it(re.search(r"carbonio-limits service start(?=;)",
                               found["database.readable"][0]["fix"])[0])
        self.assertTrue(eventually(lambda: set(self.found()) == {"database.replaced"}, 20, 0.5),
                        self.found())

    @needs_root
    def test_database_not_permitted(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.chmod(0)
        self.try_out("database.not_permitted", also=["daemon.running"], rows=False, settled=False)

    @needs_root
    def test_database_owner(self):
        self.make()
        self.daemon.stop()
        journal = self.daemon.database.with_name(self.daemon.database.name + "-journal")
        journal.write_bytes(b"")
        self.try_out("database.owner", also=["daemon.running"], settled=False)

    @needs_root
    def test_database_space(self):
        self.make()
        self.daemon.stop()
        small = self.daemon.folder / "data/small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "none", small],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"no file system of its own here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.daemon.sql(f"VACUUM INTO '{small / 'db'}';")
        (small / "ballast").write_bytes(bytes(30 << 20))
        for path in (small, small / "db", small / "ballast"):
            shutil.chown(path, *([self.daemon._user] if self.daemon._user else [os.geteuid()]))
        self.daemon.config.write_text(self.daemon.config.read_text().replace(
            str(self.daemon.database), str(small / "db")))
        self.try_out("database.space",
                     lambda fix: [re.search(r"df -h \S+(?=\))", fix)[0], f"rm {small}/ballast"],
                     also=["daemon.running"], settled=False)

    def test_database_replaced(self):
        self.make()
        kept = self.daemon.database.with_name(self.daemon.database.name +
                                              ".damaged-2026-11-24_12-00-00")
        kept.write_bytes(b"what was left")
        self.daemon.give_to_service_user()
        self.try_out("database.replaced", parts(r"carbonio-limits list(?=')", r"rm .*"))

    def test_database_locked(self):
        self.make()
        locker = sqlite3.connect(self.daemon.database, isolation_level=None)
        self.addCleanup(locker.close)
        locker.execute("BEGIN IMMEDIATE")
        self.try_out("database.locked", lambda fix: locker.execute("ROLLBACK") and [])

    @needs_root
    def test_database_read_only(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.chmod(0o444)
        self.try_out("database.read_only", also=["daemon.running"], settled=False)

    def test_database_schema(self):
        self.make()
        self.daemon.stop()
        self.daemon.sql("DROP TABLE quotas_tracking;")
        self.try_out("database.schema", also=["daemon.running"], rows=False, settled=False)

    def test_database_other_tables(self):
        self.make()
        other = self.daemon.database.with_name("other")
        subprocess.run(["sqlite3", other, "CREATE TABLE mine (a);"], check=True)
        self.daemon.give_to_service_user()
        self.daemon.stop()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace(str(self.daemon.database), str(other)))

        def typed(fix):
            self.assertIn(f"set DSN in {self.daemon.config} to the right file", fix)
            self.daemon.config.write_text(text)
            return parts(r"carbonio-limits service restart")(fix)
        self.try_out("database.other_tables", typed, also=["daemon.running"], rows=False,
                     settled=False)

    def test_database_taken_over(self):
        self.make()
        self.daemon.stop()
        triggers = self.daemon.query("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        self.daemon.sql("".join(f"DROP TRIGGER {name};" for [name] in triggers) +
                        "DROP TABLE limits_rules_version;"
                        "ALTER TABLE quotas_tracking DROP COLUMN State;")
        self.try_out("database.taken_over", also=["daemon.running"], rows=False, settled=False)

    def test_database_integrity(self):
        self.make()
        self.daemon.stop()
        copy = self.daemon.database.with_name("copy")
        self.type_it(f"carbonio-limits backup {copy}")
        # What the schema does not permit, as damage may leave it: a NULL.
        self.daemon.sql("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, "
                        "'Destination TEXT', 'Destination TEXT NOT NULL') WHERE name = "
                        "'policy_members'; PRAGMA writable_schema = OFF;")
        self.try_out("database.integrity",
                     lambda fix: [re.search(r"carbonio-limits restore FILE", fix)[0]
                                  .replace("FILE", str(copy))],
                     also=["daemon.running"], rows=False, settled=False)


class Notices(Host):
    def make(self, sql=LIMIT):
        super().make(sql)
        self.state = self.daemon.folder / "data/cbpolicyd/notify"
        if os.geteuid() == 0:
            owner = self.daemon.database.stat()
            os.chown(self.state.parent, owner.st_uid, owner.st_gid)
        self.mails = self.daemon.folder / "mails"
        self.write_program(self.daemon.folder / "common/sbin/sendmail",
                           f"cat >/dev/null; echo $* >>{self.mails}")
        self.mails.touch()
        self.mails.chmod(0o666)
        self.own = self.daemon.config.with_name("carbonio-limits.conf")

    def switch_on(self):
        self.type_it("carbonio-limits notify --to admin@example.org >/dev/null")

    def test_notices_off(self):
        self.make()
        text = self.own.read_text() if self.own.exists() else ""
        text += f"[notify]\nto=admin@example.org b@example.org\ncommand=/bin/cp /dev/stdin {self.mails}.2\n"
        self.own.write_text(text)
        folder = self.daemon.folder
        folder.chmod(0o777)
        self.try_out("notices.off")
        self.assertEqual(sorted(self.own.read_text().splitlines()), sorted(text.splitlines()))
        self.assertIn("-- admin@example.org b@example.org", self.mails.read_text())
        self.assertTrue(Path(f"{self.mails}.2").exists())

    def test_notices_stalled(self):
        self.make()
        self.switch_on()
        os.utime(self.state, (0, 0))
        self.try_out("notices.stalled", parts(r"carbonio-limits notify --due"))

    def test_answers_stalled(self):
        self.make(LIMIT + "UPDATE quotas SET Comment = 'then=notify' WHERE ID = "
                          "(SELECT max(ID) FROM quotas);")
        self.try_out("answers.stalled", parts(r"carbonio-limits answer --due"))
        an_hour_ago = time.time() - 3600
        os.utime(self.daemon.folder / "data/cbpolicyd/answers", (an_hour_ago, an_hour_ago))
        self.assertIn("since ", self.found()["answers.stalled"][0]["what"])
        self.try_out("answers.stalled", parts(r"carbonio-limits answer --due"))

    def test_answers_mail_log_unread(self):
        self.make(LIMIT + insert("policies", Name="carbonio-limits signal bounces 9 then notify",
                                 Priority=0, Disabled=1))
        own = self.daemon.config.with_name("carbonio-limits.conf")
        log = self.daemon.folder / "mail.log"
        log.touch()
        own.write_text(f"[block]\nmail_log={log}.1\n")
        self.type_it("carbonio-limits answer --due 2>/dev/null")

        def name_another(fix):
            key = re.search(r"mail_log=(?=FILE)", fix)[0]
            own.write_text(f"[block]\n{key}{log}\n")
            return parts(r"carbonio-limits answer --due")(fix)
        self.try_out("answers.mail_log_unread", name_another)

    def test_answers_countries_unread(self):
        self.make(LIMIT + insert("policies", Name="carbonio-limits signal countries 9 then notify",
                                 Priority=0, Disabled=1))
        self.type_it("carbonio-limits answer --due")
        file = self.daemon.folder / "countries.mmdb"
        file.write_bytes(mmdb.written({"192.0.2.0/24": "DE"}))

        def name_it(fix):
            key = re.search(r"countries=(?=FILE)", fix)[0]
            self.daemon.config.with_name("carbonio-limits.conf").write_text(
                f"[block]\n{key}{file}\n")
            return []
        self.try_out("answers.countries_unread", name_it)

    def test_notices_not_sent(self):
        self.make()
        self.switch_on()
        state = json.loads(self.state.read_text())
        state["channels"]["mail"]["problem"] = "/usr/sbin/sendmail failed with status 75: \x1b[1mfull"
        self.state.write_text(json.dumps(state))
        self.assertIn(r"status 75: \x1b[1mfull", self.found()["notices.not_sent"][0]["what"])
        self.try_out("notices.not_sent", parts(r"carbonio-limits notify --to \S+"))


class Running(Host):
    def test_daemon_no_configuration(self):
        self.make()
        self.daemon.stop()
        text = self.daemon.config.read_text()
        self.daemon.config.unlink()
        self.options = ["--database", str(self.daemon.database)]
        self.try_out("daemon.no_configuration",
                     lambda fix: self.daemon.config.write_text(text) and
                     parts(r"carbonio-limits .*service start")(fix), settled=False)

    def test_daemon_configuration(self):
        self.make()
        self.daemon.stop()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(re.sub(r"(?m)^port=.*", "port=no", text))
        self.options = ["--database", str(self.daemon.database)]
        self.try_out("daemon.configuration",
                     lambda fix: self.daemon.config.write_text(text) and
                     parts(r"carbonio-limits .*service start")(fix), settled=False)

    def test_daemon_other_driver(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.unlink()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(re.sub(r"(?m)^DSN=.*", "DSN=DBI:mysql:database=policyd;"
                                             "host=localhost", text))
        # As mysqldump prints it.
        dump = self.daemon.folder / "dump"
        dump.write_text("REPLACE INTO `policies` VALUES (6,'mine',0,NULL,0);\n"
                        "REPLACE INTO `policy_members` VALUES (6,6,'$*','any',NULL,0);\n"
                        "REPLACE INTO `quotas` VALUES (3,6,'q','Policy',60,'DEFER','x',0,NULL,0);\n"
                        "REPLACE INTO `quotas_limits` VALUES (4,3,'MessageCount',5,NULL,0);\n")
        self.write_program(self.daemon.folder / "tools/mysqldump", f"cat {dump}")
        [finding] = self.found()["daemon.other_driver"]
        self.assertIn("451", finding["why"])
        file = re.search(r"--database (\S+);", finding["fix"])[1]
        for pattern in (r"carbonio-limits init[^;]*", r"mysqldump .*\| sqlite3 \S+"):
            self.type_it(re.search(pattern, finding["fix"])[0])
        self.daemon.config.write_text(re.sub(
            r"(?m)^DSN=.*", re.search(r"DSN=DBI:SQLite:dbname=\S+", finding["fix"])[0], text))
        self.assertEqual(file, str(self.daemon.database))
        self.type_it("carbonio-limits service start")
        self.assertEqual(self.found(), {})

    def test_daemon_configuration_line(self):
        self.make()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text + "[Quotas]\nalgoritm=window\n")
        self.try_out("daemon.configuration_line",
                     lambda fix: self.daemon.config.write_text(text) and
                     parts(r"cbpolicyd --config \S+ --check-config")(fix))

    def test_daemon_quotas(self):
        self.make(modules=())
        text = self.daemon.config.read_text()

        def typed(fix):
            self.assertIn("set enable=1 in section [Quotas]", fix)
            self.daemon.config.write_text(text.replace("[Quotas]\nenable=0", "[Quotas]\nenable=1"))
            return parts(r"carbonio-limits service reload")(fix)
        self.try_out("daemon.quotas", typed)

    def test_daemon_paused(self):
        self.make()
        self.type_it("carbonio-limits pause 10min")
        self.try_out("daemon.paused")

    def test_daemon_pause_file(self):
        self.make()
        self.daemon.pid_file.with_name("cbpolicyd.pause.json").write_text("{")
        self.try_out("daemon.pause_file")

    def test_daemon_running(self):
        self.make()
        self.daemon.stop()
        self.try_out("daemon.running", settled=False)

    # Answers as the Perl daemon does, and has no status file.
    OTHER = ("import socket, sys\n"
             "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
             "print('ready', flush=True)\n"
             "while True:\n"
             "    connection, _ = server.accept()\n"
             "    connection.recv(65536)\n"
             "    connection.sendall(b'action=DUNNO\\n\\n')\n")

    def run_another(self, name):
        script = self.daemon.folder / name
        script.write_text(self.OTHER)
        other = subprocess.Popen(["perl", script, str(self.daemon.port), "--config",
                                  self.daemon.config], executable=sys.executable,
                                 env={**os.environ, "PYTHONHOME": sys.base_prefix},
                                 stdout=subprocess.PIPE)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.addCleanup(other.stdout.close)
        self.assertEqual(other.stdout.readline(), b"ready\n")
        return other

    def test_daemon_other_program(self):
        self.make(start=False)
        other = self.run_another("cbpolicyd")
        self.daemon.pid_file.write_text(f"{other.pid}\n")
        self.daemon.give_to_service_user()
        found = self.found()
        self.assertEqual(set(found), {"daemon.other_program"}, found)
        threading.Thread(target=other.wait, daemon=True).start()  # no zombie
        self.type_it(found["daemon.other_program"][0]["fix"])
        self.assertEqual(self.found(), {})

    def test_daemon_foreign_program(self):
        self.make(start=False)
        other = self.run_another("other")

        def typed(fix):
            self.assertIn("'ss -ltnp'", fix)
            other.kill()
            other.wait()
            return parts(r"carbonio-limits service start")(fix)
        self.try_out("daemon.foreign_program", typed, settled=False)

    def test_daemon_answers(self):
        self.make()
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.daemon.process and self.daemon.process.send_signal(signal.SIGCONT))
        found = self.found()
        self.assertEqual(set(found), {"daemon.answers"})
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon.process = None
        self.type_it(found["daemon.answers"][0]["fix"])
        self.assertEqual(self.found(), {})

    def test_daemon_rules(self):
        self.make()
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.daemon.sql("UPDATE quotas SET Period = 61;")
        found = self.found()
        self.assertEqual(set(found), {"daemon.answers", "daemon.rules"})
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon.process = None
        self.type_it(found["daemon.rules"][0]["fix"])
        self.assertEqual(self.found(), {})

    def test_daemon_requests(self):
        self.make()
        self.daemon.ask(client_address="nonsense")
        self.assertTrue(eventually(lambda: "daemon.requests" in self.found(), 10))
        found = self.found()["daemon.requests"]
        self.daemon.stop()
        for command in parts(r"carbonio-limits service restart")(found[0]["fix"]):
            self.type_it(command)
        self.assertEqual(self.found(), {})

    def test_daemon_trouble(self):
        self.make()
        locker = sqlite3.connect(self.daemon.database, isolation_level=None)
        self.addCleanup(locker.close)
        locker.execute("BEGIN IMMEDIATE")
        self.daemon.ask()
        self.assertTrue(eventually(lambda: "daemon.trouble" in self.found()))
        self.try_out("daemon.trouble", lambda fix: locker.execute("ROLLBACK") and [],
                     also=["database.locked"], rows=False)

    def test_daemon_database(self):
        self.make()
        other = self.daemon.database.with_name("other.sqlitedb")
        self.daemon.sql(f"VACUUM INTO '{other}';")
        self.daemon.give_to_service_user()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace(str(self.daemon.database), str(other)))
        found = self.found()
        self.assertEqual(set(found), {"daemon.database"})
        self.daemon.stop()
        self.type_it(found["daemon.database"][0]["fix"])
        self.assertEqual(self.found(), {})

    def test_daemon_modules(self):
        self.make()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace("[Greylisting]\nenable=0",
                                                   "[Greylisting]\nenable=1"))
        self.try_out("daemon.modules")

    @needs_root
    def test_daemon_log(self):
        self.make()
        self.daemon.ask()
        os.chown(self.daemon.log_file, 0, 0)
        self.try_out("daemon.log")

    @needs_root
    def test_daemon_log_lines(self):
        self.make()
        folder = self.daemon.log_file.parent
        disk = ["mount", "-t", "tmpfs", "-o", "size=16k,mode=0777", "tmpfs", folder]
        if subprocess.run(disk, capture_output=True).returncode != 0:
            self.skipTest("cannot mount a tmpfs here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        (folder / "ballast").write_bytes(b"x" * 16384)
        self.daemon.process.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: self.daemon.ask() and
                                   "daemon.log_lines" in self.found(), 30))
        found = self.found()["daemon.log_lines"][0]
        self.assertIn(f"df -h {folder}", found["fix"])
        self.type_it(f"df -h {folder}")
        (folder / "ballast").unlink()
        self.assertTrue(eventually(lambda: self.daemon.ask() and not self.found(), 30))

    @needs_root
    def test_daemon_pid_file(self):
        self.make()
        self.daemon.ask()
        os.chown(self.daemon.pid_file.parent, 0, 0)
        self.try_out("daemon.pid_file")


class Postfix(Host):
    """Each smtpd of the configuration has smtpd_recipient_restrictions of its own but the first."""

    def edit(self, pattern, replacement, **more):
        self.write_postfix(lambda text: re.sub(pattern, replacement, text), **more)

    def cure(self, name, count, also=()):
        """Types the fixes one after another."""
        found = self.found()
        self.assertEqual(set(found), {name, *also}, found)
        self.assertEqual(len(found[name]), count, found)
        for finding in found[name]:
            self.assertTrue(finding["command"])
            self.type_it(finding["fix"])
        self.assertEqual(set(self.found()), set(also))
        self.assertIn("reload", (self.daemon.folder / "postfix-calls").read_text())

    def main_cf(self):
        return (self.daemon.folder / "postfix/main.cf").read_text()

    def test_postfix_never_asks(self):
        self.make()
        self.edit(r"check_policy_service inet:localhost:\d+,", "")
        self.cure("postfix.never_asks", 3)
        master = (self.daemon.folder / "postfix/master.cf").read_text()
        self.assertEqual(master.count("check_policy_service"), 2)

    def test_postfix_never_asks_where_master_cf_overrides_it(self):
        self.make()
        self.write_postfix(master=MASTER_CF.replace(
            "  -o smtpd_recipient_restrictions=\n",
            "  -o smtpd_recipient_restrictions=\n  -o smtpd_sender_restrictions=permit\n", 1))
        main = self.main_cf()
        self.cure("postfix.never_asks", 1, also=["postfix.senders"])
        self.assertEqual(self.main_cf(), main)

    def test_postfix_asks_another(self):
        self.make()
        self.edit(r"inet:localhost:\d+", "inet:localhost:9")
        self.cure("postfix.asks_another", 3)
        self.assertIn("inet:localhost:9", self.main_cf())

    def test_postfix_permits(self):
        self.make()
        self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = (check_policy_service \S+,)",
                  r"\1 = permit_mynetworks, \2")
        self.cure("postfix.permits", 3)

    def test_postfix_permits_by_a_map(self):
        self.make()
        friends = self.daemon.folder / "friends"
        friends.write_text("# friends\n192.0.2.0/24\tOK\n")
        self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = (check_policy_service \S+,)",
                  rf"\1 = check_client_access cidr:{friends}, \2")
        [*found] = self.found()["postfix.permits"]
        self.assertIn(f"check_client_access cidr:{friends}", found[0]["what"])
        friends.write_text("192.0.2.0/24\tREJECT\n")
        self.assertEqual(self.found(), {})
        friends.write_text("192.0.2.0/24\tOK\n")
        self.cure("postfix.permits", 3)

    def states(self):
        done = subprocess.run(
            ["carbonio-limits", "doctor", "--json", "--postfix-config",
             str(self.daemon.folder / "postfix")], text=True, capture_output=True, timeout=60,
            env=self.environment)
        return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}

    def test_a_map_that_cannot_be_read(self):
        self.make()
        self.assertEqual(self.states()["postfix.asks"]["state"], "ok")
        for map_ in ("ldap:/none.cf", "unionmap:{static:OK}", "pipemap:{static:OK}",
                     "texthash:/none/at/all"):
            with self.subTest(map_):
                self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = (check_policy_service \S+,)",
                          rf"\1 = check_client_access {map_}, \2")
                found = self.states()
                self.assertNotIn("postfix.asks", found)
                self.assertEqual(found["postfix.maps"]["state"], "not checked")
                self.assertIn(f"check_client_access {map_}", found["postfix.maps"]["what"])
        # After the check it does no harm.
        self.edit(r"(smtpd_(?:sender|recipient)_restrictions = check_policy_service \S+,)",
                  r"\1 check_client_access ldap:/none.cf,")
        self.assertEqual(self.states()["postfix.asks"]["state"], "ok")

    def test_maps_that_permit_in_other_ways(self):
        self.make()
        friends = self.daemon.folder / "friends"
        friends.write_text("192.0.2.1 friends\n")
        for map_ in (f"proxy:texthash:{friends}", "cidr:{{0.0.0.0/0 OK}}", "pcre:{{/./ PERMIT}}"):
            with self.subTest(map_):
                self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = (check_policy_service \S+,)",
                          rf"\1 = check_client_access {map_}, \2")
                with (self.daemon.folder / "postfix/main.cf").open("a") as main_cf:
                    main_cf.write("smtpd_restriction_classes = friends\nfriends = permit\n")
                [*found] = self.found()["postfix.permits"]
                self.assertIn(map_, found[0]["what"])

    def test_postfix_asks_early(self):
        self.make()
        self.edit(r"smtpd_recipient_restrictions = check_policy_service \S+,",
                  "smtpd_delay_reject = no\nsmtpd_recipient_restrictions =")
        self.cure("postfix.asks_early", 3)

    def test_postfix_only_warns(self):
        self.make()
        self.edit(r"check_policy_service (\S+),", r"warn_if_reject check_policy_service \1,")
        self.edit(r"(smtpd_\w+_restrictions =) check_policy_service (\S+),",
                  r"\1 warn_if_reject check_policy_service \2,")
        self.cure("postfix.only_warns", 3)

    def test_postfix_unknown_word(self):
        self.make()
        check = f"check_policy_service inet:localhost:{self.daemon.port},"
        for words in ("\u201ccheck_policy_service inet:\\1\u201d", "check_policy_service=inet:\\1",
                      "check_policy_service:inet:\\1", "check_policy_servce inet:\\1",
                      "check-policy-service inet:\\1", "check_policy_service \\1"):
            with self.subTest(words):
                self.edit(r"check_policy_service inet:(localhost:\d+),", words + ",")
                self.cure("postfix.unknown_word", 3)
                self.assertEqual(
                    re.findall(r"(?m)^smtpd_(?:sender|recipient)_restrictions = (.*)",
                               self.main_cf()),
                    [f"{check} reject_sender_login_mismatch, permit_mynetworks, permit",
                     f"{check} permit_sasl_authenticated, permit_mynetworks, "
                     "reject_unauth_destination, permit"])

    def test_postfix_unknown_word_where_another_comes_first(self):
        self.make()
        self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = check_policy_service (\S+),",
                  r"\1 = permit_mynetworks, check-policy-service \2,")
        found = self.found()
        self.assertEqual(set(found), {"postfix.unknown_word", "postfix.permits"})
        for findings in found.values():
            for finding in findings:
                self.type_it(finding["fix"])
        self.assertEqual(self.found(), {})

    def test_a_word_of_postfix_that_takes_guessing(self):
        self.make()
        self.edit("smtpd_sender_restrictions = ", "smtpd_sender_restrictions = reject_\u00fcnknown, ")
        found = self.found()
        self.assertEqual(set(found), {"postfix.unknown_word"})
        [finding] = found["postfix.unknown_word"]
        self.assertFalse(finding["command"])
        self.assertIn("reject_\u00fcnknown", finding["what"])

    def test_a_restriction_class_that_asks(self):
        self.make()
        self.edit(r"(?s)\Z", "smtpd_restriction_classes = limits\n"
                  f"limits = check_policy_service inet:localhost:{self.daemon.port}\n")
        text = self.main_cf()
        (self.daemon.folder / "postfix/main.cf").write_text(re.sub(
            r"(smtpd_\w+_restrictions =) check_policy_service \S+,", r"\1 limits,", text))
        self.assertEqual(self.found(), {})

    def test_postfix_end_of_data(self):
        self.make(policy() + quota(1000, "MessageCumulativeSize"))
        self.edit(r"smtpd_end_of_data_restrictions = .*", "smtpd_end_of_data_restrictions =")
        self.cure("postfix.end_of_data", 1)

    def test_postfix_delimiter(self):
        self.make()
        for value in ("+", "=#'", ""):
            with self.subTest(value):
                self.edit(r"(?s)(recipient_delimiter = .*)?\Z", f"recipient_delimiter = {value}\n")
                self.try_out("postfix.delimiter")

    def test_postfix_delimiter_that_is_not_supported(self):
        self.make()
        self.edit(r"(?s)\Z", "recipient_delimiter = x\n")
        [finding] = self.found()["postfix.delimiter"]
        self.assertFalse(finding["command"])
        self.assertIn("'x'", finding["fix"])

    def test_postfix_origin(self):
        self.make()
        mailname = self.daemon.folder / "mailname"
        mailname.write_text("Mine.Example\n")
        for value in ("mine.example", "$mydomain", mailname):
            with self.subTest(value):
                self.edit("myorigin =", f"myorigin = {value}")
                self.try_out("postfix.origin")

    def test_postfix_delimiter_of_no_interest(self):
        self.make("DELETE FROM quotas_limits; DELETE FROM quotas;" + policy() + quota(track="Sender:@domain"))
        self.edit(r"(?s)\Z", "recipient_delimiter = +\n")
        self.assertEqual(self.found(), {})

    LOGINS = "smtpd_sasl_auth_enable = yes\n"

    def all_limits(self):
        return json.loads(self.daemon.command("list", "--json").stdout)["limits"]

    def other_limits(self):
        return [limit for limit in self.all_limits() if limit["per"] != "account"]

    def test_postfix_null_sender(self):
        self.make("")
        self.type_it("carbonio-limits send '7/min,100 messages/h' --verdict reject; "
                     "carbonio-limits receive 9/h --per user")
        self.edit(r"(?s)\Z", self.LOGINS)
        before = self.other_limits()
        self.try_out("postfix.null_sender", rows=False)
        self.assertEqual(self.other_limits(), before)
        [made] = [limit for limit in self.all_limits() if limit["per"] == "account"]
        self.assertEqual([made[key] for key in ("limit", "verdict")],
                         [before[-2][key] for key in ("limit", "verdict")])

    def test_postfix_null_sender_of_a_limit_by_domain(self):
        self.make("")
        self.type_it("carbonio-limits send 30/h --per domain")
        self.edit(r"(?s)\Z", self.LOGINS)
        before = self.other_limits()
        self.try_out("postfix.null_sender",
                     lambda fix: [re.search("carbonio-limits send LIMIT --per account", fix)[0]
                                  .replace("LIMIT", "30/h")], rows=False)
        self.assertEqual(self.other_limits(), before)

    def test_postfix_null_sender_where_some_have_limits_of_their_own(self):
        self.make("")
        self.type_it("carbonio-limits send 7/h; carbonio-limits send 70/h --user news@mine.example")
        self.edit(r"(?s)\Z", self.LOGINS)
        self.try_out("postfix.null_sender",
                     lambda fix: [re.search("carbonio-limits send LIMIT --per account", fix)[0]
                                  .replace("LIMIT", "7/h"),
                                  re.search("carbonio-limits send LIMIT --login NAME", fix)[0]
                                  .replace("LIMIT --login NAME", "70/h --login news@mine.example")],
                     rows=False)

    def test_postfix_null_sender_that_is_counted_or_refused(self):
        self.make()
        self.edit(r"smtpd_sender_restrictions = (check_policy_service \S+),",
                  self.LOGINS + r"smtpd_sender_restrictions = \1, "
                  "check_sender_access inline:{<>=REJECT},")
        self.assertEqual(self.found(), {})
        self.edit(r"(?s)\Z", self.LOGINS)
        self.assertEqual(list(self.found()), ["postfix.null_sender"])
        self.type_it("carbonio-limits send 3/h --per login --verdict none")
        self.assertEqual(list(self.found()), ["postfix.null_sender"])
        self.type_it("carbonio-limits send 5/h --per login --verdict reject")
        self.assertEqual(self.found(), {})

    def test_postfix_senders(self):
        self.make()
        self.edit("reject_sender_login_mismatch,", "")
        self.try_out("postfix.senders",
                     lambda fix: [re.search("carbonio-limits send LIMIT --per account", fix)[0]
                                  .replace("LIMIT", "50/h")], rows=False)


class Cluster(Host):
    """The table limits_cluster comes with it, so rows are not compared."""

    def setUp(self):
        super().setUp()
        self.engine = Engine()
        self.addCleanup(self.engine.remove)

    def make(self, *words, **more):
        super().make(*words, **more)
        self.addCleanup(lambda: self.daemon.command("service", "stop", check=False))

    def set(self):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            f"[cluster]\nurl={self.engine.url}\nnode=mta1\n")

    def reported(self):
        return json.loads(self.daemon.status_file.read_text())["cluster"]

    def join(self):
        self.type_it(f"carbonio-limits cluster join {self.engine.url} --node mta1")

    def restart(self, trouble):
        self.set()
        self.type_it("carbonio-limits service restart")
        self.assertTrue(eventually(lambda: trouble in (self.reported() or {}).get("trouble", "")))

    def test_cluster_engine_not_in_force(self):
        self.make()
        self.set()
        self.try_out("cluster.engine", rows=False)
        self.assertTrue(self.reported()["sharing"])

    def test_cluster_engine_that_is_down(self):
        self.make()
        self.join()
        self.engine.kill()
        self.assertTrue(eventually(lambda: not self.reported()["sharing"]))

        def start(fix):
            self.assertIn("start Redis there", fix)
            self.engine.start()
            return []
        self.try_out("cluster.engine", start, rows=False)

    def two(self):
        self.make()
        other = self.make_daemon(doctor_test.OWN_GROUPS + policy() + quota(77), options={
            "cluster": {"url": self.engine.url, "node": "mta2"}})
        other.wait_for_log("published the rules of this host as version 1 of the cluster's")
        self.restart("other rules")
        return other

    def limits_of(self, daemon):
        return daemon.query("SELECT CounterLimit FROM quotas_limits ORDER BY ID")

    def test_cluster_rules_taken(self):
        other = self.two()
        self.try_out("cluster.rules",
                     lambda fix: [re.search(r"carbonio-limits \S+ \S+ --take-theirs", fix)[0]],
                     rows=False)
        self.assertEqual(self.limits_of(self.daemon), self.limits_of(other))
        self.assertIn((77,), self.limits_of(other))

    def test_cluster_rules_given(self):
        other = self.two()
        self.try_out("cluster.rules",
                     lambda fix: [re.search(r"carbonio-limits \S+ \S+ --give-ours", fix)[0]],
                     rows=False)
        self.assertTrue(eventually(
            lambda: self.limits_of(self.daemon) == self.limits_of(other)))
        self.assertNotIn((77,), self.limits_of(other))

    def test_cluster_memory(self):
        self.make()
        self.join()
        self.engine.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.try_out("cluster.memory",
                     lambda fix: [re.search(r"redis-cli .*", fix)[0] + " >/dev/null"], rows=False)
        self.assertIn("noeviction", self.engine.ask("CONFIG", "GET", "maxmemory-policy"))

    def test_cluster_memory_of_an_engine_with_passwords(self):
        self.make()
        self.engine.ask("ACL", "SETUSER", "mta", "on", ">secret", "~*", "+@all", "-config")
        self.type_it(f"echo secret | carbonio-limits cluster join redis://mta@127.0.0.1:{self.engine.port} "
                     "--node mta1 --password-stdin")
        self.engine.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.engine.ask("CONFIG", "SET", "requirepass", "administrator")
        self.try_out("cluster.memory",
                     lambda fix: ["echo administrator | " + re.search(r"redis-cli .*", fix)[0] + " >/dev/null"],
                     rows=False)
        self.assertIn("noeviction", self.engine.ask("--no-auth-warning", "-a", "administrator",
                                                    "CONFIG", "GET", "maxmemory-policy"))

    def test_cluster_clock(self):
        """As a daemon on such a host reports it, whose process is another here."""
        self.make()
        self.join()
        self.settle()
        status = json.loads(self.daemon.status_file.read_text())
        self.type_it("carbonio-limits service stop")
        process = subprocess.Popen(["sleep", "600"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        status |= {"pid": process.pid, "process_start": int(fields[19])}

        def report(ahead):
            status["cluster"]["clock_ahead"] = ahead
            self.daemon.status_file.write_text(json.dumps(status))

        for ahead, words in ((5.0, None), (-5.0, None), (7.0, "7 s fast"), (-3600, "3600 s slow")):
            report(ahead)
            found = self.found()
            self.assertEqual("cluster.clock" in found, words is not None, found)
            if words:
                self.assertIn(words, found["cluster.clock"][0]["what"])
        self.try_out("cluster.clock", lambda fix: [self.assertIn("NTP", fix), report(0.1)][:0],
                     also=("daemon.answers",), rows=False, settled=False)

    def carbonio(self, *hosts):
        """A stand-in that lists these MTA hosts."""
        programs = self.daemon.folder / "bin"
        programs.mkdir(exist_ok=True)
        self.write_program(programs / "carbonio", "while read -r line; do printf 'prov> '; printf "
                           f"'%s\\n' {' '.join(hosts)}; done; printf 'prov> '")
        (self.daemon.config.with_name("localconfig.xml")).write_text(
            "<localconfig><key name='zimbra_user'><value>"
            f"{self.daemon.database.owner()}</value></key></localconfig>")

    def test_cluster_alone(self):
        self.make()
        self.carbonio("mta1.example.com")
        self.assertNotIn("cluster.alone", self.found())
        self.carbonio("mta1.example.com", "mta2.example.com")
        [finding] = self.found()["cluster.alone"]
        self.assertEqual(finding["what"],
                         "mta1.example.com and mta2.example.com are MTAs, and each counts alone")
        self.assertIn("2 times a limit passes", finding["why"])
        self.try_out("cluster.alone",
                     lambda fix: [re.search(r"carbonio-limits cluster join \S+", fix)[0].replace(
                         "redis://HOST", self.engine.url)], rows=False)


if __name__ == "__main__":
    unittest.main()
