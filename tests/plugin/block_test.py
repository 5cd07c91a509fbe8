#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`block`, `unblock` and `blocked` on a host without Carbonio: at once and for all spellings, without
AccessControl, before other rules, in a pause and over restarts; ended by itself; nobody else is
harmed; shown by what shows limits."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import DaemonTest, eventually, insert, last, policy, quota  # noqa: E402

ACCOUNT = "REJECT Sending is blocked for this account; please contact your administrator"
CLIENT = "REJECT Mail from this client is blocked; please contact the administrator"


class Case(DaemonTest):
    rules = policy() + quota(1000)
    options: dict = {}

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(self.rules, options=self.options)

    def say(self, *words, status=0):
        done = self.daemon.command(*words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
        self.assertEqual(json_keys.undocumented(words, done.stdout), set())
        return done.stdout if status == 0 else done.stderr

    def type_it(self, text, word):
        """Types the command in quotation marks of this text that has the word."""
        [line] = {each for each in re.findall(r"'(carbonio-limits [^']*)'", text) if word in each}
        return self.say(*shlex.split(line)[1:])

    def blocked(self):
        return json.loads(self.say("blocked", "--json"))["blocked"]

    def one_domain(self):
        self.daemon.sql("DELETE FROM policy_group_members WHERE Member = '@example.com';")

    def assert_passes(self, **attributes):
        self.assertEqual(self.daemon.ask(**attributes), "DUNNO", attributes)

    def assert_blocked(self, text=ACCOUNT, **attributes):
        self.assertEqual(self.daemon.ask(**attributes), text, attributes)


class Block(Case):
    def test_an_account_in_both_spellings_and_nobody_else(self):
        self.one_domain()
        self.assert_passes(sasl_username="alice")
        said = self.say("block", "Alice@example.org")
        self.assertIn("Blocked alice@example.org until unblocked.\n", said)
        self.assertIn("Refused from now on: mail of login alice@example.org, sender "
                      "alice@example.org and login alice.\n", said)
        for attributes in ({}, {"sender": "ALICE@example.org"},
                           {"sender": "x@example.net", "sasl_username": "alice"},
                           {"sender": "", "sasl_username": "Alice@example.org"}):
            self.assert_blocked(**attributes)
        for attributes in ({"sender": "malice@example.org"}, {"sender": "alice@example.com"},
                           {"sender": "bob@example.org", "sasl_username": "bob"},
                           {"sender": "bob@example.org", "recipient": "alice@example.org"}):
            self.assert_passes(**attributes)
        self.assertIn("Unblocked alice@example.org", self.type_it(said, "unblock"))
        self.assert_passes()
        self.assert_passes(sasl_username="alice")
        self.assertEqual(self.blocked(), [])

    def test_a_login_is_also_the_address_where_that_is_known(self):
        self.say("block", "alice")
        self.assert_blocked(sasl_username="alice", sender="x@example.net")
        self.assert_passes()
        self.say("unblock", "alice")
        self.one_domain()
        self.say("block", "alice")
        self.assert_blocked()
        self.say("unblock", "alice@example.org")  # the other spelling
        self.assert_passes()

    def test_of_several_domains_the_login_has_a_command_of_its_own(self):
        said = self.say("block", "alice@example.org")
        self.assert_passes(sender="x@example.net", sasl_username="alice")
        self.type_it(said, "carbonio-limits block")
        self.assert_blocked(sender="x@example.net", sasl_username="alice")
        self.assertEqual([each["who"] for each in self.blocked()], ["alice@example.org", "alice"])

    def test_clients_and_networks(self):
        inside = {"client_address": "198.51.100.10"}
        for who in ("198.51.100.10", "198.51.100.0/24"):
            said = self.say("block", who)
            self.assertIn(f"mail of client {who}.", said)
            self.assert_blocked(CLIENT, **inside)
            self.assert_passes(client_address="203.0.113.1")
            self.say("unblock", who)
            self.assert_passes(**inside)
        self.say("block", "2001:db8::1")
        self.assert_blocked(CLIENT, client_address="2001:db8::1")
        self.assert_passes(client_address="2001:db8::2")

    def test_an_ipv6_client_in_any_spelling(self):
        said = self.say("block", "2001:DB8:0:0::1")
        self.assertIn("Blocked 2001:db8::1/128 ", said)
        self.assert_blocked(CLIENT, client_address="2001:db8::1")
        self.assert_passes(client_address="2001:db8::2")
        for who in ("2001:db8::1", "2001:0db8:0::0001/128"):
            self.assertIn("Unblocked", self.say("unblock", who))
            self.assert_passes(client_address="2001:db8::1")
            self.say("block", "2001:db8::1")

    def test_a_client_in_a_blocked_network_has_the_command(self):
        inside = {"client_address": "198.51.100.10"}
        self.say("block", "198.51.100.0/24")
        said = self.say("unblock", "198.51.100.10")
        self.assertIn("Nothing to change: 198.51.100.10 is not blocked", said)
        self.assertIn("198.51.100.10 is in 198.51.100.0/24, which is blocked", said)
        self.assert_blocked(CLIENT, **inside)
        self.type_it(said, "carbonio-limits unblock")
        self.assert_passes(**inside)

    def test_past_blocks(self):
        self.assertIn("No one was blocked.", self.say("blocked", "--past"))
        self.say("block", "alice@example.org")
        self.say("unblock", "alice@example.org")
        self.say("block", "192.0.2.7")
        self.assertRegex(self.say("blocked"), r"(?m)^192\.0\.2\.7 +\S+ +unblocked ")
        past = json.loads(self.say("blocked", "--past", "--json"))["past"]
        self.assertEqual([(each["who"], each["blocked"], each["command"]) for each in past],
                         [("192.0.2.7", True, "carbonio-limits block 192.0.2.7"),
                          ("alice@example.org", False, "carbonio-limits unblock alice@example.org"),
                          ("alice@example.org", True, "carbonio-limits block alice@example.org")])
        self.assertRegex(self.say("blocked", "--past"),
                         r"(?m)^\d\d:\d\d +alice@example\.org +unblocked +\S+ .*unblock alice")
        self.assertEqual(json.loads(self.say("blocked", "--past", "--since", "1day", "--json"))
                         ["past"], past)
        self.assertIn("--since needs --past", self.say("blocked", "--since", "1day", status=1))

    def test_ends_by_itself_and_is_removed_by_the_next(self):
        self.assertIn("Blocked alice@example.org until 20", self.say("block", "alice@example.org",
                                                                     "--for", "3s"))
        self.assert_blocked()
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DUNNO"))
        [block] = self.blocked()
        self.assertFalse(block["in_force"])
        self.assertGreaterEqual(block["until"], block["since"] + 3)
        self.assertIn("  over\n", self.say("blocked"))
        self.assertNotIn("refused", self.say("list"))
        self.say("block", "alice@example.org", "--for", "1h")
        self.assert_blocked()
        self.assertEqual(len(self.blocked()), 1)

    def test_lasts_over_restarts_and_a_crash(self):
        self.say("block", "alice@example.org", "--for", "1h")
        self.daemon.restart()
        self.assert_blocked()
        self.daemon.kill()
        self.daemon.start()
        self.assert_blocked()

    def test_a_pause_does_not_let_it_through(self):
        self.say("block", "alice@example.org")
        for words in (("pause",), ("pause", "--uncounted")):
            self.say(*words)
            self.assert_blocked()
            with self.daemon.connect() as connection:  # the same message, asked again
                for _ in range(2):
                    self.assertEqual(connection.ask(instance="p.1"), ACCOUNT)
            self.assert_passes(sender="bob@example.org")
            explained = self.say("explain", "--from", "alice@example.org", "--to", "b@example.com")
            self.assertRegex(explained, r"(?m)^REFUSED$")
        self.say("unblock", "alice@example.org")
        self.assert_passes()

    def test_twice_replaces_the_first(self):
        self.say("block", "alice@example.org", "--for", "2h")
        [first] = self.blocked()
        said = self.say("block", "alice@example.org")
        self.assertIn("It was blocked already, until 20", said)
        [second] = self.blocked()
        self.assertEqual((second["since"], second["until"]), (first["since"], None))
        self.assertIn("It was blocked already, until unblocked.",
                      self.say("block", "alice@example.org", "--for", "1min"))
        self.assertEqual(len(self.blocked()), 1)

    def test_the_log_and_the_events_know_it(self):
        self.say("block", "alice@example.org")
        self.assert_blocked()
        self.daemon.wait_for_log("module=AccessControl, action=reject, host=192.0.2.10, "
                                 "helo=client.example.net, from=alice@example.org, "
                                 "to=bob@example.com, reason=verdict")
        self.assertTrue(eventually(lambda: json.loads(self.say("refused", "--json"))["refused"]))
        self.assertRegex(self.say("refused"), r"alice@example\.org .* block ")
        self.say("unblock", "alice@example.org")
        events = self.daemon.query("SELECT Kind, Who, Detail FROM limits_events WHERE Kind IN "
                                   "('locked', 'released') ORDER BY ID")
        self.assertEqual([kind for kind, _, _ in events], ["locked", "released"])
        self.assertEqual([detail for _, _, detail in events],
                         ["carbonio-limits block alice@example.org",
                          "carbonio-limits unblock alice@example.org"])
        self.assertTrue(all(who for _, who, _ in events))

    def test_what_was_sent_in_the_last_day(self):
        self.assertIn("alice@example.org: nothing was sent or refused since ",
                      self.say("block", "alice@example.org"))
        self.say("unblock", "alice@example.org")
        for number in range(3):
            self.daemon.ask(instance=f"s.{number}")
            self.daemon.ask(instance=f"s.{number}", protocol_state="END-OF-MESSAGE",
                            recipient_count="1", queue_id=f"Q{number}")
        said = self.say("block", "alice@example.org")
        self.assertIn("alice@example.org: 3 messages (6 KiB) to 3 recipients since ", said)
        self.assertIn("'carbonio-limits unblock alice@example.org' ends it.",
                      self.say("history", "alice@example.org"))

    def send(self, number, **attributes):
        self.daemon.ask(instance=f"s.{number}", **attributes)
        self.daemon.ask(instance=f"s.{number}", protocol_state="END-OF-MESSAGE",
                        recipient_count="1", queue_id=f"Q{number}", **attributes)

    def test_what_was_sent_under_all_names_that_are_blocked(self):
        self.one_domain()
        for number in range(3):
            self.send(number, sender=f"forged{number}@example.net", sasl_username="alice")
        self.send(3)
        self.send(4, sender="bob@example.org", sasl_username="bob")
        for who in ("alice@example.org", "alice"):
            said = self.say("block", who, "--dry-run").replace("\n", " ")
            self.assertIn(f"{who}: 4 messages (8 KiB) to 4 recipients since ", said)
            self.assertIn("under 4 sender names", said)
            self.assertEqual(json.loads(self.say("history", who, "--json"))["messages"], 4, who)

    def test_a_name_that_may_be_mistyped_is_noted(self):
        self.one_domain()
        self.send(0, sender="forged@example.net", sasl_username="carl")
        self.send(1, sender="bob+list@example.org")
        said = self.say("block", "carll@exmaple.org").replace("\n", " ")
        self.assertIn("Note: exmaple.org is not among this server's own domains (group "
                      "internal_domains)", said)
        self.assertIn("Note: carll@exmaple.org has sent nothing in the last 30 days, and nothing of "
                      "it was refused; did you mean carl@example.org?", said)
        self.assertIn("did you mean carl@example.org?", self.say("block", "carll"))
        nosuch = self.say("block", "nosuch@example.org").replace("\n", " ")
        self.assertIn("nothing of it was refused; check the name.", nosuch)
        self.assertNotIn("internal_domains", nosuch)
        for known in ("carl", "carl@example.org", "198.51.100.1"):
            self.assertNotIn("Note:", self.say("block", known), known)

    def test_a_name_is_taken_as_it_is_shown(self):
        self.send(0, sender="forged@example.net", sasl_username="carl")
        self.assertIn("Blocked carl until", self.say("block", "login carl"))
        self.assertIn("carl: 1 message ", self.say("history", "login carl"))
        self.assertIn("Unblocked carl", self.say("unblock", "login carl"))
        self.say("send", "5/h", "--per", "account", "--anyone")
        self.send(1, sender="forged@example.net", sasl_username="carl")
        self.assertIn("login carl", self.say("usage", "login carl"))
        self.assertIn("Cleared the counters of carl", self.say("reset", "login carl"))

    def test_usage_and_reset_know_both_spellings(self):
        self.one_domain()
        self.send(0)
        self.send(1, sender="carl.smith@example.org")
        for who in ("alice", "carl.smith"):
            self.assertIn(f"{who}@example.org", self.say("usage", who))
            self.assertIn(f"Cleared the counters of {who} ", self.say("reset", who))
            self.assertNotIn(f"{who}@example.org", self.say("usage", who))

    def test_list_explain_and_doctor_show_it(self):
        self.say("block", "alice@example.org", "--for", "1h")
        self.assertIn("all mail of alice@example.org is refused", self.say("list"))
        self.assertEqual(json.loads(self.say("list", "--json"))["blocked"], ["alice@example.org"])
        said = self.say("explain", "--from", "alice@example.org", "--to", "bob@example.com")
        self.assertIn("alice@example.org is blocked until 20", " ".join(said.split()))
        self.assertRegex(said, r"(?m)^AccessControl +reject")
        explained = json.loads(self.say("explain", "--from", "alice@example.org", "--to",
                                        "bob@example.com", "--json"))
        self.assertEqual(explained["answer"]["verdict"], "reject")
        done = self.daemon.command("doctor", "--json", check=False)
        [finding] = [each for each in json.loads(done.stdout)["findings"]
                     if each["check"] == "rules.blocked"]
        self.assertIn("alice@example.org", finding["what"])
        self.type_it(said.replace("\n", " "), "unblock")
        self.assert_passes()

    def test_a_dry_run_prints_statements_that_do_the_same(self):
        before = self.daemon.query("SELECT * FROM policies")
        said = self.say("block", "alice@example.org", "--for", "1h", "--dry-run")
        self.assertTrue(said.startswith("Would block alice@example.org until "), said)
        self.assertTrue(said.endswith("Nothing was changed (--dry-run).\n"))
        self.assertEqual(self.daemon.query("SELECT * FROM policies"), before)
        self.assert_passes()
        self.daemon.sql("\n".join(line for line in said.splitlines()
                                  if line.startswith(("INSERT", "DELETE"))))
        self.assert_blocked()
        self.assertIn("Would unblock", self.say("unblock", "alice@example.org", "--dry-run"))
        self.assert_blocked()

    def test_stays_where_it_was_made(self):
        """An old file brings no block back, and a new database loses none."""
        self.say("block", "alice@example.org", "--for", "1h")
        backup = self.daemon.database.with_name("backup")  # its owner writes it
        exported = self.daemon.folder / "exported"
        self.say("backup", str(backup))
        exported.write_text(self.say("export"))
        self.assertNotIn("carbonio-limits block", exported.read_text())
        with exported.open("a") as file:
            file.write("row policies 'Name=carbonio-limits block alice@example.org' Priority=-1000\n"
                       "row policy_members Source=alice@example.org Destination=any\n"
                       "row access_control Name=block Verdict=REJECT 'Comment=account=active by=root'\n")
        self.say("unblock", "alice@example.org")
        self.assertIn("1 block in the file was left out", self.say("import", str(exported)))
        self.assertIn("blocked in the copy, but not now: alice@example.org; ",
                      self.say("restore", str(backup)))
        self.assertEqual(self.blocked(), [])
        self.say("block", "alice@example.org")
        self.say("block", "192.0.2.1", "--for", "1h")
        self.daemon.sql("UPDATE policies SET Disabled = 1 WHERE Name = 'carbonio-limits block "
                        "alice@example.org'; UPDATE access_control SET Comment = 'since="
                        "2026-11-26T03:00:00Z account=active by=root' WHERE PolicyID = (SELECT ID "
                        "FROM policies WHERE Name = 'carbonio-limits block alice@example.org');")
        self.daemon.sql("UPDATE access_control SET Verdict = 'DISCARD', Data = 'spam' WHERE PolicyID = "
                        "(SELECT ID FROM policies WHERE Name LIKE 'carbonio-limits block 192.0.2.1%');")
        before = self.blocked()
        for words in (("restore", str(backup)), ("init", "--force")):
            self.assertIn("Blocks stay as they were: alice@example.org and 192.0.2.1.\n",
                          self.say(*words))
            self.assertEqual(self.blocked(), before)
            self.assertTrue(eventually(
                lambda: self.daemon.ask(client_address="192.0.2.1") == "DISCARD spam"))

    def test_rows_are_what_the_perl_daemon_reads(self):
        self.say("block", "alice@example.org", "--for", "1h")
        [[priority, disabled]] = self.daemon.query(
            "SELECT Priority, Disabled FROM policies WHERE Name LIKE 'carbonio-limits block %'")
        self.assertEqual((priority, disabled), (-1000, 0))
        self.assertEqual(
            self.daemon.query("SELECT Verdict, Data, Disabled FROM access_control"),
            [("REJECT", ACCOUNT.removeprefix("REJECT "), 0)])
        self.assertEqual(
            self.daemon.query("SELECT Source, Destination, Disabled FROM policy_members WHERE "
                              "PolicyID = (SELECT max(ID) FROM policies) ORDER BY ID"),
            [("$alice@example.org", "any", 0), ("alice@example.org", "any", 0)])

    def test_without_carbonio_sync_removes_what_is_over(self):
        self.say("block", "alice@example.org", "--for", "1s")
        self.say("block", "bob@example.org")
        self.assertTrue(eventually(lambda: "Would unblock alice@example.org" in self.say("sync", "--dry-run")))
        self.assertEqual(self.say("sync"),
                         "Unblocked alice@example.org, whose block is over.\n"
                         "Carbonio is not installed here, so the groups are unchanged.\n")
        self.assertEqual([each["who"] for each in self.blocked()], ["bob@example.org"])


class BesideAccessControl(Case):
    rules = (policy() + insert("access_control", PolicyID=last("policies"), Name="ok",
                               Verdict="OK") + policy(priority=-2000) +
             insert("access_control", PolicyID=last("policies"), Name="first", Verdict="OK"))

    def setUp(self):
        DaemonTest.setUp(self)
        self.daemon = self.make_daemon(self.rules, modules=("AccessControl", "Quotas"))

    def test_goes_before_rows_that_let_mail_pass(self):
        self.assertEqual(self.daemon.ask(), "OK")
        self.say("block", "alice@example.org", "--for", "3s")
        self.assert_blocked()
        self.assertEqual(self.daemon.ask(sender="bob@example.org"), "OK")
        self.assertTrue(eventually(lambda: self.daemon.ask() == "OK"))


class WithoutAnyModule(Case):
    rules = ""

    def setUp(self):
        DaemonTest.setUp(self)
        self.daemon = self.make_daemon(modules=())

    def test_holds(self):
        self.assert_passes()
        self.say("block", "alice@example.org")
        self.assert_blocked()
        self.assert_passes(sender="bob@example.org")
        self.say("unblock", "alice@example.org")
        self.assert_passes()


class Wrong(Case):
    def test_what_cannot_be_blocked(self):
        for who, words in ((None, "whom?"), ("", "whom?"), ("@example.org", "is a domain"),
                           ("a b", "not a valid login"), ("a@b@c", "more than one '@'"),
                           ("192.0.2.0/33", "not a valid network"), ("*", "more than one account")):
            for command in ("block", "unblock"):
                with self.subTest(who=who, command=command):
                    self.assertIn(words, self.say(command, *([] if who is None else [who]),
                                                  status=1))
        for duration in ("0s", "31day", "tomorrow", "-1h", "1h,2h", "1/h"):
            self.assertIn("--for: not a valid duration",
                          self.say("block", "alice", f"--for={duration}", status=1))
        self.assertIn("a client is no account", self.say("block", "192.0.2.1", "--account", status=1))
        self.assertIn("cannot be combined",
                      self.say("unblock", "alice", "--release", "--delete", status=1))
        self.assertEqual(self.blocked(), [])

    def test_who_is_never_blocked(self):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            "[block]\nnever = boss, news@example.org\n")
        for who in ("postmaster", "postmaster@example.org", "127.0.0.1", "10.0.0.0/8", "boss",
                    "news@example.org", "example.org"):
            with self.subTest(who=who):
                said = self.say("block", who, status=2)
                self.assertIn(f"{who} cannot be blocked: ", said)
                self.assertIn("nothing was changed", said)
        self.assertEqual(self.blocked(), [])
        self.assertIn("carbonio-limits.conf:2: not a valid never",
                      self.never("boss, *@example.org", "block", "bob@example.org"))
        self.assertIn("carbonio-limits.conf:2: not a valid never",
                      self.never("192.0.2.300", "block", "bob@example.org"))
        self.never("boss\nnever = alice", "block", "alice")
        self.say("block", "boss")  # the last value counts
        self.assertIn("has addresses of this host", self.never("", "block", self.own_address()))

    def never(self, value, *words):
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            f"[block]\nnever = {value}\n")
        return self.say(*words, status=2)

    def own_address(self):
        lines = subprocess.run(["hostname", "-I"], capture_output=True, text=True,
                               check=False).stdout.split()
        return lines[0] if lines else "127.0.0.1"

    def test_who_is_not_blocked(self):
        said = self.say("unblock", "alice")
        self.assertIn("Nothing to change: alice is not blocked", said)
        self.assertIn("No one is blocked.", self.type_it(said, "blocked"))

    def test_a_block_switched_off_by_hand_is_found_and_written_again(self):
        self.say("block", "alice@example.org")
        for change in ("UPDATE policies SET Disabled = 1 WHERE Priority = -1000;",
                       "UPDATE access_control SET Disabled = 1;",
                       "UPDATE access_control SET Verdict = 'OK';",
                       "DELETE FROM policy_members WHERE PolicyID = (SELECT ID FROM policies "
                       "WHERE Priority = -1000);"):
            with self.subTest(change):
                self.daemon.sql(change)
                self.assert_passes()
                self.assertIn("not in force", self.say("blocked"))
                done = self.daemon.command("doctor", "--json", check=False)
                [finding] = [each for each in json.loads(done.stdout)["findings"]
                             if each.get("problem") == "rules.block_off"]
                environment = {**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder),
                               "PATH": f"{self.daemon.programs}:{os.environ['PATH']}"}
                subprocess.run(["sh", "-c", finding["fix"]], check=True, env=environment,
                               capture_output=True, timeout=60)
                self.assert_blocked()


if __name__ == "__main__":
    unittest.main()
