#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`cluster`: hosts join, are asked for their status, and leave, with a real redis-server and daemons
that run in the background as on a host without systemd."""

import json
import os
import pty
import re
import stat
import subprocess
import sys
import termios
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import json_keys  # noqa: E402
from cluster_case import ClusterTest, eventually, free_port, policy, quota  # noqa: E402

RULES = policy() + quota(10, period=3600)
OTHER = policy() + quota(3, period=3600)


class CommandTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()

    def make(self, rules=RULES, start=True):
        daemon = self.make_daemon(rules, start=False, options={"server": {"background": "yes"}})
        self.addCleanup(lambda: self.say(daemon, "service", "stop", status=None))
        if start:
            self.say(daemon, "service", "start")
        return daemon

    def say(self, daemon, *words, status=0, typed=""):
        """What it prints; where it fails, one line."""
        done = subprocess.run([daemon.programs / "carbonio-limits", *words], text=True, timeout=120,
                              input=typed, capture_output=True,
                              env={**os.environ, "ZEXTRAS_HOME": str(daemon.folder)})
        if status is None:
            return done.stdout
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        if status in (1, 2):
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            return done.stderr
        self.assertEqual(done.stderr, "")
        return done.stdout

    def join(self, daemon, *words, **more):
        return self.say(daemon, "cluster", "join", self.engine.url, *words, **more)

    def own(self, daemon):
        file = daemon.config.with_name("carbonio-limits.conf")
        return file.read_text() if file.exists() else ""

    def files(self, daemon):
        return sorted(path.name for path in daemon.config.parent.iterdir())

    def rules(self, daemon):
        return daemon.query("SELECT PolicyID, Track, Period, CounterLimit FROM quotas q JOIN "
                            "quotas_limits l ON l.QuotasID = q.ID ORDER BY q.ID")


class Status(CommandTest):
    def test_without_a_cluster_it_says_how_to_join(self):
        daemon = self.make(start=False)
        said = self.say(daemon, "cluster", "status", status=3)
        self.assertEqual(said.count("\n"), 1)
        self.assertIn("This host counts alone", said)
        command = said.strip().partition(": ")[2].replace("redis://HOST", self.engine.url)
        self.say(daemon, *command.split()[1:])
        self.assertIn(f"url={self.engine.url}\n", self.own(daemon))

    def test_sharing_and_not(self):
        daemon = self.make()
        self.join(daemon, "--node", "mta1")
        figures = json.loads(self.say(daemon, "cluster", "status", "--json"))
        self.assertEqual((figures["configured"], figures["sharing"], figures["hosts"]),
                         (True, True, 1))
        self.assertEqual(figures["engine"], f"127.0.0.1:{self.engine.port}")
        for _ in range(3):
            daemon.ask()
        self.assertTrue(eventually(lambda: "3 since the start, 0 of them" in
                                   self.say(daemon, "cluster", "status")))
        said = self.say(daemon, "cluster", "status")
        self.assertRegex(said, r"this host +mta1\n")
        self.assertRegex(said, r"sharing +yes\n")
        self.assertRegex(said, r"round trip +\d+\.\d\d ms on average\n")
        self.engine.kill()
        self.assertTrue(eventually(
            lambda: "no: " in self.say(daemon, "cluster", "status", status=None)))
        self.assertRegex(self.say(daemon, "cluster", "status", status=3),
                         r"until then +this host counts alone\n")
        self.assertIn("wrong", json.loads(self.say(daemon, "cluster", "status", "--json", status=3)))

    def test_a_pause_holds_on_one_host_and_says_so(self):
        daemon = self.make()
        note = "\nNote: this concerns this host only; on each other MTA of the cluster: "
        self.assertNotIn("this host only", self.say(daemon, "pause", "10min"))
        self.join(daemon, "--node", "mta1")
        self.assertTrue(self.say(daemon, "pause", "10", "min", "--uncounted").endswith(
            note + "carbonio-limits pause 10 min --uncounted\n"))
        self.assertTrue(self.say(daemon, "resume").endswith(note + "carbonio-limits resume\n"))

    def test_each_mta_with_its_versions(self):
        daemon, other = self.make(), self.make()
        self.join(daemon, "--node", "mta1")
        self.join(other, "--node", "mta2", "--take-theirs")

        def mtas():
            return {mta["node"]: mta for mta in
                    json.loads(self.say(daemon, "cluster", "status", "--json"))["mtas"]}
        self.assertTrue(eventually(lambda: set(mtas()) == {"mta1", "mta2"}), mtas())
        version = self.say(daemon, "--version").split()[-1]
        self.assertRegex(self.say(daemon, "cluster", "status"),
                         rf"MTA +HOST +VERSION +RULES +LAST SEEN\n"
                         rf"mta1 +\S+ +{re.escape(version)} +\d+ +now\n"
                         rf"mta2 +\S+ +{re.escape(version)} +\d+ +now\n")
        self.assertTrue(eventually(lambda: mtas()["mta1"]["rules"] == mtas()["mta2"]["rules"] > 0))
        before = mtas()["mta1"]["rules"]
        self.say(daemon, "set", "3", "7/h")
        self.assertTrue(eventually(lambda: [mta["rules"] for mta in mtas().values()] ==
                                   [before + 1, before + 1]), mtas())
        self.say(other, "service", "stop")
        self.assertTrue(eventually(lambda: mtas()["mta2"]["unseen"] > 5))
        self.assertRegex(self.say(daemon, "cluster", "status"), r"mta2 .* \d+ s ago\n")

    def test_what_is_set_by_hand_waits_for_a_restart(self):
        daemon = self.make()
        daemon.config.with_name("carbonio-limits.conf").write_text(
            f"[cluster]\nurl={self.engine.url}\n")
        said = self.say(daemon, "cluster", "status", status=3)
        self.assertIn("to have it join: carbonio-limits service restart", said)
        self.say(daemon, "service", "restart")
        self.assertTrue(eventually(lambda: "sharing     yes" in
                                   self.say(daemon, "cluster", "status", status=None)))
        self.say(daemon, "service", "stop")
        self.assertIn("is not running", self.say(daemon, "cluster", "status", status=3))


class Join(CommandTest):
    def test_two_hosts_are_one_count(self):
        first, second = self.make(), self.make()
        said = self.join(first, "--node", "mta1")
        self.assertRegex(said, rf" ok +Redis [67]\S+ on 127.0.0.1:{self.engine.port} can be used\n")
        self.assertIn("the cluster has no rules yet: this host's become the cluster's", said)
        said = self.join(second, "--node", "mta2", "--without", "local")
        self.assertIn("equal", said)
        self.assertIn("other hosts that share by it: mta1", said)
        self.assertIn("Limits are shared by 2 hosts.", said)
        self.assertIn("without=local\n", self.own(second))
        self.assertEqual(sum(self.passed_by_all([first, second], 8)), 10)

    def test_again_changes_nothing(self):
        daemon = self.make()
        self.join(daemon)
        pid = daemon.pid_file.read_text(), self.cluster_status(daemon)
        text = self.own(daemon)
        said = self.join(daemon)
        self.assertIn("unchanged", said)
        self.assertNotIn("restarted the policy daemon", said)
        self.assertEqual((daemon.pid_file.read_text(), text), (pid[0], self.own(daemon)))

    def test_other_rules_need_a_choice(self):
        first, second, third = self.make(), self.make(OTHER), self.make(OTHER)
        self.join(first, "--node", "mta1")
        said = self.join(second, "--node", "mta2", status=2)
        self.assertIn("this host has other rules (1 limit) than the cluster (1 limit)", said)
        self.assertIn("--take-theirs", said)
        self.assertIn("--give-ours", said)
        self.assertIn("nothing was changed", said)
        self.assertEqual(self.own(second), "")
        self.join(second, "--node", "mta2", "--take-theirs")
        self.assertEqual(self.rules(second), self.rules(first))
        self.assertEqual(len(list(second.database.parent.glob("*.rules-*.sql"))), 1)
        ours = self.rules(third)
        self.join(third, "--node", "mta3", "--give-ours")
        self.assertTrue(eventually(lambda: self.rules(first) == ours == self.rules(second)))

    def test_a_host_that_joined_by_hand_with_other_rules(self):
        """What the daemon says to type."""
        first, second = self.make(), self.make(OTHER)
        self.join(first, "--node", "mta1")
        second.config.with_name("carbonio-limits.conf").write_text(
            f"[cluster]\nurl={self.engine.url}\nnode=mta2\n")
        self.say(second, "service", "restart")
        self.assertTrue(eventually(
            lambda: "this host has other rules" in self.cluster_status(second).get("trouble", "")))
        self.say(second, "cluster", "join", "--take-theirs")
        self.assertEqual(self.rules(second), self.rules(first))

    def test_a_new_host_takes_the_rules_there(self):
        first, second = self.make(), self.make("")
        self.join(first, "--node", "mta1")
        self.assertIn("the rules of the cluster replace this host's",
                      self.join(second, "--node", "mta2"))
        self.assertEqual(self.rules(second), self.rules(first))

    def test_theirs_though_ours_changed_while_the_daemon_was_stopped(self):
        first, second = self.make(), self.make()
        self.join(first, "--node", "mta1")
        self.join(second, "--node", "mta2")
        self.say(second, "service", "stop")
        second.sql("UPDATE quotas_limits SET CounterLimit = 5 WHERE CounterLimit = 10;")
        self.assertIn("--take-theirs", self.join(second, status=2))
        self.join(second, "--take-theirs")
        self.say(second, "service", "start")
        self.assertTrue(eventually(lambda: self.rules(second) == self.rules(first)))
        self.assertIn(10, [row[-1] for row in self.rules(first)])

    def test_nothing_to_take(self):
        daemon = self.make(start=False)
        self.assertIn("nothing to take", self.join(daemon, "--take-theirs", status=2))
        self.assertEqual(self.own(daemon), "")

    def test_a_password_is_kept_for_the_daemon_alone(self):
        self.engine.ask("CONFIG", "SET", "requirepass", "secret word")
        daemon = self.make()
        self.assertIn("use --password-stdin or --password-file", self.join(daemon, status=2))
        said = self.join(daemon, "--password-stdin", status=2, typed="wrong\n")
        self.assertIn("refuses the password in standard input", said)
        self.assertEqual((self.own(daemon), self.files(daemon)), ("", ["cbpolicyd.conf"]))
        said = self.join(daemon, "--password-stdin", typed="secret word\n")
        self.assertNotIn("secret", said)
        file = daemon.config.with_name("carbonio-limits.redis-password")
        self.assertEqual(file.read_text(), "secret word\n")
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o640)
        self.assertEqual(file.owner(), daemon.database.owner())
        self.assertIn(f"password_file={file}\n", self.own(daemon))
        # And without the option it stays.
        self.assertIn("unchanged", self.join(daemon))
        self.say(daemon, "cluster", "leave")
        self.assertEqual(self.files(daemon), ["carbonio-limits.conf", "cbpolicyd.conf"])

    def test_a_password_that_is_typed_is_not_shown(self):
        self.engine.ask("CONFIG", "SET", "requirepass", "secret")
        daemon = self.make(start=False)
        near, far = pty.openpty()
        self.addCleanup(os.close, near)
        process = subprocess.Popen(
            [daemon.programs / "carbonio-limits", "cluster", "join", self.engine.url, "--password-stdin"],
            stdin=far, stdout=subprocess.PIPE, stderr=far, text=True,
            env={**os.environ, "ZEXTRAS_HOME": str(daemon.folder)})
        shown = os.read(near, 1000)
        self.assertEqual(shown, b"Password of Redis: ")
        os.write(near, b"secret\n")
        said, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual(os.read(near, 1000), b"\r\n")
        self.assertTrue(termios.tcgetattr(far)[3] & termios.ECHO)
        os.close(far)
        self.assertIn(f"url={self.engine.url}\n", self.own(daemon))

    def test_a_dry_run_changes_nothing(self):
        daemon = self.make()
        files = self.files(daemon)
        said = self.join(daemon, "--dry-run", "--node", "mta9", "--password-stdin", status=2,
                         typed="x\n")
        self.assertIn("has no password", said)
        said = self.join(daemon, "--dry-run", "--node", "mta9")
        self.assertIn(f"  node=mta9\n  url={self.engine.url}\n", said)
        self.assertIn("Nothing was changed (--dry-run).", said)
        self.assertEqual(self.files(daemon), files)
        self.assertEqual(self.cluster_status(daemon), {})
        self.assertEqual(self.engine.ask("KEYS", "*"), "")

    def test_bad_input_is_one_line(self):
        daemon = self.make(start=False)
        url = self.engine.url
        for status, words in (
                (1, ["http://x"]), (1, ["redis://:secret@127.0.0.1"]), (1, []), (1, [url, "x"]),
                (1, [url, "--node", "a b"]), (1, [url, "--node", ""]),
                (1, [url, "--without", "pass"]), (1, [url, "--take-theirs", "--give-ours"]),
                (1, [url, "--password-stdin"]), (1, [url, "--json"]),
                (1, [url, "--password-file", "x", "--password-stdin"]),
                (1, [url, "--database", "x"]),
                (2, [url, "--password-file", "/nonexistent/x"]),
                (2, [f"{url}/99"]), (2, [f"redis://127.0.0.1:{free_port()}"])):
            with self.subTest(words):
                said = self.say(daemon, "cluster", "join", *words, status=status)
                self.assertNotIn("secret", said)
                self.assertEqual(self.files(daemon), ["cbpolicyd.conf"])
        for words in ([], ["stat"], ["status", "x"], ["leave", "--node", "x"], ["status", "--dry-run"]):
            self.say(daemon, "cluster", *words, status=1)

    def test_a_replica_a_sentinel_url_and_another_protocol(self):
        daemon = self.make(start=False)
        replica = self.make_engine()
        replica.ask("REPLICAOF", "127.0.0.1", str(self.engine.port))
        self.assertIn("is a replica of", self.say(daemon, "cluster", "join", replica.url, status=2))
        self.engine.ask("SET", "carbonio-limits:epoch", "2-abc")
        self.assertIn("another version of carbonio-limits", self.join(daemon, status=2))

    def test_a_name_that_another_host_has(self):
        first, second = self.make(), self.make()
        self.join(first, "--node", "mta1")
        said = self.join(second, "--node", "mta1", status=2)
        self.assertIn("has the name 'mta1' in this cluster; use --node NAME", said)
        self.assertEqual(self.own(second), "")

    def test_notes_about_the_engine(self):
        self.engine.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        said = self.join(self.make(start=False))
        self.assertIn("(maxmemory-policy allkeys-lru)", said)
        self.assertIn("(appendonly no)", said)
        self.assertIn("carbonio-limits service start", said)

    def test_the_rest_of_the_file_stays(self):
        daemon = self.make(start=False)
        file = daemon.config.with_name("carbonio-limits.conf")
        before = ("# ours\n[Quotas]\nalgorithm=window\n\n[cluster]\n# Where Redis is.\n#url=\n\n"
                  "[server]\nrecipient_delimiter=+\n")
        file.write_text(before)
        file.chmod(0o644)
        self.join(daemon, "--node", "mta1")
        self.assertEqual(file.read_text(), before.replace(
            "[cluster]\n", f"[cluster]\nnode=mta1\nurl={self.engine.url}\n"))
        self.say(daemon, "cluster", "leave")
        self.assertEqual(file.read_text(), before)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o644)


class Others(CommandTest):
    """What the other subcommands say of it."""

    def test_where_limits_are_shared(self):
        daemon = self.make()
        explain = ("explain", "--from", "a@example.org", "--to", "b@example.com")
        for words in (["list"], ["service", "status"], ["usage"], explain):
            said = self.say(daemon, *words)
            self.assertNotIn("hared", said)
            self.assertNotIn("ALL MTAS", said)
        self.assertEqual(json.loads(self.say(daemon, "service", "status", "--json"))["cluster"],
                         {"configured": False, "sharing": False})
        daemon.ask()
        self.assertNotIn("HOST", self.say(daemon, "reset", "alice@example.org"))
        self.join(daemon)
        self.assertTrue(self.say(daemon, "list").startswith("Limits are shared by 1 host.\n\n"))
        self.assertIn("\nLimits are shared by 1 host.\n", self.say(daemon, "service", "status"))
        figures = json.loads(self.say(daemon, "service", "status", "--json"))["cluster"]
        self.assertEqual((figures["configured"], figures["sharing"], figures["hosts"]),
                         (True, True, 1))
        daemon.ask()
        for words in (["usage"], explain):
            self.assertIn(" ALL MTAS ", self.say(daemon, *words))
        self.assertRegex(self.say(daemon, "reset", "alice@example.org"),
                         r"\(this host\) +1 counter\n")
        figures = self.say(daemon, "metrics")
        self.assertIn("\ncarbonio_limits_cluster_sharing 1\n", figures)
        self.assertIn("\ncarbonio_limits_cluster_hosts 1\n", figures)
        self.assertRegex(figures, "\ncarbonio_limits_cluster_rules_version [1-9]")
        self.engine.kill()
        self.assertTrue(eventually(
            lambda: "Limits are not shared with the other MTAs at the moment: "
            in self.say(daemon, "list")))


class Leave(CommandTest):
    def test_counts_alone_again(self):
        first, second = self.make(), self.make()
        self.join(first, "--node", "mta1")
        self.join(second, "--node", "mta2")
        self.assertIn("Nothing was changed", self.say(second, "cluster", "leave", "--dry-run"))
        self.assertEqual(sum(self.passed_by_all([first, second], 3)), 6)
        said = self.say(second, "cluster", "leave")
        self.assertIn("This host counts alone again", said)
        self.assertEqual(self.own(second), "")
        self.assertEqual(self.engine.ask("HKEYS", "carbonio-limits:nodes"), "mta1")
        self.say(second, "cluster", "status", status=3)
        self.assertEqual(self.passed(first, 10), 4)
        # What it counted itself stays.
        self.assertEqual(self.passed(second, 10), 7)
        self.assertIn("Nothing to change", self.say(second, "cluster", "leave"))
        # Whose rules hold is asked again, though it has seen those of the cluster.
        second.sql("UPDATE quotas_limits SET CounterLimit = 5 WHERE CounterLimit = 10;")
        self.assertIn("--take-theirs", self.join(second, "--node", "mta2", status=2))
        self.join(second, "--node", "mta2", "--take-theirs")
        self.assertEqual(self.rules(second), self.rules(first))

    def test_the_others_no_longer_divide_by_it(self):
        hosts = first, second, third = [self.make() for _ in range(3)]
        for number, daemon in enumerate(hosts, 1):
            self.join(daemon, "--node", f"mta{number}")
        self.assertTrue(eventually(lambda: self.cluster_status(first)["hosts"] == 3))
        self.join(third, "--node", "mta33")
        self.say(second, "cluster", "leave")
        self.assertTrue(eventually(lambda: self.cluster_status(first)["hosts"] == 2),
                        self.cluster_status(first))
        self.assertTrue(eventually(
            lambda: first.query("SELECT Hosts FROM limits_cluster") == [(2,)]))
        self.say(first, "service", "restart")
        began = time.monotonic()
        self.assertTrue(eventually(lambda: self.cluster_status(first).get("sharing")))
        self.assertLess(time.monotonic() - began, 6)  # of the ten seconds for hosts that are missing
        self.assertEqual(self.cluster_status(first)["hosts"], 2)
        self.engine.kill()
        self.wait_until_alone(first)
        self.assertEqual(self.passed(first, 10, sender="new@example.org"), 5)

    def test_reset_clears_what_it_has_counted(self):
        first, second = self.make(), self.make()
        self.join(first, "--node", "mta1")
        self.join(second, "--node", "mta2")
        self.assertEqual(self.passed(second, 10), 10)
        self.say(second, "cluster", "leave")
        self.assertEqual(self.passed(first, 1), 0)
        said = self.say(first, "reset", "alice@example.org")
        self.assertTrue(said.startswith("Cleared the counters of alice@example.org.\n"), said)
        self.assertRegex(said, r"mta1 \(this host\) +1 counter\n")
        self.assertNotIn("Note", said)
        self.assertEqual(self.passed(first, 11), 10)

    def test_a_new_name_counts_nothing_twice(self):
        first, second = self.make(), self.make()
        self.join(first, "--node", "mta1")
        self.join(second, "--node", "mta2")
        for number, passed in ((22, 4), (222, 1)):
            self.assertEqual(self.passed(second, passed), passed)
            said = self.join(second, "--node", f"mta{number}")
            self.assertRegex(said, r"what this host counted as mta\d+ counts under its new name alone")
            self.assertEqual(self.engine.ask("HKEYS", "carbonio-limits:c:4:Sender:alice@example.org"),
                             f"mta{number}")
        self.say(second, "service", "stop")
        self.join(second, "--node", "mta2222")
        self.assertEqual(self.engine.ask("HKEYS", "carbonio-limits:nodes"), "mta1")
        self.say(second, "service", "start")
        self.wait_until_shared(second, 2)
        self.assertEqual(self.passed(first, 10), 5)

    def test_without_the_engine(self):
        daemon = self.make()
        self.join(daemon)
        self.engine.kill()
        self.assertIn("count this one for an hour more", self.say(daemon, "cluster", "leave"))
        self.assertEqual(self.own(daemon), "")

    def test_what_the_generated_file_sets_is_left_to_its_owner(self):
        daemon = self.make_host("mta1", self.engine.url, RULES, start=False)
        said = self.say(daemon, "cluster", "leave", status=2)
        self.assertIn("correct it by hand; nothing was changed", said)


if __name__ == "__main__":
    unittest.main()
