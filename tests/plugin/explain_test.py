#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`carbonio-limits explain` next to the running daemon: it agrees with the daemon's answer and leaves no
trace."""

import hashlib
import json
import sqlite3
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import (  # noqa: E402
    DaemonTest, always, bin_dir, eventually, insert, last, limit, policy, quota)

GREYLISTING = policy() + insert(
    "greylisting", PolicyID=last("policies"), Name="g", UseGreylisting=1, GreylistPeriod=240,
    Track="SenderIP:/24", UseAutoWhitelist=0, UseAutoBlacklist=0)
CHECK_HELO = policy() + insert(
    "checkhelo", PolicyID=last("policies"), Name="h", UseBlacklist=1, BlacklistPeriod=3600, UseHRP=1,
    HRPPeriod=3600, HRPLimit=2, RejectInvalid=1, RejectIP=1, RejectUnresolvable=0)


class ExplainTest(DaemonTest):
    def run_it(self, daemon, *arguments, status=0):
        done = subprocess.run(
            [bin_dir() / "carbonio-limits", "explain", *arguments], text=True, capture_output=True,
            timeout=60, env={"PATH": "/usr/bin:/bin", "ZEXTRAS_HOME": str(daemon.folder)})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(json_keys.undocumented(("explain", *arguments), done.stdout), set())
        return done.stdout if status == 0 else done.stderr

    def explain(self, daemon, sender="alice@example.org", recipient="bob@example.com", *more,
                client="192.0.2.10", helo="client.example.net"):
        return json.loads(self.run_it(daemon, "--json", "--from", sender, "--to", recipient,
                                      "--client", client, "--helo", helo, *more))

    def agrees_with_daemon(self, daemon, *more, **attributes):
        """The daemon then gives the answer that was explained."""
        explained = self.explain(daemon, *more, **{
            {"client_address": "client", "helo_name": "helo"}.get(k, k): v
            for k, v in attributes.items()})
        answer = explained["answer"]["action"]
        self.assertEqual(answer.removeprefix("action="), daemon.ask(**attributes))
        return explained

    def files(self, daemon):
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in daemon.database.parent.iterdir()
                # The daemon may be writing its backup.
                if not path.name.endswith("-shm") and ".backup" not in path.name}

    def test_agrees_with_the_daemon_up_to_the_limit_and_beyond(self):
        daemon = self.make_daemon(policy() + quota(3, period=86400))
        for _ in range(5):
            self.agrees_with_daemon(daemon)
        explained = self.explain(daemon)
        self.assertFalse(explained["passes"])
        self.assertEqual(explained["answer"]["module"], "Quotas")
        self.assertIn("quota 3 of policy 6", explained["answer"]["why"])
        self.assertIn("3 of 3 messages per day for alice@example.org",
                      explained["answer"]["why"])
        [row] = explained["limits"]
        self.assertEqual((row["used"], row["limit"], row["full"], row["limit_id"]), (3, 3, True, 4))
        self.assertIsNotNone(row["free_at"])

    def test_decay_is_explained_as_it_counts(self):
        daemon = self.make_daemon(policy() + quota(2), options={"Quotas": {"algorithm": "decay"}})
        for _ in range(5):
            self.agrees_with_daemon(daemon)

    def test_with_decay_a_limit_that_only_monitors_ends_the_check_when_used_up(self):
        daemon = self.make_daemon(policy() + quota(1, verdict=None) + policy() + quota(1, track="Policy"),
                                  options={"Quotas": {"algorithm": "decay"}})
        ended = [[row["ended_by"] for row in self.agrees_with_daemon(daemon)["limits"]] for _ in range(3)]
        self.assertEqual(ended, [[None, None], [None, None], [None, 3]])
        self.assertIn("quota 4 is not asked about this mail: quota 3 ends the check (used up, with "
                      "algorithm=decay).", self.explain(daemon)["notes"])

    def test_names_the_counter_of_a_bounce_with_any_specification(self):
        daemon = self.make_daemon(policy() + quota(1, track="Sender:domain"))
        self.assertEqual(self.ask_many(daemon, 2, sender=""), ["DUNNO", "DEFER later"])
        [row] = self.explain(daemon, "<>", "bob@example.com")["limits"]
        self.assertEqual((row["used"], row["full"]), (1, True))

    def test_leaves_the_database_unchanged_bit_for_bit(self):
        everything = policy() + quota(3) + limit(50, "MessageCumulativeSize") + GREYLISTING
        everything += CHECK_HELO + insert(
            "accounting", PolicyID=last("policies"), Name="a", Track="Sender:user@domain",
            AccountingPeriod=0, MessageCountLimit=100, Verdict="REJECT")
        modules = ("Quotas", "Accounting", "Greylisting", "CheckHelo")
        daemon = self.make_daemon(everything, modules=modules)
        daemon.ask()  # is greylisted, of which the daemon writes an event after its answer
        self.assertTrue(eventually(
            lambda: daemon.query("SELECT count(*) FROM limits_events") == [(1,)]))
        before, dump = self.files(daemon), daemon.sql(".dump")
        for sender in ("alice@example.org", "new@example.org", "<>"):
            self.explain(daemon, sender, "bob@example.com", "--size", "10K")
        self.assertEqual(self.files(daemon), before)
        self.assertEqual(daemon.sql(".dump"), dump)
        daemon.stop()
        before = self.files(daemon)
        self.explain(daemon)
        self.assertEqual(self.files(daemon), before)

    def test_names_the_item_that_matched_or_not(self):
        daemon = self.make_daemon(policy("@example.org,192.0.2.0/24") + quota() +
                                  policy("@elsewhere.example") + quota())
        policies = {p["id"]: p for p in self.explain(daemon)["policies"]}
        self.assertTrue(policies[6]["matches"])
        self.assertIn("'@example.org'", policies[6]["because"])
        self.assertIn("'192.0.2.0/24'", policies[6]["because"])
        self.assertFalse(policies[7]["matches"])
        self.assertIn("does not match '@elsewhere.example'", policies[7]["because"])
        self.assertEqual(policies[1]["because"], "it applies to all mail")

    def test_greylisting_and_helo_decide_as_in_the_daemon(self):
        daemon = self.make_daemon(GREYLISTING, modules=("Greylisting",))
        first = self.agrees_with_daemon(daemon)
        self.assertIn("greylisted", first["answer"]["why"])
        self.agrees_with_daemon(daemon)
        helo = self.make_daemon(CHECK_HELO, modules=("CheckHelo",))
        for name in ("a.example.net", "b.example.net", "c.example.net", "localhost", "[192.0.2.10]",
                     "192.0.2.10"):
            self.agrees_with_daemon(helo, helo_name=name)

    def test_a_size_is_checked_at_the_recipient_and_at_the_end(self):
        daemon = self.make_daemon(policy() + quota(100, "MessageCumulativeSize"))
        self.assertTrue(self.explain(daemon, "a@x.org", "b@y.org", "--size", "100K")["passes"])
        too_large = self.explain(daemon, "a@x.org", "b@y.org", "--size", "101K")
        self.assertFalse(too_large["passes"])
        self.assertIsNone(too_large["limits"][0]["free_at"])
        self.assertTrue(self.explain(daemon, "a@x.org", "b@y.org")["passes"])

    def test_limits_of_each_message_and_of_whole_messages(self):
        daemon = self.make_daemon(policy() + quota(50, "RecipientsPerMessage") +
                                  quota(100, "SizePerMessage") + quota(1, "Messages"))
        explained = self.explain(daemon, "a@x.org", "b@y.org", "--size", "100K")
        self.assertEqual([(limit["unit"], limit["period"], limit["used"], limit["limit"])
                          for limit in explained["limits"]],
                         [("recipients", "message", 0, 50), ("KiB", "message", 100, 100),
                          ("messages", "minute", 0, 1)])
        self.assertTrue(explained["passes"])
        self.assertFalse(self.explain(daemon, "a@x.org", "b@y.org", "--size", "101K")["passes"])
        self.agrees_with_daemon(daemon)
        self.agrees_with_daemon(daemon)

    def test_distinct_recipients(self):
        daemon = self.make_daemon(policy() + quota(1, "DistinctRecipients"))
        self.agrees_with_daemon(daemon)
        explained = self.agrees_with_daemon(daemon)  # the same recipient
        self.assertTrue(explained["passes"])
        self.assertEqual([(limit["unit"], limit["used"], limit["full"])
                          for limit in explained["limits"]], [("distinct recipients", 1, False)])
        self.assertFalse(self.agrees_with_daemon(daemon, recipient="other@example.com")["passes"])

    def test_a_limit_that_only_monitors_refuses_nothing(self):
        daemon = self.make_daemon(policy() + quota(1, verdict=None))
        daemon.ask()
        explained = self.agrees_with_daemon(daemon)
        self.assertTrue(explained["passes"])
        self.assertTrue(explained["limits"][0]["full"])

    def test_reports_modules_that_are_off_or_not_asked(self):
        daemon = self.make_daemon(CHECK_HELO + always("too large"), modules=("CheckHelo", "Quotas"))
        explained = self.explain(daemon, helo="192.0.2.10")
        modules = {m["name"]: m for m in explained["modules"]}
        self.assertEqual([m["name"] for m in explained["modules"]],
                         ["AccessControl", "CheckHelo", "CheckSPF", "Greylisting", "Quotas",
                          "Accounting"])
        self.assertFalse(modules["Accounting"]["enabled"])
        self.assertTrue(modules["CheckHelo"]["final"])
        self.assertTrue(modules["Quotas"]["enabled"])
        self.assertFalse(modules["Quotas"]["asked"])

    def test_a_quota_after_one_that_ends_the_check_is_not_asked(self):
        daemon = self.make_daemon(
            policy("@example.org") + quota(9, last_quota=1) + policy() + quota(1, track="Policy") +
            policy("$*") + quota(1, track="SASLUsername") + "UPDATE policies SET Disabled = 1 WHERE ID = 5;")
        for _ in range(3):
            explained = self.agrees_with_daemon(daemon)
        self.assertEqual([(row["row_id"], row["used"], row["ended_by"]) for row in explained["limits"]],
                         [(3, 2, None), (4, 0, 3)])
        self.assertEqual(explained["notes"][0],
                         "quota 4 is not asked about this mail: quota 3 ends the check (LastQuota).")
        out = self.run_it(daemon, "--from", "alice@example.org", "--to", "bob@example.com")
        self.assertRegex(out, r"quota 4  all together +0 of 1 messages per minute +not asked")
        said = "limit 3 ends the check (LastQuota): limits 4 and 5 after it neither count nor refuse"
        self.assertIn(f"Ends      {said} the mail that it matches\n", daemon.command("show", "3").stdout)
        self.assertIn("After     limit 3, which ends the check (LastQuota): mail that it matches too is "
                      "neither counted nor refused here\n", daemon.command("show", "5").stdout)
        self.assertIn("Note: limit 3 ends the check (LastQuota): limits after it neither count nor "
                      "refuse mail that it matches; 'carbonio-limits show 3' says which.\n",
                      daemon.command("list").stdout)
        self.assertNotIn("Command", daemon.command("show", "3").stdout)
        self.assertEqual([json.loads(daemon.command("show", limit, "--json").stdout)["ended_by"]
                          for limit in ("3", "4", "5")], [[], [3], [3]])
        checked = daemon.command("doctor", check=False).stdout
        self.assertIn(f"  ok           {said} the mail that it matches\n", checked)
        # Strangers' mail is asked about by all.
        self.assertEqual([row["ended_by"] for row in self.explain(daemon, "x@example.net")["limits"]],
                         [None])
        daemon.sql("UPDATE quotas SET Disabled = 1 WHERE ID = 3")
        for words in (["list"], ["show", "5"], ["doctor"]):
            self.assertNotIn("limit 3", daemon.command(*words, check=False).stdout)
        daemon.sql("UPDATE quotas SET Disabled = 0, LastQuota = LastQuota * 2")  # only 1 ends it
        for words in (["list"], ["show", "5"]):
            self.assertNotIn("ends the check", daemon.command(*words).stdout)
        daemon.sql("UPDATE quotas SET LastQuota = LastQuota / 2; "
                   "UPDATE policies SET Priority = 9 WHERE ID = 6")
        self.assertNotIn("ends the check", daemon.command("list").stdout)

    def test_an_invalid_row_is_the_reason(self):
        daemon = self.make_daemon(policy() + quota(track="Sender"))
        explained = self.agrees_with_daemon(daemon)
        self.assertIn("'Sender' is not a valid Track", explained["answer"]["why"])

    def test_the_text_begins_with_the_answer(self):
        daemon = self.make_daemon(policy() + quota(1))
        daemon.ask()
        out = self.run_it(daemon, "--from", "Alice@example.org", "--to", "bob@example.com")
        self.assertTrue(out.startswith("REFUSED FOR NOW\n"), out)
        self.assertIn("action=DEFER later", out)
        self.assertIn("carbonio-limits reset alice@example.org", out)
        self.assertIn("--sasl", out)
        out = self.run_it(daemon, "--from", "<>", "--to", "bob@example.com")
        self.assertTrue(out.startswith("PASSES\n"), out)

    def test_a_limit_of_each_message_has_no_counter_to_clear(self):
        daemon = self.make_daemon(policy() + quota(5120, "SizePerMessage", verdict="REJECT"))
        out = self.run_it(daemon, "--from", "alice@example.org", "--to", "bob@example.com", "--size", "9000000")
        self.assertIn("allows at most 5120 KiB per message, and this one has 8790", " ".join(out.split()))
        self.assertNotIn("carbonio-limits reset", out)

    def test_database_trouble_of_the_daemon_is_a_note(self):
        daemon = self.make_daemon(policy() + quota(1, period=86400))
        locker = sqlite3.connect(daemon.database, isolation_level=None)
        self.addCleanup(locker.close)
        locker.execute("BEGIN IMMEDIATE")
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER later"])
        self.assertTrue(eventually(lambda: self.explain(daemon)["notes"]))
        words = (r"the daemon has trouble with its database \(.*locked.*\); "
                 "1 counter is only in memory")
        self.assertRegex(self.explain(daemon)["notes"][0], words + "; its answers may differ")
        mail = ("--from", "alice@example.org", "--to", "bob@example.com")
        self.assertRegex(self.run_it(daemon, *mail), f"Note: {words}")
        self.assertRegex(daemon.command("usage").stdout, rf"Note: {words}\.")
        copy = daemon.command("backup").stdout
        self.assertRegex(copy, f"Note: {words} and not in the copy")

    def test_a_usage_error_is_one_line(self):
        daemon = self.make_daemon(start=False)
        good = {"--from": "a@x.org", "--to": "b@y.org"}
        for option, value in (("--from", "@x.org"), ("--from", "a@x .org"), ("--to", ""), ("--to", "<>"),
                              ("--client", "300.1.1.1"), ("--size", "-1"), ("--size", "1T"),
                              ("--size", "99999999999999999999"), ("--sasl", "a\nb")):
            words = [word for pair in {**good, option: value}.items() for word in pair]
            error = self.run_it(daemon, *words, status=1)
            self.assertEqual(error.count("\n"), 1, error)
        self.assertIn("--to is missing", self.run_it(daemon, "--from", "a@x.org", status=1))


if __name__ == "__main__":
    unittest.main()
