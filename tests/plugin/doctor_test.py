#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`carbonio-limits doctor` on a running daemon and a Postfix's configuration without problems, and
then with one thing broken at a time."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import (  # noqa: E402
    DaemonTest, bin_dir, eventually, insert, last, limit, needs_root, quota)
from postfix_instance import MASTER_CF, main_cf  # noqa: E402

OWN_GROUPS = """
DELETE FROM policy_group_members;
INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (1, '127.0.0.0/8');
INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (2, '@mine.example');
"""


def policy(source="%internal_domains,$*", destination="any", name="a policy", priority=0):
    return (insert("policies", Name=name, Priority=priority, Description="") +
            insert("policy_members", PolicyID=last("policies"), Source=source,
                   Destination=destination))


class DoctorTest(DaemonTest):
    def make(self, sql="", **settings):
        self.daemon = self.make_daemon(OWN_GROUPS + sql, **settings)
        self.write_postfix()
        return self.daemon

    def write_postfix(self, edit=lambda text: text, master=MASTER_CF):
        folder = self.daemon.folder / "postfix"
        folder.mkdir(exist_ok=True)
        check = f"check_policy_service inet:localhost:{self.daemon.port},"
        main = main_cf(folder, check).replace(
            "check} permit_mynetworks", "check}").replace(
            f"smtpd_sender_restrictions = {check}",
            f"smtpd_sender_restrictions = {check} reject_sender_login_mismatch,")
        # Empty, as the daemon's: postconf takes what Postfix does not.
        (folder / "main.cf").write_text(edit(main + "myorigin =\n"))
        (folder / "master.cf").write_text(
            master.format(smtp="2525", submission="2587", reinject="2028"))
        for file in folder.iterdir():
            os.utime(file, (0, 0))  # postconf waits until a file is two seconds old
        return folder

    def run_it(self, *arguments, status, path=None):
        done = subprocess.run(
            [bin_dir() / "carbonio-limits", "doctor", "--postfix-config",
             str(self.daemon.folder / "postfix"), *arguments], text=True, capture_output=True,
            timeout=60, env={"PATH": path or os.environ["PATH"],
                             "ZEXTRAS_HOME": str(self.daemon.folder)})
        self.assertIn(done.returncode, (0, 3) if status is None else (status,),
                      done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertEqual(json_keys.undocumented(("doctor", *arguments), done.stdout), set())
        return done.stdout

    def settle(self):
        """Waits until the daemon reports that the current rules are in force: the command waits only
        four seconds for that, which may be too short on a busy machine."""
        if self.daemon.process is None:
            return
        ((version,),) = self.daemon.query("SELECT Version FROM limits_rules_version")
        self.assertTrue(eventually(lambda: json.loads(
            self.daemon.status_file.read_text())["rules"]["version"] == version))

    def wrong(self, status=3, settled=True):
        """The problems: check -> [finding]. Settles first, unless told not to."""
        if settled:
            self.settle()
        report = json.loads(self.run_it("--json", status=status))
        found = {}
        for finding in report["findings"]:
            if finding["state"] == "wrong":
                for key in ("what", "why", "fix"):
                    self.assertTrue(finding[key])
                    self.assertNotIn("\n", finding[key])
                found.setdefault(finding["check"], []).append(finding)
        self.assertEqual(report["wrong"], sum(map(len, found.values())))
        return found

    def only(self, check, *words):
        """The only problem. Returns the finding."""
        found = self.wrong()
        self.assertEqual(list(found), [check], found)
        [finding] = found[check]
        for word in words:
            self.assertIn(word, finding["what"])
        return finding

    def type_it(self, finding):
        """Runs the fix by hand."""
        command = finding["fix"].replace(
            "carbonio-limits ", f"{bin_dir()}/carbonio-limits ")
        done = subprocess.run(command, shell=True, text=True, capture_output=True, timeout=60,
                              env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def fix(self, finding):
        """Likewise; afterwards no problem is left."""
        self.type_it(finding)
        self.assertEqual(self.wrong(status=0), {})


class Well(DoctorTest):
    def test_exit_status_0_and_lists_what_was_checked(self):
        self.make(policy() + quota())
        out = self.run_it(status=0)
        self.assertIn("No problems found", out)
        for words in ("integrity", "Quotas is switched on", "the daemon answers on localhost:",
                      "the current rules are in force", "Postfix asks about all mail"):
            self.assertIn(words, out)

    def test_changes_nothing(self):
        self.make(policy() + quota())
        dump = self.daemon.sql(".dump")
        self.wrong(status=0)
        self.assertEqual(self.daemon.sql(".dump"), dump)

    def test_what_cannot_be_checked_is_no_fault(self):
        self.make(policy() + quota())
        broken = self.daemon.folder / "bin-only"
        broken.mkdir()
        (broken / "postconf").write_text("#!/bin/sh\necho $0: no main.cf >&2\nexit 1\n")
        (broken / "postconf").chmod(0o755)
        out = self.run_it(status=0, path=f"{broken}:/usr/bin:/bin")
        self.assertRegex(out, r"not checked +whether Postfix asks: [^ ]+: no main.cf")


class Rows(DoctorTest):
    def test_a_quota_of_a_policy_that_does_not_exist(self):
        self.make(policy() + quota() + insert("quotas", PolicyID=66, Name="q", Track="Policy",
                                              Period=60, Verdict="DEFER", Data="") + limit(5))
        self.fix(self.only("rules.orphans", "quotas 4 refers to policy 66, which"))

    def test_a_quota_whose_policy_is_gone_goes_with_its_limits(self):
        self.make(policy() + quota() + insert("quotas", PolicyID=66, Name="q", Track="Policy",
                                              Period=60, Verdict="DEFER", Data="") + limit(5))
        finding = self.only("rules.orphans", "quotas 4 refers to policy 66, which")
        self.assertIn("DELETE FROM quotas_limits", finding["fix"])
        self.fix(finding)
        self.assertEqual(self.daemon.sql("SELECT count(*) FROM quotas_limits WHERE QuotasID = 4;"),
                         "0\n")

    def test_a_limit_of_a_quota_that_does_not_exist(self):
        self.make(policy() + quota() +
                  insert("quotas_limits", QuotasID=77, Type="MessageCount", CounterLimit=5))
        self.fix(self.only("rules.orphans", "quotas_limits 5 refers to quota 77, which"))

    def test_rows_that_the_daemon_does_not_understand(self):
        for change, word in (("quotas SET Track = 'Sender:user'", "'Sender:user' is not a valid Track"),
                             ("quotas SET Verdict = 'DEFFER'", "'DEFFER' is not a valid Verdict"),
                             ("quotas SET Period = '1h'", "Period"),
                             ("quotas_limits SET CounterLimit = '1,000'", "CounterLimit")):
            with self.subTest(change):
                self.make(policy() + quota())
                table = change.split()[0]
                self.daemon.sql(f"UPDATE {change} WHERE ID = (SELECT max(ID) FROM {table});")
                self.fix(self.only("rules.rows", word))

    def test_a_guess_is_no_fix(self):
        for change in ("quotas SET Track = 'Sender'", "quotas SET Period = 0",
                       "quotas_limits SET CounterLimit = 'many'"):
            with self.subTest(change):
                self.make(policy() + quota())
                table = change.split()[0]
                self.daemon.sql(f"UPDATE {change} WHERE ID = (SELECT max(ID) FROM {table});")
                finding = self.only("rules.rows")
                self.assertFalse(finding["command"])
                self.assertIn("put what you mean in place of VALUE", finding["fix"])

    def test_a_row_that_has_all_mail_deferred_comes_first(self):
        self.make(policy("any") + quota(track="user@example.tk"))
        self.assertEqual(self.daemon.ask(), "DEFER")
        self.settle()
        first = self.run_it(status=3).split("\n")[0]
        self.assertIn("PROBLEM", first)
        self.assertIn("ALL MAIL IS DEFERRED by quotas 3: 'user@example.tk' is not a valid Track", first)
        self.daemon.wait_for_log("ERROR: quotas 3: ", "ALL MAIL IS DEFERRED")
        self.fix(self.only("rules.all_mail"))
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def test_rows_that_defer_all_their_mail(self):
        grey = insert("greylisting", PolicyID=last("policies"), Name="g", Track="SenderIP:/24",
                      GreylistPeriod=60)
        helo = insert("checkhelo", PolicyID=last("policies"), Name="h")
        for modules, row, change, words in (
                (("Greylisting",), grey, "greylisting SET UseAutoWhitelist = 1",
                 "greylisting 1: UseAutoWhitelist is set, but AutoWhitelistPeriod is not"),
                (("Greylisting",), grey, "greylisting SET UseAutoBlacklist = 1",
                 "greylisting 1: UseAutoBlacklist is set, but AutoBlacklistPeriod is not"),
                (("CheckHelo",), helo, "checkhelo SET UseHRP = 1, HRPLimit = 3",
                 "checkhelo 1: UseHRP is set, but HRPPeriod is not"),
                (("CheckHelo",), helo, "checkhelo SET UseHRP = 1, HRPPeriod = 60",
                 "checkhelo 1: UseHRP is set, but HRPLimit is not"),
                (("AccessControl",), insert("access_control", PolicyID=last("policies"), Name="a",
                                            Verdict="DEFER"),
                 "access_control SET Name = 'b'", "access_control 1: 'DEFER' is not a valid Verdict; use HOLD"),
                ((), "", "quotas SET Verdict = 'OK' WHERE ID > 2",
                 "quotas 3: 'OK' is not a valid Verdict; use DEFER")):
            with self.subTest(change):
                self.make(policy() + quota() + row + f"UPDATE {change};",
                          modules=("Quotas", *modules))
                if modules:
                    self.assertTrue(self.daemon.ask(sasl_username="a", sender="a@mine.example")
                                    .startswith("DEFER"))
                [finding] = self.wrong()["rules.rows"]
                self.assertIn(words, finding["what"])
                if finding["command"]:  # greylisted is 451
                    self.type_it(finding)
                    self.assertNotIn("rules.rows", self.wrong(status=None))
                    self.assertFalse(self.daemon.ask(sasl_username="b", sender="b@mine.example")
                                     .startswith("DEFER"))

    def test_what_other_policies_set_counts(self):
        self.make(policy("any") + insert("checkhelo", PolicyID=last("policies"), Name="h",
                                         HRPPeriod=60, HRPLimit=3) +
                  policy("$-") + insert("checkhelo", PolicyID=last("policies"), Name="h", UseHRP=1),
                  modules=("CheckHelo", "Quotas"))
        self.wrong(status=0)
        self.daemon.sql("UPDATE policy_members SET Source = '@far.example' WHERE PolicyID = 6;")
        found = self.wrong()["rules.rows"]
        self.assertEqual([finding["what"] for finding in found], [
            f"checkhelo 2: UseHRP is set, but {column} is not: mail is deferred unless another "
            "matching policy sets it" for column in ("HRPPeriod", "HRPLimit")])

    def test_an_item_that_is_none(self):
        self.make(policy("$*,foo bar") + quota())
        finding = self.only("rules.rows", "'foo bar' is not an address")
        self.assertIn("UPDATE policy_members SET Source = 'VALUE' WHERE ID = 6", finding["fix"])

    def test_lists_that_no_mail_matches(self):
        lists = ("a@example.org;b@example.org", "", ",", "@", "<anna@example.org>", "example.org",
                 "192.168.1.0/33", "anna@example.org,bob@example.org", "anna@@example.org",
                 "anna@example.org..", "'anna@example.org'", "Anna <anna@example.org>", "@a.org|@b.org",
                 "10.0.0.0/8,192.168.0.0/16", "$anna,$bob", "!example.org")
        self.make("".join(policy(source) + quota(track="Policy") for source in lists), start=False)
        found = self.wrong(settled=False)
        named = [f["what"] for check in ("rules.rows", "rules.doubtful") for f in found[check]]
        for number, source in enumerate(lists, 6):
            with self.subTest(source):
                self.assertEqual(len([w for w in named if w.startswith(f"policy_members {number}:")]),
                                 1, named)

    def test_what_is_valid_is_left_alone(self):
        """False alarms of earlier versions, and what looks like a fault and is none."""
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;" + "".join(
            policy(source) + quota(number, track="Policy") for number, source in enumerate((
                "%internal_domains,$*", "o'brien@mine.example,$*", "*@*.mine.example,$*",
                ".clients.example.org,$*", "mail.example.org,$*", "192.0.2,$*", "2001:db8::/48",
                "%\u0430\u0434\u043c\u0438\u043d\u044b,!%\u0430\u0434\u043c\u0438\u043d\u044b-except,$*"), 10)) +
            insert("policy_groups", Name="\u0430\u0434\u043c\u0438\u043d\u044b") +
            insert("policy_group_members", PolicyGroupID=3, Member="anna@mine.example") +
            insert("policy_groups", Name="\u0430\u0434\u043c\u0438\u043d\u044b-except") +
            policy("$-", name="\u041e\u0442\u0434\u0435\u043b sales") +
            insert("greylisting", PolicyID=last("policies"), Name="g", UseGreylisting=0, Track="") +
            insert("accounting", PolicyID=last("policies"), Name="a", Track="Policy",
                   AccountingPeriod=0, MessageCountLimit="", MessageCumulativeSizeLimit="",
                   Verdict="DEFER"), modules=("Quotas", "Accounting", "Greylisting"))
        self.wrong(status=0)

    def test_a_fault_of_a_group_that_no_limit_names(self):
        self.make(policy() + quota() + insert("policy_groups", Name="unused") +
                  insert("policy_group_members", PolicyGroupID=3, Member="10.0.0.0/99"))
        finding = self.only("rules.rows", "policy_group_members 6")
        self.assertEqual(finding["why"], "the group does not contain everyone it should")

    def test_a_table_that_is_missing_is_no_lost_reference(self):
        self.make(policy() + quota())
        self.daemon.sql("PRAGMA foreign_keys = OFF; DROP TABLE policy_groups;")
        found = self.wrong(settled=False)
        self.assertTrue(found)
        self.assertNotIn("database.lost_reference", found)
        self.assertNotIn("writable_schema", str(found))

    def test_a_limit_after_one_that_ends_the_walk(self):
        # The example limits of a fresh database would never apply either.
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;" +
                  policy("any") + quota(track="SASLUsername", last_quota=1) +
                  policy("$*", priority=5) + quota())
        self.fix(self.only("rules.last_quota", "quota 4 of policy 7", "quota 3 of policy 6"))

    def test_many_limits_after_one_that_ends_the_walk(self):
        """Ten are named, and lists of a thousand members are compared in time."""
        many = "".join(insert("policy_members", PolicyID=6, Source=f"@{i}.example,$*", Destination="any")
                       for i in range(1000))
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;" +
                  policy("@x.example,$*") + quota(track="SASLUsername", last_quota=1) +
                  "".join(quota(track="SASLUsername", period=60 + i) for i in range(12)) +
                  many + policy("@0.example,$*") + quota(9) + many.replace("VALUES (6", "VALUES (7"))
        found = self.wrong()
        [finding] = found["rules.last_quota"]
        self.assertIn("quota 13 of policy 6 (a policy) and 2 more never apply: quota 3", finding["what"])
        self.assertLess(len(finding["what"]), 600)

    def test_a_limit_whose_mail_is_all_matched_by_one_that_ends_the_walk(self):
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;" +
                  policy("%internal_domains,$*") + quota(track="SASLUsername", last_quota=1) +
                  policy("$*,%internal_domains", "@example.net") + quota(track="Policy"))
        self.fix(self.only("rules.last_quota", "quota 4 of policy 7", "quota 3 of policy 6"))

    def test_access_control_that_answers_for_all(self):
        self.make(policy("any") + insert("access_control", PolicyID=last("policies"), Name="a",
                                         Verdict="OK"), modules=("AccessControl", "Quotas"))
        self.fix(self.only("rules.access_control", "decides on all mail"))

    def test_letters_that_look_like_others(self):
        self.make(policy(name="\u0421arbonio CBPolicyD") + quota())
        finding = self.only("rules.names", "character 1 is Cyrillic (U+0421)")
        self.assertIn("SET Name = 'Carbonio CBPolicyD'", finding["fix"])
        self.fix(finding)

    def test_hostile_names_are_shown_escaped(self):
        self.make(policy("x\x1b[31m@mine.example", name="\x1b]0;\u202ename") + quota())
        for output in (self.run_it(status=3), self.run_it("--json", status=3)):
            for character in "\x1b\u202e":
                self.assertNotIn(character, output)
        self.assertFalse(self.wrong()["rules.outside"][0]["command"])

    def test_a_name_of_another_alphabet_is_a_name(self):
        self.make(policy(name="Почта") + quota())
        self.wrong(status=0)

    def test_a_quota_without_limits_and_a_policy_without_members(self):
        self.make(policy() + insert("quotas", PolicyID=last("policies"), Name="q", Track="Policy",
                                    Period=60, Verdict="DEFER", Data=""))
        self.only("rules.empty", "quota 3 of policy 6 (a policy) has no limit")
        self.make(insert("policies", Name="p", Priority=0, Description="") +
                  quota(track="SASLUsername"))
        self.only("rules.empty", "policy 6 (p) has limits, but no member that is switched on")


