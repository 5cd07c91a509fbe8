# SPDX-License-Identifier: AGPL-3.0-only
"""cbpolicyd as a program: options, exit status, user, sockets, detaching to the background, and
configuration errors in one line."""

import grp
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

from daemon_case import (
    ALICE, Connection, Daemon, DaemonTest, always, article, bin_dir, eventually, lasting, needs_root,
    policy, quota)


def run(*arguments, user=None, environment=None) -> subprocess.CompletedProcess:
    """The program to its end; both pipes must come to theirs."""
    return subprocess.run([bin_dir() / "cbpolicyd", *map(str, arguments)], text=True, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, user=user,
                          env={**os.environ, **(environment or {})})


class UnixSocketDaemon(Daemon):
    """It listens on a socket file in a folder of its own, into which any user may look."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.socket_file = self.folder / "run/policy.socket"
        text = self.config.read_text().replace(f"port={self.port}\n",
                                               f"proto=unix\nport={self.socket_file}\n")
        self.config.write_text(text)

    @property
    def address(self):
        return self.socket_file


class ProgramTest(DaemonTest):
    def assert_one_line(self, done, status, *words):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(str(word), done.stderr)

    def check(self, daemon):
        return run("--check-config", "--config", daemon.config)

    def edit(self, daemon, old, new):
        text = daemon.config.read_text()
        self.assertIn(old, text)
        daemon.config.write_text(text.replace(old, new))


class Options(ProgramTest):
    def test_help(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("--config", "--fg", "-fg", "--debug", "--check-config", "--version",
                       "--zextras-home"):
            self.assertIn(option, done.stdout)

    def test_version(self):
        done = run("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^cbpolicyd .*\d+\.\d+\.\d+\n$")

    def test_wrong_use_is_exit_1(self):
        for arguments in (["--nonsense"], ["--config"], ["-x"], ["something"], ["--fg=yes"],
                          ["--conf", "x"]):
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual(done.returncode, 1)
                self.assertNotEqual(done.stderr, "")

    def test_each_spelling_starts_it(self):
        for arguments in (["--config", "{}", "-fg"], ["--config={}", "-fg"], ["--config={}"],
                          ["--fg", "--config", "{}"]):
            with self.subTest(arguments=arguments):
                daemon = self.make_daemon(start=False)
                words = [word.format(daemon.config) for word in arguments]
                with open(daemon.output_file, "wb") as output:
                    daemon.process = subprocess.Popen([bin_dir() / "cbpolicyd", *words],
                                                      stdin=subprocess.DEVNULL, stdout=output,
                                                      stderr=output)
                self.assertTrue(eventually(lambda: self.answers(daemon), 60))

    def answers(self, daemon):
        try:
            return daemon.ask() == "DUNNO"
        except OSError:
            return False


class CheckConfig(ProgramTest):
    def test_a_good_one(self):
        daemon = self.make_daemon(start=False)
        self.assertEqual(self.check(daemon).returncode, 0)
        self.assertFalse(daemon.log_file.exists(), "it only reads the configuration")

    def test_it_works_while_the_daemon_runs(self):
        daemon = self.make_daemon()
        self.assertEqual(self.check(daemon).returncode, 0)
        self.assert_serving(daemon)

    def test_what_does_not_fit_this_host_is_a_warning(self):
        for old, new, words in [
            ("[Quotas]\nenable=1", "[Quotas]\nenable=0", ("no module is enabled", "[Quotas]")),
            ("log_mail=main", "log_mail=mail@syslog:udp,192.0.2.1",
             ("log_mail", "is not supported; mail is logged to the system log")),
            ("log_mail=main", "log_mail=somewhere", ("mail is logged to log_file",)),
            ("DSN=DBI:SQLite:dbname=", "DSN=DBI:SQLite:dbname=/no/such", ("folder /no/such",)),
        ]:
            with self.subTest(new):
                daemon = self.make_daemon(start=False)
                self.edit(daemon, old, new)
                done = self.check(daemon)
                self.assertEqual(done.returncode, 0)
                for word in words:
                    self.assertIn(word, done.stdout)
                self.assertIn("warning", done.stdout)

    def test_what_keeps_it_from_starting_is_an_error(self):
        for old, new, words in [
            ("[database]\n", "user=nobodyx\n[database]\n", ("user 'nobodyx' does not exist",)),
            ("[database]\n", "group=nobodyx\n[database]\n", ("group 'nobodyx' does not exist",)),
            ("host=localhost", "host=no-such-host.invalid",
             ("host 'no-such-host.invalid'", "set host to localhost")),
        ]:
            with self.subTest(new):
                daemon = self.make_daemon(start=False)
                self.edit(daemon, old, new)
                done = self.check(daemon)
                self.assertEqual(done.returncode, 2)
                for word in ("error: ", "does not start", *words):
                    self.assertIn(word, done.stdout)
                started = run("--config", daemon.config, "--fg")
                self.assertEqual(started.returncode, 2, "the check says what happens")

    def test_an_unknown_key_is_a_warning_with_the_nearest(self):
        daemon = self.make_daemon(start=False)
        ours = daemon.config.with_name("carbonio-limits.conf")
        ours.write_text("[Quotas]\nalgoritm=decay\n")
        done = self.check(daemon)
        self.assertEqual(done.returncode, 0)
        for word in ("algoritm", "algorithm", "carbonio-limits.conf"):
            self.assertIn(word, done.stdout + done.stderr)

    def test_what_is_wrong_is_one_line_with_file_and_line(self):
        for old, new, words in [
            ("log_level=3", "log_level=loud", ("log_level", "loud")),
            ("bypass_mode=tempfail", "bypass_mode=maybe", ("bypass_mode", "maybe")),
            ("bypass_timeout=30", "bypass_timeout=soon", ("bypass_timeout", "soon")),
            ("timeout_idle=1020", "timeout_idle=-1", ("timeout_idle", "-1")),
            ("host=localhost", "host=localhost\nproto=pigeon", ("proto", "pigeon")),
            ("log_mail=main", "some nonsense", ("some nonsense",)),
            ("[database]", "[database", ("[database",)),
            ("[Quotas]\n", "[Quotas]\nalgorithm=magic\n", ("window", "decay", "magic")),
            ("DSN=DBI:SQLite:dbname=", "DSN=DBI:mysql:database=", ("DSN", "SQLite")),
        ]:
            with self.subTest(new=new):
                daemon = self.make_daemon(start=False)
                self.edit(daemon, old, new)
                lines = daemon.config.read_text().splitlines()
                number = next(at for at, line in enumerate(lines, 1)
                              if line.startswith(new.splitlines()[-1]))
                self.assert_one_line(self.check(daemon), 2, f"{daemon.config}:{number}", *words)


class CheckCluster(ProgramTest):
    """Of [cluster]: what would have this host count alone is a warning, one line each."""

    def warnings(self, daemon, **keys):
        daemon.config.with_name("carbonio-limits.conf").write_text(
            "[cluster]\n" + "".join(f"{name}={value}\n" for name, value in keys.items()))
        done = self.check(daemon)
        self.assertEqual(done.returncode, 0, done.stdout)
        return [line for line in done.stdout.splitlines() if line.startswith("warning: ")]

    def password_file(self, daemon, text="secret\n", mode=0o640):
        file = daemon.database.with_name("redis password")
        file.write_text(text)
        file.chmod(mode)
        daemon.give_to_service_user()
        return file

    def test_good_ones(self):
        daemon = self.make_daemon(start=False)
        for url in ("redis://a,b:7000/3", "sentinel://s1,s2/mymaster", "unix:///run/redis.sock"):
            self.assertEqual(self.warnings(daemon, url=url, node="mta1", without="local",
                                           password_file=self.password_file(daemon), prefix="x:"), [])
        self.assertEqual(self.warnings(daemon), [])

    def test_a_url_that_is_none(self):
        daemon = self.make_daemon(start=False)
        for url, words in (("http://redis1", "redis://[USER@]HOST"), ("redis1", "redis://[USER@]HOST"),
                           ("redis://", "not a valid"), ("redis://a:0", "'0'"),
                           ("redis://a/x", "not a valid"), ("sentinel://a", "not a valid"),
                           ("rediss://a", "TLS is not supported"),
                           ("redis://:secret@a", "password_file")):
            with self.subTest(url):
                (line,) = self.warnings(daemon, url=url)
                self.assertIn("url in [cluster], without which this host counts alone: ", line)
                self.assertIn(words, line)
                self.assertNotIn("secret", line)

    def test_a_password_that_cannot_be_used(self):
        daemon = self.make_daemon(start=False)
        for file, words in (("/nonexistent/x", "write the password into it"),
                            (self.password_file(daemon, "\n"), "its first line is empty"),
                            (daemon.folder, "it is not a file")):
            with self.subTest(file):
                (line,) = self.warnings(daemon, url="redis://a", password_file=file)
                self.assertIn(f"this host counts alone: cannot use password_file {file}: ", line)
                self.assertIn(words, line)
        file = self.password_file(daemon, mode=0o644)
        (line,) = self.warnings(daemon, url="redis://a", password_file=file)
        subprocess.run(line.partition("run: ")[2], shell=True, check=True)
        self.assertEqual(self.warnings(daemon, url="redis://a", password_file=file), [])

    @needs_root
    def test_a_password_that_the_daemons_user_cannot_read(self):
        daemon = self.make_daemon(start=False)
        file = self.password_file(daemon)
        os.chown(file, 0, 0)
        (line,) = self.warnings(daemon, url="redis://a", password_file=file)
        self.assertIn("let the daemon's user read it", line)

    def test_two_wrong_values_are_two_lines(self):
        self.assertEqual(len(self.warnings(self.make_daemon(start=False), url="x",
                                           password_file="/nonexistent/x")), 2)

    def test_keys_without_a_url(self):
        daemon = self.make_daemon(start=False)
        for key, value in (("node", "mta1"), ("without", "defer"), ("password_file", "/x"),
                           ("timeout", "51"), ("prefix", "x:")):
            with self.subTest(key):
                (line,) = self.warnings(daemon, **{key: value})
                self.assertIn("[cluster] has no url, so this host counts alone; set "
                              "url=redis://HOST", line)

    def test_other_wrong_values_keep_the_daemon_from_starting(self):
        for key, value, allowed in (("node", "mta 1", "hyphens"), ("without", "pass", "share"),
                                    ("password_file", "secret", "an absolute path"),
                                    ("timeout", "4", "5 to 5000 ms"),
                                    ("timeout", "5001", "5 to 5000 ms"),
                                    ("prefix", "a b", "64 ASCII characters")):
            with self.subTest(key):
                daemon = self.make_daemon(start=False)
                ours = daemon.config.with_name("carbonio-limits.conf")
                ours.write_text(f"[cluster]\nurl=redis://a\n{key}={value}\n")
                self.assert_one_line(self.check(daemon), 2, f"{ours}:3", key, allowed)


class BadStart(ProgramTest):
    def start(self, daemon):
        return run("--config", daemon.config, "--fg")

    def test_a_missing_configuration(self):
        done = run("--config", "/nonexistent/cbpolicyd.conf", "--fg")
        self.assert_one_line(done, 2, "/nonexistent/cbpolicyd.conf")

    def test_a_missing_default_configuration(self):
        done = run("--fg", "--zextras-home", "/nonexistent")
        self.assert_one_line(done, 2, "/nonexistent/conf/cbpolicyd.conf")
        done = run("--fg", environment={"ZEXTRAS_HOME": "/nonexistent"})
        self.assert_one_line(done, 2, "/nonexistent/conf/cbpolicyd.conf")

    def test_a_folder_is_no_configuration(self):
        daemon = self.make_daemon(start=False)
        self.assert_one_line(run("--config", daemon.folder, "--fg"), 2, daemon.folder)

    def test_a_port_that_is_none(self):
        for port in ("ten", "0x50", "65536", "-1"):
            with self.subTest(port=port):
                daemon = self.make_daemon(start=False)
                self.edit(daemon, f"port={daemon.port}\n", f"port={port}\n")
                self.assert_one_line(self.start(daemon), 2, daemon.config, "port")

    def test_an_address_that_is_not_of_this_machine(self):
        for background in ("no", "yes"):
            daemon = self.make_daemon(start=False, host="192.0.2.77",
                                      options={"server": {"background": background}})
            self.assert_one_line(run("--config", daemon.config), 2, "192.0.2.77")

    def test_a_here_document_without_an_end(self):
        daemon = self.make_daemon(start=False)
        self.edit(daemon, "Quotas\nEOT\n", "Quotas\n")
        self.assert_one_line(self.start(daemon), 2, daemon.config, "EOT")

    def test_a_port_in_use(self):
        daemon = self.make_daemon()
        other = self.make_daemon(start=False, port=daemon.port)
        for background in ("no", "yes"):
            with self.subTest(background=background):
                self.edit(other, "background=", f"background={background}\n#")
                done = run("--config", other.config)
                self.assert_one_line(done, 2, daemon.port)
        self.assertFalse(other.pid_file.exists())
        self.assert_serving(daemon)

    @needs_root
    def test_an_unknown_user_or_group(self):
        for key in ("user", "group"):
            with self.subTest(key=key):
                daemon = self.make_daemon(start=False, options={"server": {key: "no-such-one"}})
                self.assert_one_line(self.start(daemon), 2, "no-such-one")


class Privileges(ProgramTest):
    def ids(self, daemon):
        with open(f"/proc/{daemon.process.pid}/status") as status:
            lines = dict(line.rstrip("\n").split(":", 1) for line in status)
        return [set(map(int, lines[name].split())) for name in ("Uid", "Gid", "Groups")]

    @needs_root
    def test_root_becomes_the_user_of_the_configuration(self):
        group = grp.getgrgid(pwd.getpwnam("daemon").pw_gid).gr_name
        daemon = self.make_daemon(start=False, database=False,
                                  options={"server": {"user": "daemon", "group": group}})
        entry = pwd.getpwnam("daemon")
        folders = [daemon.log_file.parent, daemon.pid_file.parent, daemon.database.parent]
        for folder in folders:
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        uids, gids, groups = self.ids(daemon)
        self.assertEqual((uids, gids), ({entry.pw_uid}, {entry.pw_gid}))
        self.assertNotIn(0, groups)
        self.wait_for_backup(daemon)
        files = [file for folder in folders for file in lasting(folder.iterdir()) if file.is_file()]
        names = {file.name for file in files}
        self.assertLessEqual({"cbpolicyd.log", "cbpolicyd.pid", "cbpolicyd.sqlitedb",
                              "cbpolicyd.sqlitedb-wal"}, names)
        for file in files:
            self.assertEqual((file.name, file.stat().st_uid), (file.name, entry.pw_uid))

    @needs_root
    def test_without_the_keys_root_stays_root_with_a_warning(self):
        daemon = self.make_daemon(start=False)
        lines = [line for line in daemon.config.read_text().splitlines()
                 if not line.startswith(("user=", "group="))]
        daemon.config.write_text("\n".join(lines) + "\n")
        daemon.start()
        self.assert_serving(daemon)
        self.assertEqual(self.ids(daemon)[0], {0})
        self.assertTrue(eventually(lambda: re.search(r"(?i)warning.*(user|root)",
                                                     daemon.output() + daemon.log())))

    @needs_root
    def test_another_user_stays_who_he_is_with_a_warning(self):
        daemon = self.make_daemon(start=False)
        nobody = pwd.getpwnam("nobody")
        self.edit(daemon, "user=", "user=daemon\n#")
        for folder in (daemon.log_file.parent, daemon.pid_file.parent, daemon.database.parent):
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        with open(daemon.output_file, "wb") as output:
            daemon.process = subprocess.Popen(
                [bin_dir() / "cbpolicyd", f"--config={daemon.config}", "--fg"], user="nobody",
                group=nobody.pw_gid, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        daemon.wait_for_log("listening")
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(self.ids(daemon)[0], {nobody.pw_uid})
        self.assertTrue(eventually(lambda: "warning" in (daemon.output() + daemon.log()).lower()))


class UnixSocket(ProgramTest):
    ASK_AS_ANOTHER = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(sys.stdin.buffer.read())
print(connection.recv(1000).decode(), end="")
"""

    def test_it_answers_there(self):
        daemon = self.make_daemon(always("refused"), kind=UnixSocketDaemon)
        self.assertEqual(daemon.ask(), "REJECT refused")
        with self.assertRaises(OSError):
            Connection(("127.0.0.1", daemon.port))

    @needs_root
    def test_another_user_may_connect(self):
        daemon = self.make_daemon(always("refused"), kind=UnixSocketDaemon)
        done = subprocess.run(["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else
                               sys.executable, "-c", self.ASK_AS_ANOTHER, daemon.socket_file],
                              input=self.request(), capture_output=True, timeout=30, user="daemon",
                              group="daemon", extra_groups=[])
        self.assertEqual((done.stdout, done.stderr), (b"action=REJECT refused\n\n", b""))

    def test_a_stale_socket_is_replaced(self):
        daemon = self.make_daemon(kind=UnixSocketDaemon, start=False)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(daemon.socket_file))
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        daemon.kill()
        self.assertTrue(daemon.socket_file.exists())
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")


