#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Commands that change rules on hosts of a cluster: when the others have the change, and what becomes
of two changes at once. With a real redis-server and daemons in the background."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from cluster_command_test import OTHER, CommandTest, eventually


class ChangesTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.first, self.second = self.make(), self.make()
        self.join(self.first, "--node", "mta1")
        self.join(self.second, "--node", "mta2")

    def version(self):
        return int(self.engine.ask("HGET", "carbonio-limits:rules", "version"))

    def names(self, daemon):
        """Of all limits that a test made."""
        return {name for (name,) in daemon.query(
            "SELECT Name FROM policies WHERE Name LIKE 'test %'")}

    def send(self, daemon, name, **more):
        return self.say(daemon, "send", "100/h", "--user", f"{name}@example.org", "--name",
                        f"test {name}", **more)

    def start_send(self, daemon, name):
        return subprocess.Popen(
            [daemon.programs / "carbonio-limits", "send", "100/h", "--user", f"{name}@example.org",
             "--name", f"test {name}"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "ZEXTRAS_HOME": str(daemon.folder)})

    def worker(self, daemon):
        return self.status_of(daemon)["pid"]

    def status_of(self, daemon):
        return json.loads(daemon.status_file.read_text())

    def stop_worker(self, daemon):
        """It does not look for changes until the returned function is called."""
        pid = self.worker(daemon)
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        return lambda: os.kill(pid, signal.SIGCONT)

    def kept(self, daemon):
        return sorted(daemon.database.parent.glob("*.rules-*.sql"))


class OneChange(ChangesTest):
    def test_a_command_ends_when_the_others_can_have_its_change(self):
        before = self.version()
        for number, words in enumerate((
                ("send", "100/h", "--user", "a@example.org", "--name", "test a"),
                ("hook", "domain-created", "new.example"), ("off", "4")), 1):
            self.assertNotIn("MTA", self.say(self.first, *words))
            self.assertEqual(self.version(), before + number, words)
        self.assertTrue(eventually(lambda: self.rules(self.second) == self.rules(self.first)))
        self.assertEqual(self.names(self.second), {"test a"})

    def test_a_block_holds_on_all_and_ends_on_all(self):
        self.say(self.first, "block", "alice@example.org", "--for", "1h")
        self.assertTrue(eventually(lambda: self.second.ask().startswith("REJECT Sending is blocked")))
        self.say(self.second, "unblock", "alice@example.org")
        self.assertTrue(eventually(lambda: self.first.ask() == "DUNNO"))
        self.assertIn("No one is blocked", self.say(self.first, "blocked"))

    def test_a_block_without_the_engine_holds_here_first(self):
        self.engine.kill()
        for words in (("block", "alice@example.org", "--json"),
                      ("unblock", "alice@example.org", "--json")):
            [note] = [each for each in json.loads(self.say(self.first, *words))["notes"]
                      if "Redis" in each]
            self.assertIn("the other MTAs get this change once Redis can be asked again", note)
        self.assertIn("Note: the other MTAs get this change once Redis",
                      self.say(self.first, "block", "alice@example.org"))
        self.assertTrue(self.first.ask().startswith("REJECT Sending is blocked"))
        self.engine.start()
        self.assertTrue(eventually(lambda: self.second.ask().startswith("REJECT Sending is blocked")))

    def test_what_changes_nothing_does_not_wait(self):
        self.send(self.first, "a")
        version = self.version()
        go_on = self.stop_worker(self.first)
        began = time.monotonic()
        self.assertIn("Nothing to change", self.send(self.first, "a"))
        self.say(self.first, "send", "5/h", "--user", "b@example.org", "--dry-run")
        self.assertLess(time.monotonic() - began, 2)
        go_on()
        self.assertEqual(self.version(), version)

    def test_without_the_engine_a_change_is_made_here_first(self):
        self.engine.kill()
        said = self.send(self.first, "a")
        self.assertRegex(said, "Note: the other MTAs get this change once Redis can be asked again; "
                               "at the moment: .+Connection refused")
        self.assertEqual(self.names(self.first), {"test a"})
        self.engine.start()
        self.assertTrue(eventually(lambda: self.names(self.second) == {"test a"}))

    def test_without_a_daemon_a_change_is_made_here_first(self):
        self.say(self.first, "service", "stop")
        said = self.send(self.first, "a")
        self.assertIn("Note: the other MTAs get this change once this host shares with them; at the "
                      "moment: the policy daemon is not running", said)
        command = said.partition("not running; '")[2].partition("'")[0].split()
        self.assertEqual(command, ["carbonio-limits", "service", "start"])
        self.say(self.first, *command[1:])
        self.assertTrue(eventually(lambda: self.names(self.second) == {"test a"}))

    def test_without_a_cluster_nothing_is_said(self):
        daemon = self.make()
        self.engine.kill()
        self.assertNotIn("MTA", self.send(daemon, "a"))

    def test_another_database_is_none_of_the_cluster(self):
        other = self.first.database.with_name("other.sqlitedb")
        self.say(self.first, "backup", str(other))
        version = self.version()
        said = self.say(self.first, "--database", str(other), "send", "7/h", "--anyone")
        self.assertNotIn("MTA", said)
        self.assertEqual(self.version(), version)


