#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Names come from the database and from strangers: nothing that the command prints may move the
cursor, change colours or turn the direction of writing, in text or in JSON."""

import json
import shutil
import subprocess
import sys
import pathlib
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, eventually  # noqa: E402

# ESC, BEL, CR, DEL, C1's CSI, right-to-left override, isolates, the line separator.
HOSTILE = ("\x1b[31m", "\x07", "\r", "\x7f", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u2028")


class HostileNames(DaemonTest):
    def printed(self, *words):
        done = subprocess.run([self.daemon.programs / "carbonio-limits", *words], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              env={"ZEXTRAS_HOME": str(self.daemon.folder), "PATH": "/usr/bin:/bin"})
        self.assertIn(done.returncode, (0, 2, 3), done.stderr)
        return (done.stdout + done.stderr).decode()

    def check(self, *words):
        text = self.printed(*words)
        for character in text:
            self.assertFalse(character != "\n" and (not character.isprintable()), (words, text))
        return text

    def test_fixes_quote_what_a_shell_would_expand(self):
        self.daemon = self.make_daemon()
        folder = self.daemon.folder / "it's $* $(touch pwned) `touch pwned` !x"
        folder.mkdir()
        database = folder / "a b.sqlitedb"
        shutil.copyfile(self.daemon.database, database)
        for path in (folder, database):
            shutil.chown(path, "nobody")
        database.chmod(0o444)

        text = self.printed("doctor", "--json", "--database", database)
        [finding] = [each for each in json.loads(text)["findings"]
                     if each.get("problem") == "database.read_only"]
        for shell in ("sh", "bash"):
            database.chmod(0o444)
            done = subprocess.run([shell, "-c", finding["fix"]], cwd=self.daemon.folder, timeout=60,
                                  capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""), finding)
            self.assertTrue(database.stat().st_mode & 0o200)
        self.assertEqual(list(self.daemon.folder.rglob("pwned")), [])

    def test_reset_prints_what_else_is_full(self):
        self.daemon = self.make_daemon()
        self.printed("send", "1/h", "--anyone", "--per", "account")
        self.printed("send", "1/h", "--anyone", "--per", "domain")
        for i in range(2):
            self.daemon.ask(sender="$*'x@own.test", sasl_username="$*'x@own.test", instance=f"r{i}")
            self.daemon.ask(sender="", instance=f"b{i}")
        out = self.printed("reset", "$*'x@own.test")
        command = out.split("to clear that too: ")[1].strip()
        self.assertEqual(command, "carbonio-limits reset @own.test")
        self.assertIn("Cleared the counters", self.printed(*command.split()[1:]))
        self.assertIn("Cleared the counters", self.printed("reset", "<>"))
        self.assertNotIn("<>", self.printed("usage"))

    def test_a_name_like_an_option_is_typed_as_a_name(self):
        self.daemon = self.make_daemon()
        self.printed("receive", "1/h", "--anyone", "--per", "user")
        self.daemon.ask(sender="x@else.test", recipient="-dash@own.test")
        command = self.printed("reset", "own.test").split("to clear that too: ")[1].strip()
        self.assertEqual(command, "carbonio-limits reset -- -dash@own.test")
        self.assertIn("Cleared the counters", self.printed(*command.split()[1:]))
        blocked = self.printed("block", "--", "-dash@own.test")
        self.assertIn("'carbonio-limits unblock -- -dash@own.test'", blocked)
        self.assertIn("Unblocked -dash@own.test", self.printed("unblock", "--", "-dash@own.test"))

    def test_everything_that_prints_them(self):
        bad = "x".join(HOSTILE)
        quoted = f"a{bad}b".replace("'", "''")
        self.daemon = self.make_daemon()
        self.daemon.sql(f"""
            INSERT INTO policies (Name, Priority, Description) VALUES ('{quoted}', 0, '{quoted}');
            INSERT INTO policy_members (PolicyID, Source, Destination) VALUES
              (6, '{quoted}@example.org', 'any'), (6, '%{quoted}', '{quoted}'), (6, 'any', 'any');
            INSERT INTO policy_groups (Name) VALUES ('{quoted}');
            INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (3, '{quoted}');
            INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES
              (6, '{quoted}', 'Sender:user@domain', 3600, 'DEFER', '{quoted}'),
              (6, '{quoted}', 'Sender:{quoted}', 3600, '{quoted}', '{quoted}');
            INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES
              (3, 'MessageCount', 1), (4, 'MessageCount', '{quoted}'), (3, '{quoted}', 1);
            INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) VALUES
              (4, 'Sender:{quoted}@example.org', {int(time.time())}, 1);""")
        self.daemon.sql("UPDATE quotas SET Disabled = 1 WHERE ID = 4;")
        sender = "e\x1b[31mvil\u202e@example.org"
        self.assertTrue(eventually(lambda: self.daemon.ask(sender=sender) != "DUNNO"))
        time.sleep(1.5)  # the daemon's status
        for words in (("list",), ("show", "3"), ("usage",), ("usage", "example.org"), ("doctor",),
                      ("explain", "--from", "a@example.org", "--to", "b@example.com"),
                      ("service", "status"), ("off", "3"), ("on", "3"), ("set", "3", "2/h"),
                      ("usage", bad), ("remove", "3", "--dry-run")):
            self.check(*words)
        for words in (("list",), ("show", "3"), ("usage",), ("doctor",),
                      ("explain", "--from", "a@example.org", "--to", "b@example.com")):
            text = self.check(*words, "--json")
            self.assertTrue(text.isascii(), words)
            json.loads(text)
        # Programs get the name as it is.
        self.assertEqual(json.loads(self.printed("show", "3", "--json"))["name"], f"a{bad}b")


if __name__ == "__main__":
    unittest.main()