class Configuration(ProgramTest):
    def test_carbonio_limits_conf_beside_it_is_read(self):
        daemon = self.make_daemon(article.POLICY + article.SEND +
                                  "UPDATE quotas SET Period = 3600 WHERE ID = 3;", start=False)
        daemon.config.with_name("carbonio-limits.conf").write_text("[Quotas]\nalgorithm=decay\n")
        daemon.start()
        self.assertEqual(self.ask_many(daemon, 12).count("DUNNO"), 11, "the Perl daemon's counting")

    def test_what_looks_like_a_trailing_comment_is_part_of_the_value(self):
        for value, answer in (("1", "REJECT refused"), ("YES", "REJECT refused"),
                              ("on", "REJECT refused"), ("1 # on", "DUNNO"), ("0", "DUNNO"),
                              ("true", "DUNNO")):
            with self.subTest(value=value):
                daemon = self.make_daemon(always("refused"), start=False)
                self.edit(daemon, "[Quotas]\nenable=1", f"[QUOTAS]\n# on\n; on\nEnable={value}")
                daemon.start()
                self.assertEqual(daemon.ask(), answer)

    def test_pid_file(self):
        daemon = self.make_daemon()
        self.assert_serving(daemon)
        self.assertEqual(daemon.pid_file.read_text().strip(), str(daemon.process.pid))
        daemon.stop()
        self.assertFalse(daemon.pid_file.exists())

    def test_a_pid_file_left_by_a_crash_is_no_obstacle(self):
        daemon = self.make_daemon()
        self.assert_serving(daemon)
        daemon.kill()
        self.assertTrue(daemon.pid_file.exists())
        daemon.start()
        self.assert_serving(daemon)
        self.assertEqual(daemon.pid_file.read_text().strip(), str(daemon.process.pid))


if __name__ == "__main__":
    unittest.main()