class Senders(DoctorTest):
    def test_a_limit_that_strangers_can_use_up(self):
        self.make(policy("@mine.example") + quota())
        self.fix(self.only("rules.outside", "limit 3 of policy 6"))

    def test_the_articles_limit_on_anyone(self):
        self.make(policy("any") + quota())
        found = self.wrong()
        self.assertEqual(sorted(found), ["rules.bounces"])
        [finding] = found["rules.bounces"]
        self.assertIn("use up a user's limit", finding["why"])
        self.fix(finding)

    def test_a_narrowed_limit_is_the_same_for_its_users(self):
        """A rule for one sender: strangers who forge it no longer count, she does."""
        self.make(policy("anna@mine.example") + quota(2, verdict="REJECT", data="Enough."))
        self.fix(self.only("rules.outside"))
        anna = {"sender": "anna@mine.example"}
        for _ in range(5):
            self.assertEqual(self.daemon.ask(**anna), "DUNNO")
        answers = [self.daemon.ask(sasl_username="anna", **anna) for _ in range(2)]
        answers.append(self.daemon.ask(client_address="127.0.0.1", **anna))
        self.assertEqual(answers, ["DUNNO", "DUNNO", "REJECT Enough."])
        self.assertEqual(self.daemon.ask(sasl_username="bob", sender="bob@mine.example"), "DUNNO")

    def test_a_limit_is_not_narrowed_to_logins_alone(self):
        """Web mail has no login: it counts by the server's own networks, which come first."""
        self.make("UPDATE policy_group_members SET ID = 1, Member = '10.0.0.0/8' WHERE ID = 4;" +
                  policy("any") + quota(2, verdict="REJECT", data="Enough."))
        sentence = self.only("rules.bounces")
        self.assertFalse(sentence["command"])
        self.assertIn("'carbonio-limits hook network-added NETWORK'; then", sentence["fix"])
        self.daemon.sql("UPDATE policy_group_members SET Member = '127.0.0.0/8' WHERE ID = 1;")
        self.fix(self.only("rules.bounces"))
        web_mail = {"sender": "anna@mine.example", "client_address": "127.0.0.1"}
        self.assertEqual([self.daemon.ask(**web_mail) for _ in range(3)],
                         ["DUNNO", "DUNNO", "REJECT Enough."])

    def test_a_limit_that_was_asked_to_be_for_anyone(self):
        self.make()
        self.daemon.command("send", "10/min,100/h", "--anyone")
        self.wrong(status=0)
        out = self.run_it(status=0)
        self.assertEqual(out.count("as --anyone requested"), 1, out)
        self.assertIn("limit 3 also counts mail from outside", out)
        self.assertNotIn("no limit can be used up", out)

    def test_what_send_and_receive_make_is_fine(self):
        self.make()
        for words in (("send", "10/min"), ("receive", "125/min"), ("send", "5/h", "--domain",
                                                                   "mine.example")):
            self.daemon.command(*words, "--database", str(self.daemon.database))
        self.wrong(status=0)

    def test_networks_and_groups_of_networks_are_inside(self):
        self.make(policy("@mine.example,10.0.0.0/8") + quota() +
                  policy("@mine.example,%internal_ips") + quota())
        self.wrong(status=0)

    def test_example_groups_that_a_limit_relies_on(self):
        self.make(policy() + quota())
        self.daemon.sql("DELETE FROM policy_group_members WHERE PolicyGroupID = 2;")
        found = self.wrong()
        [finding] = found["rules.example_groups"]
        self.assertIn("group internal_domains is empty", finding["what"])
        command = re.search(r"'(carbonio-limits [^']*)'", finding["fix"])[1]
        self.fix({"fix": command.replace("DOMAIN", "mine.example")})

    def test_example_groups_are_fixed_by_what_works_here(self):
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;"
                  "UPDATE policy_group_members SET ID = 1, Member = '10.0.0.0/8' WHERE PolicyGroupID = 1;" +
                  policy("%internal_ips,$*") + quota())
        fix = self.only("rules.example_groups", "group internal_ips")["fix"]
        self.assertEqual(fix, "name each network of this server in place of NETWORK, 10.0.0.0/8 too if it "
                              "is one: 'carbonio-limits hook network-added NETWORK'")
        # The command that made the limit says the same.
        said = self.daemon.command("send", "1/h").stdout
        self.assertIn(f"group internal_ips still contains only the example rows, so the limit does not "
                      f"cover this server's own networks yet; {fix}.\n", said)
        self.daemon.command("remove", "4")
        (self.daemon.folder / "bin").mkdir()
        (self.daemon.folder / "bin/carbonio").touch()
        [finding] = self.wrong()["rules.example_groups"]
        self.assertEqual(finding["fix"], "carbonio-limits sync")
        # Where it has run already, it would do the same again.
        self.daemon.sql("UPDATE policy_group_members SET Comment = 'From Carbonio, kept by "
                        "carbonio-limits sync' WHERE PolicyGroupID = 2;"
                        "DELETE FROM policy_group_members WHERE PolicyGroupID = 1;")
        [finding] = self.wrong()["rules.example_groups"]
        self.assertIn("zimbraMtaMyNetworks", finding["fix"])

    def test_a_network_of_the_examples_that_is_ones_own(self):
        self.make("UPDATE policies SET Disabled = 1 WHERE ID = 5;"
                  "UPDATE policy_group_members SET ID = 1, Member = '10.0.0.0/8', Comment = 'ours' "
                  "WHERE PolicyGroupID = 1;" + policy("%internal_ips,$*") + quota())
        self.wrong(status=0)