class Restore(ChangesTest):
    def test_the_limits_of_the_cluster_stay_until_they_are_given(self):
        backup = self.first.database.with_name("old copy.sqlitedb")
        self.say(self.first, "backup", str(backup))
        self.send(self.first, "a")
        said = self.say(self.first, "restore", str(backup))
        self.assertIn("the limits of the cluster replace the restored ones", said)
        self.assertTrue(eventually(lambda: self.names(self.first) == {"test a"}))
        self.wait_until_shared(self.first, 2)
        commands = said.partition("on all its hosts: ")[2].strip()
        self.assertIn(f"'{backup}'", commands)
        subprocess.run(commands.replace("carbonio-limits", str(self.first.programs / "carbonio-limits"))
                       + " --node mta1", shell=True, check=True, capture_output=True, timeout=120,
                       env={**os.environ, "ZEXTRAS_HOME": str(self.first.folder)})
        self.assertTrue(eventually(lambda: self.names(self.second) == set()))
        self.assertEqual(self.names(self.first), set())


class TwoChanges(ChangesTest):
    def test_a_host_that_is_behind_changes_nothing(self):
        go_on = self.stop_worker(self.second)
        self.send(self.first, "a")
        before = self.second.query("SELECT * FROM quotas")
        for words in (("send", "5/h", "--user", "b@example.org"), ("off", "4"),
                      ("hook", "domain-created", "new.example")):
            said = self.say(self.second, *words, status=2)
            self.assertIn("this host does not have the rules of the cluster: its daemon has not taken "
                          "them over yet; run the command again; nothing was changed", said)
        self.assertEqual(self.second.query("SELECT * FROM quotas"), before)
        go_on()
        # And a host that is only a moment behind waits.
        self.send(self.second, "b")
        self.assertTrue(eventually(lambda: self.names(self.first) == {"test a", "test b"}))
        self.assertEqual(self.kept(self.second), [])

    def test_a_host_that_was_away_changes_nothing(self):
        self.say(self.second, "service", "stop")
        self.send(self.first, "a")
        said = self.send(self.second, "b", status=2)
        self.assertIn("the policy daemon is not running; 'carbonio-limits service start' starts it; "
                      "nothing was changed", said)
        self.say(self.second, "service", "start")
        self.assertTrue(eventually(lambda: self.names(self.second) == {"test a"}))
        self.send(self.second, "b")
        self.assertTrue(eventually(lambda: self.names(self.first) == {"test a", "test b"}))

    def test_a_limit_of_a_host_that_was_away_is_not_a_removed_one(self):
        """It would begin with its counts."""
        self.say(self.second, "service", "stop")
        made = re.compile(r"limit (\d+)")
        given = made.search(self.send(self.first, "a"))[1]
        self.assertEqual(self.first.ask(sender="a@example.org"), "DUNNO")
        self.say(self.first, "remove", given)
        self.say(self.second, "service", "start")
        self.wait_until_shared(self.second, 2)
        self.assertGreater(int(made.search(self.send(self.second, "a"))[1]), int(given))
        self.assertIn("No usage by a@example.org", self.say(self.second, "usage", "a@example.org"))

    def test_a_host_with_other_rules_is_told_to_choose(self):
        third = self.make(OTHER)
        third.config.with_name("carbonio-limits.conf").write_text(
            f"[cluster]\nurl={self.engine.url}\nnode=mta3\n")
        said = self.send(third, "a", status=2)
        self.assertIn("to have it join: carbonio-limits service restart", said)
        self.say(third, "service", "restart")
        self.assertTrue(eventually(lambda: self.cluster_status(third).get("trouble", "").startswith(
            "this host has other rules")))
        said = self.send(third, "a", status=2)
        self.assertIn("to say which hold: carbonio-limits cluster join --take-theirs, or --give-ours; "
                      "nothing was changed", said)
        self.say(third, "cluster", "join", "--take-theirs")
        self.send(third, "a")
        self.assertTrue(eventually(lambda: self.names(self.first) == {"test a"}))

    def test_the_later_one_is_not_taken_and_says_so(self):
        for attempt in range(5):
            go_on = self.stop_worker(self.second)
            started = self.start_send(self.second, "late")
            self.assertTrue(eventually(lambda: "test late" in self.names(self.second), every_s=0.01))
            self.send(self.first, f"early{attempt}")
            go_on()
            out, err = started.communicate(timeout=60)
            if started.returncode == 2:
                break
            # The first one took too long: the command waits for two seconds only.
            self.assertIn("the other MTAs do not have this change yet", out)
            self.assertTrue(eventually(lambda: self.names(self.second) == self.names(self.first)))
        self.assertIn("another host changed the rules at the same moment, so this change was not "
                      "taken", err)
        self.assertEqual(err.count("\n"), 1)
        self.assertNotIn("late@", out)
        file = self.kept(self.second)[-1]
        self.assertIn(f"is kept in {file}; run the command again", err)
        self.assertIn("'test late'", file.read_text())
        self.assertEqual(self.names(self.second), self.names(self.first))
        self.assertNotIn("test late", self.names(self.first))
        self.send(self.second, "late")
        self.assertTrue(eventually(lambda: "test late" in self.names(self.first)))

    def test_of_many_at_once_each_is_taken_or_says_so(self):
        taken = set()
        refused = 0

        def change(daemon, name):
            nonlocal refused
            started = self.start_send(daemon, name)
            out, err = started.communicate(timeout=120)
            if started.returncode == 0 and "MTAs" not in out:
                taken.add(f"test {name}")
            else:
                self.assertEqual(started.returncode, 2, out)
                refused += 1

        for number in range(6):
            threads = [threading.Thread(target=change, args=(daemon, f"{where}{number}"))
                       for where, daemon in (("a", self.first), ("b", self.second))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertTrue(eventually(lambda: self.names(self.first) == self.names(self.second)))
        self.assertEqual(self.names(self.first), taken)
        self.assertEqual(len(taken) + refused, 12)
        self.assertGreaterEqual(len(taken), 6)


if __name__ == "__main__":
    unittest.main()
