#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`block --hold` with stand-ins for postqueue and postsuper: a queue of 100,000 messages, programs
that fail, hang up or print something else, and sudo that is refused: each a line, and the block is in
force."""

import json
import os
import subprocess
import time
import unittest

from plugin_case import NOBODY, PROGRAM, Plugin

POSTQUEUE = """#!/bin/sh
[ "$1" = -j ] || exit 64
cat "$(dirname "$0")/queue"
[ ! -e "$(dirname "$0")/fault" ] || { cat "$(dirname "$0")/fault" >&2; exit 69; }
"""
POSTSUPER = """#!/bin/sh
[ "$2" = - ] || exit 64
[ ! -e "$(dirname "$0")/refused" ] || { echo "postsuper: fatal: use of this command is reserved" >&2
exit 1; }
sort >"$(dirname "$0")/ids$1"
n=$(wc -l <"$(dirname "$0")/ids$1")
echo "postsuper: Placed on hold: $n message$([ "$n" = 1 ] || echo s)" >&2
"""


class Queue(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.folder = self.home / "common/sbin"
        self.folder.mkdir(parents=True)
        for name, text in (("postqueue", POSTQUEUE), ("postsuper", POSTSUPER)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        self.put([("deferred", "A1", "anna@example.org"), ("active", "A2", "ANNA@example.org"),
                  ("hold", "A3", "anna@example.org"), ("deferred", "B1", "bob@example.org"),
                  ("deferred", "C1", "MAILER-DAEMON")])

    def put(self, mails):
        (self.folder / "queue").write_text("".join(
            json.dumps({"queue_name": queue, "queue_id": number, "sender": sender,
                        "arrival_time": arrived[0] if arrived else 0}) + "\n"
            for queue, number, sender, *arrived in mails))

    def step_taken(self, step, seconds_ago, kind="locked"):
        at = int(time.time()) - seconds_ago
        self.sql("INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
                 f"LastSeen, Times) VALUES ({at // 60}, '{kind}', '', 0, "
                 f"'SASLUsername:anna@example.org', '{step}', {at}000, {at}000, 1);")

    def ids(self, option):
        return (self.folder / f"ids{option}").read_text().split()

    def fails(self, *words):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("Blocked anna@example.org ", done.stdout)
        self.assertIn("the block itself is in force", done.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM access_control"), ["1"])
        return done.stderr

    def test_only_its_mail_that_is_not_held_yet(self):
        self.assertIn("Held in the queue of this host: 2 messages.",
                      self.run_it("block", "anna@example.org", "--hold"))
        self.assertEqual(self.ids("-h"), ["A1", "A2"])
        # A3 was put on hold by others, and stays so.
        self.put([("hold", "A1", "anna@example.org"), ("hold", "A2", "ANNA@example.org"),
                  ("hold", "A3", "anna@example.org"), ("deferred", "B1", "bob@example.org")])
        self.run_it("unblock", "anna@example.org", "--delete", input=b"2\n")
        self.assertEqual(self.ids("-d"), ["A1", "A2"])

    def test_addresses_with_an_extension(self):
        """The block refuses them, too."""
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) SELECT ID, '@example.org' "
                 "FROM policy_groups WHERE Name = 'internal_domains';")
        self.put([("deferred", "A1", "anna+news@example.org"), ("deferred", "A2", "annas@example.org"),
                  ("deferred", "A3", "anna+x@example.net")])
        self.assertIn("None of its mail waits", self.run_it("block", "anna@example.org", "--hold"))
        (self.home / "conf").mkdir(exist_ok=True)
        (self.home / "conf/cbpolicyd.conf").write_text(
            f"[server]\nrecipient_delimiter=+\n[database]\nDSN=DBI:SQLite:dbname={self.database}\n")
        self.run_it("block", "anna@example.org", "--hold")
        self.assertEqual(self.ids("-h"), ["A1"])

    def test_a_dry_run_counts_and_changes_nothing(self):
        self.assertIn("Would be held in the queue of this host: 2 messages.",
                      self.run_it("block", "anna@example.org", "--hold", "--dry-run"))
        self.assertFalse((self.folder / "ids-h").exists())
        self.run_it("block", "anna@example.org", "--hold")
        self.put([("hold", "A1", "anna@example.org"), ("hold", "A2", "ANNA@example.org")])
        for option, word in (("--release", "released"), ("--delete", "deleted")):
            self.assertIn(f"Would be {word}: 2 messages of anna@example.org.",
                          self.run_it("unblock", "anna@example.org", option, "--dry-run"))
        self.assertEqual(sorted(self.folder.glob("ids*")), [self.folder / "ids-h"])

    def test_what_others_hold_after_the_release_stays(self):
        """The same message, and another one that has got its queue ID since."""
        now = int(time.time())
        self.step_taken("hold:2h", 3600)
        self.put([("deferred", "A1", "anna@example.org", now - 7200),
                  ("hold", "A2", "anna@example.org", now - 60)])
        self.run_it("block", "anna@example.org", "--hold")
        self.put([("hold", "A1", "bob@example.org", now - 7200),
                  ("hold", "A2", "anna@example.org", now - 60)])
        self.run_it("unblock", "anna@example.org", "--release")
        self.assertEqual(self.ids("-H"), ["A2"])
        self.put([("hold", "A1", "anna@example.org", now - 7200),
                  ("hold", "A2", "anna@example.org", now - 60)])
        self.assertIn("No mail of anna@example.org is held by a block",
                      self.run_it("unblock", "anna@example.org", "--release"))

    def test_the_same_queue_id_is_not_the_same_message(self):
        now = int(time.time())
        self.put([("deferred", "A1", "anna@example.org", now - 7200)])
        self.run_it("block", "anna@example.org", "--hold")
        self.put([("hold", "A1", "anna@example.org", now - 60)])
        self.assertIn("No mail of anna@example.org is held by a block",
                      self.run_it("unblock", "anna@example.org", "--release"))

    def test_what_was_held_is_found_whatever_has_happened_since(self):
        """Others use the name meanwhile; the messages are of a day before; the block has ended."""
        self.run_it("block", "anna@example.org", "--hold")
        self.put([("hold", "A1", "anna@example.org"), ("hold", "A2", "ANNA@example.org")])
        self.sql("DELETE FROM policies; DELETE FROM session_tracking;")
        self.assertIn("No mail of bob is held by a block", self.run_it("unblock", "bob", "--release"))
        self.run_it("unblock", "anna@example.org", "--release")
        self.assertEqual(self.ids("-H"), ["A1", "A2"])

    def test_new_mail_that_a_step_had_held_is_found(self):
        now = int(time.time())
        self.put([("hold", "A1", "anna@example.org", now - 3600),
                  ("hold", "A2", "anna@example.org", now - 60)])
        self.step_taken("hold:1h", 600)
        self.run_it("unblock", "anna@example.org", "--release")
        self.assertEqual(self.ids("-H"), ["A2"])

    def test_mail_held_after_the_step_has_ended_is_of_others(self):
        """It ends by itself, by a person, or by the next step."""
        day, now = 86400, int(time.time())
        self.step_taken("hold:1h", 10 * day)
        self.step_taken("hold", 8 * day)
        self.step_taken("", 7 * day, "released")
        self.step_taken("hold", 5 * day)
        self.step_taken("block:1h", 4 * day)
        self.put([("hold", f"A{hours}", "anna@example.org", now - hours * 3600 + 60)
                  for hours in (241, 240, 239, 193, 192, 169, 168, 121, 120, 97, 96, 1)])
        self.run_it("unblock", "anna@example.org", "--release")
        self.assertEqual(self.ids("-H"), ["A120", "A169", "A192", "A240", "A97"])

    def test_a_damaged_record_is_passed_over_and_one_that_cannot_be_written_holds_nothing(self):
        record = self.home / "data/cbpolicyd/db/cbpolicyd.sqlitedb.held"
        record.write_text('{"at": 1, "items": ["anna@example.org"], "mails": ["A3 0 anna@example.org"]}\n{"at": "\n[]\n'
                          '{"at": 99999999999, "items": [1], "mails": ["A3 0 anna@example.org"]}\n')
        self.run_it("block", "anna@example.org", "--hold")
        self.assertEqual(len(record.read_text().splitlines()), 1)
        self.put([("hold", "A1", "anna@example.org"), ("hold", "A3", "anna@example.org")])
        self.run_it("unblock", "anna@example.org", "--release")
        self.assertEqual(self.ids("-H"), ["A1"])
        record.unlink()
        record.mkdir()
        (self.folder / "ids-h").unlink()
        self.put([("deferred", "A9", "anna@example.org")])
        self.assertIn(f"cannot read {record}: it is a folder",
                      self.fails("block", "anna@example.org", "--hold"))
        self.assertFalse((self.folder / "ids-h").exists())

    def test_names_that_only_this_login_has_used(self):
        now = int(time.time())
        self.sql("".join(
            f"INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, "
            f"SASLUsername, Sender) VALUES ('{number}', '{queue}', {now - 60}, '192.0.2.1', "
            f"'{login}', '{sender}');\n" for number, (queue, login, sender) in enumerate((
                ("B1", "anna@example.org", "bob@example.org"), ("X", "bob", "bob@example.org"),
                ("Y", "Anna@Example.org", "spam@example.net"), ("Z", "", "other@example.net")))))
        self.put([("deferred", "B1", "bob@example.org"), ("deferred", "B2", "bob@example.org"),
                  ("deferred", "S9", "spam@example.net"), ("deferred", "O1", "other@example.net")])
        self.run_it("block", "anna@example.org", "--hold")
        self.assertEqual(self.ids("-h"), ["B1", "S9"])

    def test_a_hundred_thousand_messages(self):
        self.put([("deferred", f"{number:X}", "anna@example.org" if number % 2 else "b@example.org")
                  for number in range(100_000)])
        began = time.monotonic()
        self.assertIn("Held in the queue of this host: 50000 messages.",
                      self.run_it("block", "anna@example.org", "--hold"))
        self.assertEqual(len(self.ids("-h")), 50_000)
        self.assertLess(time.monotonic() - began, 30)

    def test_programs_that_fail_are_a_line(self):
        (self.folder / "fault").write_text("postqueue: fatal: Queue report unavailable\nmore\n")
        self.assertIn("Queue report unavailable", self.fails("block", "anna@example.org", "--hold"))
        (self.folder / "fault").unlink()
        (self.folder / "refused").touch()
        self.assertIn("use of this command is reserved",
                      self.fails("block", "anna@example.org", "--hold"))
        (self.folder / "queue").write_text("Mail queue is empty\n")
        self.assertIn("no JSON object", self.fails("block", "anna@example.org", "--hold"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_sudo_that_is_refused_is_a_line(self):
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(self.home)], check=True)
        done = subprocess.run([PROGRAM, "block", "anna@example.org", "--hold"], capture_output=True,
                              text=True, timeout=60, user=NOBODY, group=NOBODY, extra_groups=[],
                              env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("its mail in the queue was not held: ", done.stderr)
        self.assertIn("run carbonio-limits as root; the block itself is in force", done.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM access_control"), ["1"])


if __name__ == "__main__":
    unittest.main()