class Database(DoctorTest):
    def test_missing(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.unlink()
        found = self.wrong()
        self.assertEqual(found["database.exists"][0]["fix"], "carbonio-limits init")

    def test_no_database(self):
        self.make()
        self.daemon.stop()
        self.daemon.database.write_bytes(b"x" * 5000)
        self.assertIn("database.readable", self.wrong())

    def test_damaged(self):
        self.make(policy() + quota())
        self.daemon.stop()
        data = bytearray(self.daemon.database.read_bytes())
        data[-1024:] = b"\xff" * 1024
        data[-4096:-3072] = b"\xff" * 1024
        self.daemon.database.write_bytes(bytes(data))
        self.assertTrue({"database.integrity", "database.readable"} & set(self.wrong()))

    def test_a_table_and_a_column_are_missing(self):
        self.make()
        self.daemon.stop()
        self.daemon.sql("DROP TABLE quotas_tracking; ALTER TABLE quotas DROP COLUMN LastQuota;")
        what = self.wrong()["database.schema"][0]["what"]
        self.assertIn("quotas.LastQuota", what)
        self.assertIn("table quotas_tracking", what)

    def test_locked_by_another(self):
        self.make(policy() + quota())
        locker = sqlite3.connect(self.daemon.database, isolation_level=None)
        self.addCleanup(locker.close)
        locker.execute("BEGIN IMMEDIATE")
        self.assertIn("locked", self.only("database.writable")["what"])
        self.daemon.ask()
        self.assertTrue(eventually(lambda: "daemon.trouble" in self.wrong()))

    def test_no_daemon_of_ours_has_taken_it_over(self):
        self.make(policy() + quota())
        self.daemon.stop()
        triggers = self.daemon.query("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        self.daemon.sql("".join(f"DROP TRIGGER {name};" for [name] in triggers) +
                        "DROP TABLE limits_rules_version;"
                        "ALTER TABLE quotas_tracking DROP COLUMN State;")
        found = self.wrong()
        self.assertEqual(sorted(found), ["daemon.running", "database.taken_over"])
        # As it is pasted: nothing else on the line.
        self.assertEqual(found["database.taken_over"][0]["fix"], "carbonio-limits service restart")
        self.daemon.start()
        self.wrong(status=0)

    @needs_root
    def test_the_disk_is_nearly_full(self):
        self.make(policy() + quota())
        self.daemon.stop()
        folder = self.daemon.database.parent
        small = folder.with_name("small")
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", small],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"no file system of its own here: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.daemon.sql(f"VACUUM INTO '{small / 'db'}';")
        os.chown(small, folder.stat().st_uid, folder.stat().st_gid)
        os.chown(small / "db", folder.stat().st_uid, folder.stat().st_gid)
        self.daemon.config.write_text(self.daemon.config.read_text().replace(
            str(self.daemon.database), str(small / "db")))
        [found] = self.wrong()["database.space"]
        self.assertRegex(found["what"], rf"only 1\d MiB free in {small}")
        self.assertIn(f"df -h {small}", found["fix"])

    @needs_root
    def test_files_of_another_user(self):
        self.make()
        self.daemon.stop()
        foreign = self.daemon.database.with_name(self.daemon.database.name + "-journal")
        foreign.write_bytes(b"")
        finding = self.wrong()["database.owner"][0]
        self.assertIn(str(foreign), finding["what"])
        self.assertTrue(finding["fix"].startswith("chown "))


class NoLimits(DoctorTest):
    def test_what_becomes_of_the_mail_is_said(self):
        for mode, answer, words in (("tempfail", "DEFER", "ALL MAIL IS DEFERRED"),
                                    ("pass", "DUNNO", "all mail passes unlimited")):
            with self.subTest(mode):
                self.make(policy() + quota(), start=False,
                          options={"database": {"bypass_mode": mode}})
                self.daemon.database.write_bytes(b"this is no database\n" * 1000)
                self.daemon.give_to_service_user()
                self.daemon.start()
                self.assertTrue(self.daemon.ask().startswith(answer))
                [finding] = self.wrong(settled=False)["daemon.trouble"]
                self.assertIn(words, finding["why"])
                self.assertIn("tries again each second", finding["fix"])


class Running(DoctorTest):
    def test_it_does_not_run(self):
        self.make(policy() + quota())
        self.daemon.stop()
        self.assertIn("carbonio-limits service start", self.only("daemon.running", "is not running")["fix"])

    def test_it_runs_and_does_not_answer_nor_follow_the_rules(self):
        self.make(policy() + quota())
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.process.send_signal, signal.SIGCONT)
        finding = self.only("daemon.answers", f"does not answer on localhost:{self.daemon.port}")
        self.assertEqual(finding["fix"], "carbonio-limits service restart")
        self.daemon.sql("UPDATE quotas SET Period = 61;")
        found = self.wrong(settled=False)
        self.assertEqual(sorted(found), ["daemon.answers", "daemon.rules"])
        self.assertRegex(found["daemon.rules"][0]["what"],
                         r"uses version \d+ of the rules, the database has version \d+")
        self.assertEqual(found["daemon.rules"][0]["fix"], "carbonio-limits service restart")
        self.daemon.process.send_signal(signal.SIGCONT)
        self.wrong(status=0)

    def test_it_was_killed(self):
        self.make(policy() + quota())
        self.daemon.kill()
        self.only("daemon.running", "is not running")

    def test_quotas_is_off(self):
        self.make(policy() + quota(), modules=())
        self.only("daemon.quotas", "switched off")

    def test_the_configuration_was_changed_and_not_read_again(self):
        self.make(policy() + quota())
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace("[Greylisting]\nenable=0",
                                                   "[Greylisting]\nenable=1"))
        finding = self.only("daemon.modules", "Greylisting")
        self.assertEqual(finding["fix"], "carbonio-limits service reload")

    def test_it_works_on_another_database(self):
        self.make(policy() + quota())
        other = self.daemon.database.with_name("other.sqlitedb")
        self.daemon.sql(f"VACUUM INTO '{other}';")
        self.daemon.give_to_service_user()
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace(str(self.daemon.database), str(other)))
        self.assertIn("daemon.database", self.wrong())

    def test_a_change_made_just_now_is_waited_for(self):
        self.make(policy() + quota())
        self.daemon.sql("UPDATE quotas SET Period = 61;")
        self.wrong(status=0, settled=False)

    def test_there_is_no_configuration(self):
        self.make(policy() + quota())
        self.daemon.stop()
        self.daemon.config.unlink()
        out = self.run_it("--json", "--database", str(self.daemon.database), status=3)
        self.assertIn("daemon.configuration", out)

    def test_the_database_was_damaged_and_replaced(self):
        self.make(policy() + quota())
        self.daemon.ask()  # it listens before it has made its files
        database = self.daemon.database
        kept = database.with_name(database.name + ".damaged-2026-11-24_12-00-00")
        kept.write_bytes(b"what was left")
        self.daemon.log_file.chmod(0o400)  # something else that stays wrong
        [found] = self.wrong()["database.replaced"]
        self.assertIn(str(kept), found["what"])
        self.assertIn(f"rm {kept}", found["fix"])
        kept.unlink()
        self.assertNotIn("database.replaced", self.wrong())

    @needs_root
    def test_log_and_pid_file_cannot_be_written(self):
        self.make(policy() + quota())
        self.daemon.ask()  # it listens before it has made its files
        os.chown(self.daemon.log_file, 0, 0)
        os.chown(self.daemon.pid_file.parent, 0, 0)
        self.assertEqual(sorted(self.wrong()), ["daemon.log", "daemon.pid_file"])
        os.chown(self.daemon.log_file.parent, 65534, 65534)
        self.daemon.give_to_service_user()


class Postfix(DoctorTest):
    def edit(self, pattern, replacement, **more):
        self.write_postfix(lambda text: re.sub(pattern, replacement, text), **more)

    def test_never_asks(self):
        self.make(policy() + quota())
        self.edit(r"check_policy_service inet:localhost:\d+,", "")
        found = self.wrong()
        self.assertEqual(len(found["postfix.asks"]), 3)
        self.assertIn("never asks", found["postfix.asks"][0]["what"])

    def test_asks_another_service(self):
        self.make(policy() + quota())
        self.edit(r"inet:localhost:\d+", "inet:localhost:9")
        self.assertIn("asks inet:localhost:9", self.wrong()["postfix.asks"][0]["what"])

    def test_asks_after_a_permit(self):
        self.make(policy() + quota())
        self.edit(r"(smtpd_(?:sender|recipient)_restrictions) = (check_policy_service \S+,)",
                  r"\1 = permit_mynetworks, \2")
        found = self.wrong()
        self.assertIn("permit_mynetworks", found["postfix.permits"][0]["what"])

    def test_a_port_that_overrides_it(self):
        self.make(policy() + quota())
        master = MASTER_CF.replace("  -o smtpd_recipient_restrictions=\n",
                                   "  -o smtpd_recipient_restrictions=\n"
                                   "  -o smtpd_sender_restrictions=permit\n", 1)
        self.write_postfix(master=master)
        found = self.wrong()
        self.assertEqual([f["what"] for f in found["postfix.asks"]],
                         ["Postfix's 127.0.0.1:2587 (inet) never asks the daemon"])

    def test_ports_where_filters_hand_mail_back_need_not_ask(self):
        self.make(policy() + quota())
        self.edit(r"check_policy_service inet:localhost:\d+,", "",
                  master=MASTER_CF + "smtp inet n - n - - smtpd\n"
                  "  -o smtpd_recipient_restrictions=check_policy_service,inet:localhost:"
                  f"{self.daemon.port},reject_sender_login_mismatch\n")
        self.wrong(status=0)

    def test_limits_by_size_need_the_end_of_data(self):
        self.make(policy() + quota(1000, "MessageCumulativeSize"))
        self.wrong(status=0)
        self.edit(r"smtpd_end_of_data_restrictions = .*", "smtpd_end_of_data_restrictions =")
        self.assertEqual(list(self.wrong()), ["postfix.end_of_data"])

    def test_forged_senders(self):
        self.make(policy() + quota())
        self.edit("reject_sender_login_mismatch,", "")
        finding = self.only("postfix.senders", "reject_authenticated_sender_login_mismatch")
        command = re.search("carbonio-limits send LIMIT --per account", finding["fix"])[0]
        self.fix({"fix": command.replace("LIMIT", "50/h")})
        [(made,)] = self.daemon.query("SELECT max(ID) FROM quotas")
        self.daemon.command("off", str(made), "--database", str(self.daemon.database))
        self.only("postfix.senders")
        self.assertIn("reject_authenticated_sender_login_mismatch", finding["fix"])
        self.edit("reject_sender_login_mismatch,", "reject_unauthenticated_sender_login_mismatch,")
        self.only("postfix.senders")


if __name__ == "__main__":
    unittest.main()
