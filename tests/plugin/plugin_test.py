#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""carbonio-limits as an admin uses it: the real program, on databases that the real sqlite3 program
reads and writes. BIN_DIR is the folder with the programs."""

import concurrent.futures
import fcntl
import json
import os
import pathlib
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import struct
import subprocess
import termios
import time
import unittest

from plugin_case import ARTICLE, NOBODY, PROGRAM, Plugin


class WhichDatabase(Plugin):
    def test_configuration_names_it(self):
        elsewhere = self.home / "elsewhere.db"
        (self.home / "conf").mkdir()
        (self.home / "conf/cbpolicyd.conf").write_text(
            f"[server]\nuser=zextras\n[database]\nDSN=DBI:SQLite:dbname={elsewhere}\n")
        self.init()
        self.assertTrue(elsewhere.exists())
        self.assertFalse(self.database.exists())
        given = self.home / "given.db"
        self.run_it("init", "--no-prov", "--database", given)
        self.assertTrue(given.exists())

    def test_missing_database_is_named_with_the_fix(self):
        for arguments in (["list"], ["usage"], ["send", "1/h"], ["receive", "1/h"]):
            err = self.run_it(*arguments, status=2)
            self.assertIn(str(self.database), err)
            self.assertIn("carbonio-limits init", err)
            self.assertFalse(self.database.parent.exists())


class SendAndReceive(Plugin):
    def setUp(self):
        super().setUp()
        self.init()

    def test_ids_come_from_the_database(self):
        self.sql("INSERT INTO policies (ID, Name, Priority) VALUES (41, 'x', 0);"
                 "INSERT INTO quotas (ID, PolicyID, Name, Track) VALUES (17, 41, 'x', 'Policy');"
                 "DELETE FROM policies WHERE ID = 41; DELETE FROM quotas WHERE ID = 17")
        self.run_it("send", "100/h")
        self.assertEqual(self.sql("SELECT ID FROM policies WHERE Name LIKE 'send%';"
                                  "SELECT ID, PolicyID FROM quotas WHERE ID > 2;"
                                  "SELECT QuotasID FROM quotas_limits WHERE ID > 3;"
                                  "SELECT DISTINCT PolicyID FROM policy_members WHERE ID > 5"),
                         ["42", "18|42", "18", "42"])

    def test_repeating_changes_nothing_and_reports_that(self):
        self.assertIn("Created limit 3", self.run_it("send", "100/h"))
        before = self.files()
        self.assertIn("Nothing to change", self.run_it("send", "100/h"))
        self.assertIn("Nothing to change", self.run_it("send", "100/60min", "--everyone"))
        self.assertEqual(self.files(), before)

    def test_different_figure_changes_the_limit(self):
        self.run_it("send", "100/h")
        self.assertIn("Changed limit 3 (100/h → 200/h)", self.run_it("send", "200/h"))
        self.assertEqual(self.sql("SELECT CounterLimit FROM quotas_limits WHERE QuotasID = 3"),
                         ["200"])

    def test_what_only_monitors_stands_beside_what_refuses(self):
        self.run_it("send", "200/h", "--per", "account")
        self.assertIn("Created limit 4",
                      self.run_it("send", "50/h", "--per", "account", "--verdict", "none"))
        self.run_it("send", "5/h", "--user", "a@b.org", "--per", "account", "--verdict", "none")
        limits = json.loads(self.run_it("list", "--json"))["limits"][2:]
        self.assertEqual([(one["limit"], one["verdict"], one["except"]) for one in limits],
                         [("200/h", "defer", []), ("50/h", "none", ["a@b.org"]), ("5/h", "none", [])])
        self.run_it("send", "300/h", "--per", "account")
        self.run_it("send", "60/h", "--per", "account", "--verdict", "none")
        self.assertEqual(self.sql("SELECT CounterLimit FROM quotas_limits WHERE ID > 3"),
                         ["300", "60", "5"])

    def test_what_only_monitors_is_no_bystander_where_counters_decay(self):
        command = ["send", "5/h", "--verdict", "none", "--dry-run"]
        self.assertNotIn("algorithm=", self.run_it(*command))
        (self.home / "conf").mkdir()
        (self.home / "conf/cbpolicyd.conf").write_text(
            f"[database]\nDSN=DBI:SQLite:dbname={self.database}\n")
        (self.home / "conf/carbonio-limits.conf").write_text("[Quotas]\nalgorithm=decay\n")
        self.assertIn("refused by no limit", self.run_it(*command))

    def test_a_size_stands_beside_a_count(self):
        self.run_it("send", "100/h")
        self.assertIn("Created limit 4", self.run_it("send", "50M/h", "--verdict", "reject"))
        self.run_it("send", "200/h")
        self.run_it("send", "60M/day", "--verdict", "reject")
        self.assertEqual(self.sql("SELECT CounterLimit FROM quotas_limits WHERE ID > 3"),
                         ["200", "61440"])
        # Both by one command: each changes the limit of its unit.
        self.run_it("send", "300/h,70M/day")
        self.assertEqual(self.sql("SELECT CounterLimit FROM quotas_limits WHERE ID > 3"),
                         ["300", "71680"])
        self.run_it("send", "7/h", "--user", "a@b.org")
        self.assertEqual(self.sql("SELECT count(*) FROM policy_group_members m JOIN policy_groups g "
                                  "ON g.ID = m.PolicyGroupID WHERE Member = 'a@b.org'"), ["1"])
        self.run_it("send", "8/h,9M/h", "--user", "c@b.org")
        out = self.run_it("send", "10/h", "--user", "c@b.org")  # 9M/h stays
        self.assertIn("10/h,9M/h", out)
        self.assertNotIn("Warning", out)

    def warned(self, *command):
        """The command that keeps what this one takes away; the dry run says the same."""
        before = self.files()
        out = self.run_it(*command, "--dry-run")
        self.assertEqual(self.files(), before)
        warnings = [line for line in out.splitlines() if line.startswith("Warning")]
        self.assertTrue(warnings, out)
        done = self.run_it(*command).splitlines()
        self.assertEqual(done[:len(warnings)], warnings)  # first of all
        keep = re.search("To keep (?:both|all): (.*)", warnings[-1])[1]
        return warnings, keep if keep.count("'") > 2 else keep.strip("'")

    def test_what_a_command_takes_away_is_said_first(self):
        self.run_it("send", "100/h,500/day")
        warnings, keep = self.warned("send", "50/10min")
        self.assertIn("takes 100/h and 500/day away from limit 3", warnings[0])
        self.run_it(*shlex.split(keep)[1:])
        self.assertIn("send 50/10min,100/h,500/day --everyone", self.run_it("export"))
        warnings, keep = self.warned("set", "3", "7/min")
        self.run_it(*shlex.split(keep)[1:])
        self.assertIn("send 7/min,50/10min,100/h,500/day --everyone", self.run_it("export"))
        self.assertNotIn("Warning", self.run_it("send", "8/min,50/10min,100/h,400/day"))
        # 7 a day are no more than 8 a minute, and 1 an hour no more than 24 a day.
        self.assertNotIn("Warning", self.run_it("send", "7/day"))
        self.run_it("send", "5/week")
        self.assertIn("takes 5/week away", self.run_it("send", "24/day"))
        self.assertNotIn("Warning", self.run_it("send", "1/h"))

    def test_what_a_users_own_limit_takes_away_is_said(self):
        self.run_it("send", "100/h,500/day")
        warnings, keep = self.warned("send", "1000/h", "--user", "boss@b.org", "--message", "It's full")
        self.assertIn("500/day of limit 3 (for everyone) will no longer apply to boss@b.org, which gets", warnings[0])
        others = self.run_it("export").splitlines()
        self.run_it(*shlex.split(keep)[1:])
        exported = self.run_it("export").splitlines()
        self.assertEqual([shlex.split(line) for line in exported if line not in others],
                         [["send", "1000/h,500/day", "--user", "boss@b.org", "--message",
                           "It's full"]])
        self.assertNotIn("Warning", self.run_it("send", "1000/h,600/day", "--user", "boss@b.org"))

    def test_two_kinds_of_target_are_two_limits(self):
        out = self.run_it("send", "5/h", "--user", "a@b.org", "--client", "192.0.2.10", "10.9.0.0/16")
        self.assertEqual(out.count("Created limit"), 3)
        self.assertIn("each of these targets has a limit of its own", out)
        advice = re.search("from there: '(.*?)'", out)[1]
        self.assertIn("Created limit", self.run_it(*shlex.split(advice)[1:]))
        self.assertIn(advice.split(" ", 1)[1], self.run_it("export"))
        self.assertNotIn("limit of its own", self.run_it("send", "5/h", "--user", "a@c.org", "b@c.org"))

    def test_a_network_is_found_again_in_any_spelling(self):
        for first, second, name in (("2001:db8::1", "2001:0DB8:0::1", "2001:db8::1/128"),
                                    ("10.0.0.0/008", "010.0.0.0/8", "10.0.0.0/8")):
            self.assertIn(f"user at {name} may", self.run_it("send", "2/h", "--client", first))
            self.assertIn("Changed limit", self.run_it("send", "5/h", "--client", second))
        self.run_it("send", "2/h", "--from", "192.0.2.10", "2001:db8::/32")
        self.sql("UPDATE policy_members SET Source = replace(replace(replace(Source, '2001:db8', '2001:0DB8'), "
                 "'10.0.0.0/8', '010.0.0.0/08'), '192.0.2.10', '192.0.2.010')")
        self.assertIn("Changed limit", self.run_it("send", "3/h", "--from", "2001:DB8::/0032", "192.0.2.10"))
        self.assertIn("Changed limit", self.run_it("send", "6/h", "--client", "10.0.0.0/8"))
        exported = [line for line in self.run_it("export").splitlines() if line.startswith("send ")]
        self.assertEqual(len(exported), 3, exported)

    def test_what_leaves_this_server_is_sent_whatever_counts_it(self):
        self.run_it("hook", "domain-created", "own.example")
        self.sql("INSERT INTO policies (Name,Priority) VALUES ('out',0);"
                 "INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (6,'x','x');"
                 "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict) VALUES "
                 "(6,'q','Recipient:@domain',3600,'DEFER');"
                 "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',9)")
        for source, destination, direction in (
                ("%internal_domains", "!%internal_domains", "send"), ("@Own.example", "any", "send"),
                ("anna@own.example,%internal_ips", "@partner.test", "send"),
                ("%internal_domains", "@partner.test", "send"),
                ("%internal_domains", "anna@own.example", "receive"),
                ("@partner.test", "any", "receive"), ("!%internal_domains", "%internal_domains", "receive")):
            self.sql(f"UPDATE policy_members SET Source='{source}', Destination='{destination}' "
                     "WHERE PolicyID = 6")
            self.assertRegex(self.run_it("list"), rf"\n 3  {direction} .* 9/h +recipient's domain +defer +on\n")

    def test_several_rates_no_longer_apply(self):
        self.run_it("send", "5/min,100/h,500/day")
        out = self.run_it("send", "1000/week", "--user", "b@example.org")
        self.assertIn("5/min, 100/h and 500/day of limit 3 (for everyone) will no longer apply to b@example.org, "
                      "which gets a limit of its own. To keep all: 'carbonio-limits send "
                      "5/min,100/h,500/day,1000/week --user b@example.org'", out)

    def test_the_command_that_keeps_rates_can_be_copied(self):
        self.run_it("send", "200 distinct/day,150/h")
        out = self.run_it("send", "100 distinct/h")
        self.assertTrue(out.splitlines()[0].endswith(
            " To keep all: carbonio-limits send '150/h,100 distinct/h,200 distinct/day' --everyone"), out)

    def test_a_missing_group_is_created_by_the_line_that_is_named(self):
        said = self.run_it("send", "1/h", "--group", "staff", status=2)
        line = re.search('"(group staff .*)"; nothing was changed', said)[1]
        self.run_it("import", "-", input=f"{line}\n".encode())
        self.run_it("send", "1/h", "--group", "staff")

    GROUPS = ("INSERT INTO policy_groups (ID, Name) VALUES (3, 'sales'), (4, 'all'), (5, 'berlin'), "
              "(6, 'bonn');"
              "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (3, '192.0.2.300'), "
              "(3, 'anna@b.org'), (4, '%sales'), (5, '%bonn'), (6, '%berlin'), (6, 'carl@b.org');")

    def test_a_group_that_cannot_be_used_is_in_no_limit(self):
        self.run_it("send", "2/h")
        self.sql(self.GROUPS)
        before = self.dump()
        mistake = "member '192.0.2.300' is not a valid address or network; correct or remove that member first"
        circle = "member '%berlin' makes (it|that group) contain itself; correct or remove that member first"
        for words, why in ((("--group", "sales"), f"group sales cannot be used in a limit, because its {mistake}"),
                           (("--except", "%all"), f"group all cannot .*, because group sales's {mistake}"),
                           (("--group", "berlin"), f"group berlin cannot .*, because group bonn's {circle}"),
                           (("--group", "bonn"), f"group bonn cannot .*, because its {circle}")):
            for options in ((), ("--dry-run",)):
                said = self.run_it("send", "9/h", *words, *options, status=2)
                self.assertRegex(said, why + "; nothing was changed")
        # There it is a name that no address has.
        self.assertRegex(self.run_it("receive", "9/h", "--group", "bonn", status=2), circle)
        self.assertIn("Would create", self.run_it("receive", "9/h", "--group", "sales", "--dry-run"))
        for lines, why in (
                ("group new %other\ngroup other %new a@b.org\nsend 9/h --group new", "line 3: group new .*"
                 "member '%new' makes that group contain itself"),
                ("send 9/h --group sales", "line 1: " + f".*its {mistake}")):
            said = self.run_it("import", "-", status=2, input=lines.encode())
            self.assertRegex(said, why)
            self.assertEqual(len(said.splitlines()), 1)
        self.assertEqual(self.dump(), before)

    def test_a_limit_that_holds_is_not_switched_off_by_a_group(self):
        self.run_it("send", "2/h")
        self.sql("INSERT INTO policy_groups (Name) VALUES ('sales');"
                 "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (3, 'anna@b.org')")
        self.run_it("send", "9/h", "--group", "sales")
        before = self.dump()
        said = self.run_it("import", "-", status=2, input=b"group sales anna@b.org 192.0.2.300")
        self.assertIn("with it the limit 2/h for everyone would hold for no one; "
                      "nothing was changed", said)
        self.assertEqual(self.dump(), before)
        # One that is off is in no exception until it is on.
        self.run_it("off", "4")
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (3, '192.0.2.300')")
        self.assertIn("would hold for no one", self.run_it("on", "4", status=2))
        self.assertEqual(json.loads(self.run_it("show", "3", "--json"))["state"], "on")

    def test_a_limit_on_what_a_client_delivers_counts_who_receives_it(self):
        said = self.run_it("receive", "2/h", "--client", "192.0.2.10", "--dry-run")
        self.assertIn("each domain of this server may receive 2 messages an hour from 192.0.2.10; ", said)

    def test_options_take_only_what_they_are_for(self):
        before = self.dump()
        for words, why in (
                (("--except", "192.0.2.1"), "--except takes addresses, .* but no networks: '192.0.2.1'"),
                (("--except", "2001:db8::/32"), "but no networks: '2001:db8::/32'"),
                (("--except", "%internal_ips"), "but no networks: '%internal_ips'"),
                (("--except", "any"), "not a valid domain: 'any'; --everyone stands for all domains"),
                (("--domain", "all"), "not a valid domain: 'all'"),
                (("--domain", "192.0.2.1"), "'192.0.2.1': it ends in a number, as an IP address does"),
                (("--user", "anna@192.0.2.1"), "its domain is wrong: it ends in a number"),
                (("--from", "192.0.2.0/24,10.0.0.0/8"), "not a valid network: '192.0.2.0/24,10.0.0.0/8'"),
                (("--client", "192.0.2.0/255.255.255.0"), "not a valid network: '192.0.2.0/255.255.255.0'"),
                (("--domain", "http://own.example"), "not a valid domain: 'http://own.example'"),
                (("--login", "@own.example"), "'@own.example': for all of a domain use --domain with --per account"),
                (("--login", "%internal_domains"), "it is a group; for all accounts use --everyone with --per account")):
            with self.subTest(words=words):
                self.assertRegex(self.run_it("send", "2/h", *words, status=1), why)
        self.assertEqual(self.dump(), before)

    def test_limits_that_a_broken_group_keeps_from_holding_are_shown(self):
        self.sql(self.GROUPS)
        self.run_it("send", "2/h", "--except", "boss@b.org")
        self.run_it("receive", "3/h")
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) SELECT ID, '%all' "
                 "FROM policy_groups WHERE Name LIKE '%-except'")
        out = self.run_it("list")
        self.assertRegex(out, "(?m)^ *3 .* invalid$")
        self.assertRegex(out, "(?m)^ *4 .* on$")
        self.assertIn("Note: limit 3 holds for no one, because group sales contains itself or an invalid "
                      "address; 'carbonio-limits doctor' says how to correct it.", out)
        self.assertNotIn("cannot use", out)
        self.assertIn("group sales contains itself or an invalid address, so the limit holds for no one",
                      self.run_it("show", "3"))
        self.assertEqual([limit["broken_group"] for limit in json.loads(self.run_it("list", "--json"))["limits"]
                          if limit["id"] > 2], ["sales", None])
        doctor = subprocess.run([PROGRAM, "doctor"], capture_output=True, text=True, timeout=60, check=False,
                                env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        self.assertIn("limit 3 holds for no one: a list that this group makes invalid matches no mail",
                      " ".join(doctor.stdout.split()))
        # Other limits can still be set, and this one is not worse than it was.
        self.run_it("send", "5/h", "--user", "dora@b.org")

    def test_an_address_that_is_exempt_from_a_limit_per_account_is_that_account(self):
        for address in ("boss@b.org", "$boss@b.org"):
            self.run_it("send", "2/h", "--per", "account", "--except", address, "$carl")
            self.assertIn("send 2/h --anyone --per account --except boss@b.org '$carl'\n", self.run_it("export"))
            self.assertEqual(self.sql("SELECT Member FROM policy_group_members WHERE PolicyGroupID = 3 ORDER BY 1"),
                             ["$boss@b.org", "$carl"])
            self.assertTrue(self.sql("SELECT Source FROM policy_members WHERE Source LIKE '%$-%'")[0].endswith(
                "-except,!boss@b.org"))
        self.run_it("send", "9/h", "--per", "account", "--user", "vip@b.org")
        # Limits by sender know no accounts.
        self.run_it("send", "2/h", "--except", "boss@b.org")
        self.assertEqual(self.sql("SELECT Member FROM policy_group_members WHERE PolicyGroupID > 2 ORDER BY 1"),
                         ["$boss@b.org", "$carl", "boss@b.org", "vip@b.org"])

    def test_a_sender_is_not_an_account(self):
        out = self.run_it("send", "1/day", "--user", "carl@b.org", "--per", "account", "--verdict",
                          "reject")
        advice = re.search("account sends: '(.*?)'", out)[1]
        self.assertEqual(advice, "carbonio-limits send 1/day --login carl@b.org --verdict reject")
        self.assertIn("the account carl@b.org may send 1 message a day; more is rejected",
                      self.run_it(*shlex.split(advice)[1:]))

    def test_a_limit_with_a_condition_names_those_that_apply_too(self):
        self.run_it("send", "100/h")
        command = ["send", "5000/day", "--user", "news@b.org", "--from", "192.0.2.10"]
        self.assertIn("limit 3 (100/h for everyone) applies to this mail too", self.run_it(*command))
        self.run_it("send", "100/h", "--except", "news@b.org")
        self.assertNotIn("applies to this mail too", self.run_it(*command))
        self.run_it("send", "100/h")
        out = self.run_it(*command, "192.0.2.11", "10.0.0.0/8")
        advice = re.search("replaces it: '(.*?)'", out)[1]
        self.assertEqual(advice, "carbonio-limits send 5000/day --client 10.0.0.0/8 192.0.2.10 192.0.2.11")
        out = self.run_it(*shlex.split(advice)[1:])
        self.assertEqual(out.count("Limit 3 (100/h for everyone) no longer applies to"), 3)

    def test_ids_that_rows_name_already_are_not_taken(self):
        self.sql("INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict) VALUES "
                 "(6,'x','Sender:user@domain',60,'DEFER');"
                 "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',2),"
                 "(4,'MessageCount',1);"
                 "INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (7,'any','any');"
                 "INSERT INTO policy_group_members (PolicyGroupID,Member) VALUES (3,'@b.org');"
                 "INSERT INTO quotas_tracking (QuotasLimitsID,TrackKey,LastUpdate,Counter) VALUES "
                 "(6,'Sender:a@b.org',1,1)")
        statements = self.run_it("send", "100/h", "--anyone", "--print-sql")
        printed = self.home / "printed.db"
        self.sql(f".backup {printed}")
        self.sql(statements, printed)
        self.run_it("send", "100/h", "--anyone")
        self.assertEqual(self.dump(printed), self.dump())
        self.run_it("send", "200/h", "--user", "a@b.org")
        self.assertEqual(self.sql("SELECT ID FROM policies WHERE ID > 5;"
                                  "SELECT ID, PolicyID FROM quotas WHERE ID > 2;"
                                  "SELECT ID, QuotasID FROM quotas_limits WHERE ID > 3;"
                                  "SELECT ID FROM policy_groups WHERE ID > 2"),
                         ["8", "9", "3|6", "5|8", "6|9", "4|3", "5|4", "7|5", "8|6", "4"])
        self.assertIn("100/h", self.run_it("list"))

    def test_a_policy_member_that_waits_stops_no_command(self):
        self.sql("INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (6,'any','any')")
        self.assertIn("Created limit 3", self.run_it("send", "100/h"))

    def test_advice_names_the_database_that_was_given(self):
        given = self.home / "given.db"
        err = self.run_it("list", "--database", given, status=2)
        self.assertIn(f"carbonio-limits --database {given} init", err)
        self.run_it("init", "--no-prov", "--database", given)

    def test_receive_warns(self):
        self.assertIn("wanted mail is rejected", self.run_it("receive", "125/min"))

    def test_example_rows_are_mentioned(self):
        out = self.run_it("send", "100/h")
        for group, typed in (("internal_domains", "hook domain-created DOMAIN"),
                             ("internal_ips", "hook network-added NETWORK")):
            self.assertRegex(out, f"Note: group {group} still contains only the example rows, .*: "
                                  f"'carbonio-limits {typed}'[.]\n")
        # Whose members do not name the groups.
        for words in (["--user", "a@b.org", "--from", "192.0.2.1"], ["--client", "192.0.2.1"], ["--anyone"],
                      ["--domain", "b.org", "--anyone"], ["--per", "login"], ["--login", "x"]):
            self.assertNotIn("internal_ips", self.run_it("send", "1/h", *words), words)
        self.assertNotIn("internal_", self.run_it("receive", "1/h", "--domain", "example.org"))
        self.run_it("hook", "domain-created", "own.org")
        self.run_it("hook", "network-added", "10.0.0.0/8")
        self.assertNotIn("example rows", self.run_it("send", "200/h"))

    def test_an_id_that_changes_is_said(self):
        self.run_it("send", "20/min,100/h")
        out = self.run_it("set", "3", "100/h", "--dry-run")
        self.assertIn("Would change limit 3 (20/min,100/h → 100/h): ", out)
        self.assertIn("  It would be limit 4 from now on.\n", out)
        out = self.run_it("set", "3", "100/h")
        self.assertIn("Changed limit 3 (20/min,100/h → 100/h): ", out)
        self.assertIn("  It is limit 4 from now on.\n", out)
        self.assertIn("100/h", self.run_it("show", "4"))
        self.assertNotIn("from now on", self.run_it("set", "4", "200/h"))

    def test_domains_of_others_are_mentioned(self):
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                 "(2, '@Own.org'), (2, '@*.own.net')")
        for words in (("--domain", "own.org"), ("--user", "a@own.org"), ("--domain", "x.own.net"),
                      ("--anyone",), ("--client", "192.0.2.1")):
            self.assertNotIn("own domains (group", self.run_it("send", "1/h", *words))
        self.assertIn("Note: typo.org is not among this server's own domains (group internal_domains); if it "
                      "should be: 'carbonio-limits hook domain-created typo.org'. Mail from outside is not "
                      "counted; with --anyone it is.\n",
                      self.run_it("send", "1/h", "--domain", "own.org", "typo.org"))
        for words in (["--anyone"], ["--from", "192.0.2.1"]):
            self.assertNotIn("own domains", self.run_it("send", "1/h", "--domain", "typo.org", *words))
        self.assertNotIn("Mail from outside", self.run_it("receive", "1/h", "--domain", "typo.org"))
        out = self.run_it("receive", "1/h", "--user", "a@b.org", "b@a.org", "c@a.org")
        self.assertIn("Note: a.org and b.org are not among", out)
        # A login may be in any domain, unless that is nearly an own one.
        self.assertIn("Note: owm.org is not among",
                      self.run_it("send", "3/h", "--login", "a@owm.org"))
        for login in ("a@own.org", "b@ad.local", "c"):
            self.assertNotIn("own domains (group", self.run_it("send", "3/h", "--login", login))
        self.sql("UPDATE policy_group_members SET Member = '%others' WHERE ID = 2")
        self.assertNotIn("own domains (group", self.run_it("send", "2/h", "--domain", "typo.org"))

    def test_text_is_stored_verbatim(self):
        text = "It's \"{used}\"; DROP TABLE quotas; -- %s $HOME `id` äöü"
        self.run_it("send", "100/h", "--message", text, "--name", text)
        self.assertEqual(self.sql("SELECT Data FROM quotas WHERE ID=3;"
                                  "SELECT Name FROM policies WHERE ID=6"), [text, text])

    def test_dry_run_changes_nothing(self):
        before = self.files()
        out = self.run_it("send", "100/h", "--domain", "a.org", "b.org", "--dry-run")
        self.assertEqual(out.count("Would create limit"), 2)
        self.assertIn("Nothing was changed", out)
        self.assertEqual(self.files(), before)

    def test_printed_sql_creates_the_same_rows(self):
        table = [
            ["send", "100/h"],
            ["send", "20/min,200/h,50M/day", "--domain", "a.org", "b.org"],
            ["send", "5000/day", "--user", "o'brien@a.org", "--message", "It's; \"so\" -- ?1"],
            ["send", "10/min", "--anyone", "--verdict", "hold"],
            ["send", "10000/day", "--per", "everyone", "--verdict", "none"],
            ["send", "50/h", "--per", "account", "--user", "alice@a.org"],
            ["receive", "125/min"],
            ["receive", "60/min", "--domain", "a.org", "--verdict", "defer"],
            ["send", "300/h", "--verdict", "reject", "--name", "it's everyone"],
            ["send", "300/h", "--verdict", "reject"],
        ]
        self.sql(ARTICLE)
        typed = self.home / "typed.db"
        self.sql(f".backup {typed}")
        for arguments in table:
            statements = self.run_it(*arguments, "--print-sql", "--database", typed)
            self.sql(statements, typed)
            self.run_it(*arguments)
            self.assertEqual(self.dump(typed), self.dump(), arguments)

    def test_specific_limits_replace_general_ones_for_their_target(self):
        self.run_it("send", "100/h")
        out = self.run_it("send", "5000/day", "--user", "news@example.org")
        self.assertIn("Limit 3 (100/h for everyone) no longer applies to news@example.org", out)
        self.assertIn("everyone, 1 with own limit", self.run_it("list"))
        self.assertEqual(self.sql("SELECT DISTINCT Member FROM policy_group_members m JOIN "
                                  "policy_groups g ON g.ID = m.PolicyGroupID WHERE "
                                  "g.Name = 'send-everyone-per-user-except'"), ["news@example.org"])

    def test_two_at_once_lose_nothing(self):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda i: self.run_it("send", f"{i + 1}/h", "--domain", f"d{i}.org"),
                          range(24)))
        self.assertEqual(self.sql(
            "SELECT count(*) FROM policies p JOIN policy_members m ON m.PolicyID = p.ID JOIN quotas q "
            "ON q.PolicyID = p.ID JOIN quotas_limits l ON l.QuotasID = q.ID WHERE p.ID > 5 AND "
            "m.Source LIKE '@d' || (l.CounterLimit - 1) || '.org,%'"), ["48"])

    def test_locked_database_is_reported_after_five_seconds(self):
        other = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        err = self.run_it("send", "100/h", status=2)
        self.assertGreater(time.monotonic() - start, 4)
        self.assertIn("locked", err)
        self.assertIn("nothing was changed", err)
        other.execute("ROLLBACK")
        self.run_it("send", "100/h")

    def test_bad_input_is_one_line_and_touches_nothing(self):
        long_domain = "a" * 300
        table = [
            (["send", "ten/min"], "not a valid limit: 'ten/min'"),
            (["send", "0/h"], "let nothing through"),
            (["send", "10/0s"], "at least 1 s"),
            (["send", "10/31day"], "30 days"),
            (["send"], "the limit is missing"),
            (["send", "1/h,2/h"], "twice"),
            (["send", "1/h", "--domain", long_domain], "longer than 255"),
            (["send", "1/h", "--user", "a" * 316 + "@b.org"], "longer than 320"),
            (["send", "1/h", "--user", 'a"b@c.org'], "not a valid mail address"),
            (["send", "1/h", "--user", "a b@c.org"], "not a valid mail address"),
            (["send", "1/h", "--user", "a@c.org\n"], "\\x0a"),
            (["send", "1/h", "--user", "a'; DROP TABLE quotas; --@c.org"], "not a valid mail address"),
            (["send", "1/h", "--user", "*@c.org"], "not a valid mail address"),
            (["send", "1/h", "--domain", "*"], "not a valid domain"),
            (["send", "1/h", "--domain", "alice@c.org"], "use --user"),
            (["send", "1/h", "--user", "alice"], "like alice@example.org"),
            (["send", "1/h", "--domain", "a.org,b.org"], "not a valid domain"),
            (["send", "1/h", "--domain", "%internal_domains"], "not a valid domain"),
            (["send", "1/h", "--message", "a\nb"], "line break"),
            (["send", "1/h", "--message", b"\xff"], "UTF-8"),
            (["send", "1/h", "--verdict", "maybe"], "choose one of defer"),
            (["send", "1/h", "--per", "maybe"], "choose one of user"),
            (["send", "1/h", "--anyone", "--everyone"], "cannot be combined"),
            (["send", "1/h", "--anyone", "--client", "192.0.2.1"], "cannot be combined"),
            (["receive", "1/h", "--anyone", "--user", "a@b.org"], "cannot be combined"),
            (["send", "1/h", "--anyone", "--user", "a@b.org", "--per", "account"], "cannot be combined"),
            (["send", "-5/h"], "'-5/h' is negative"),
            (["send", "1/h", "--user", "foo@"], "the domain after the '@' is missing"),
            (["send", "1/h", "--user", "a@b@c"], "more than one '@'"),
            (["send", "1/h", "--client", "10.0.0.5/8"], "(the network is 10.0.0.0/8)"),
            (["receive", "1/h", "--per", "account"], "only be used with 'send'"),
            (["usage", "--top", "many"], "whole number"),
            (["list", "--jsn"], "--jsn"),
            (["nothing"], "unknown subcommand"),
            ([], "subcommand is missing"),
        ]
        before = self.files()
        for arguments, because in table:
            with self.subTest(arguments):
                self.assertIn(because, self.run_it(*arguments, status=1))
                self.assertEqual(self.files(), before)

    def test_failed_statement_leaves_the_database_unchanged(self):
        self.sql("CREATE TRIGGER stop BEFORE INSERT ON quotas_limits "
                 "BEGIN SELECT RAISE(ABORT, 'no room'); END")
        before = self.files()
        err = self.run_it("send", "100/h", status=2)
        self.assertIn("no room", err)
        self.assertIn("nothing was changed", err)
        self.assertEqual(self.files(), before)

    def test_database_without_the_tables(self):
        other = self.home / "other.db"
        self.sql("CREATE TABLE t (a)", other)
        for arguments in (["list"], ["usage"], ["send", "1/h"]):
            self.assertIn("is it a database of CBPolicyD",
                          self.run_it(*arguments, "--database", other, status=2))


class ListAndUsage(Plugin):
    def setUp(self):
        super().setUp()
        self.init()
        self.sql(ARTICLE)

    def count(self, limit, key, seconds_ago, counter):
        self.sql(f"INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
                 f"VALUES ({limit}, '{key}', {time.time() - seconds_ago}, {counter})")

    def test_list_is_an_aligned_table(self):
        self.run_it("send", "20/min,200/h", "--domain", "own.org", "--verdict", "hold")
        lines = self.run_it("list").splitlines()
        self.assertEqual(lines[0].split(),
                         ["ID", "DIRECTION", "WHO", "LIMIT", "PER", "VERDICT", "STATE"])
        self.assertEqual(lines[3].split(),
                         ["3", "send", "anyone,", "1", "with", "own", "limit", "10/min", "user", "defer",
                          "on"])
        self.assertEqual(lines[4].split(),
                         ["4", "receive", "anyone", "125/min", "domain", "reject", "on"])
        self.assertEqual(lines[5].split(),
                         ["5", "send", "own.org", "20/min,200/h", "user", "hold", "on"])
        for title in ("WHO", "LIMIT", "PER", "VERDICT", "STATE"):
            column = lines[0].index(title)
            self.assertEqual({line[column - 1] for line in lines[:6]}, {" "}, title)

    def test_list_json(self):
        self.run_it("send", "20/min,50M/h", "--domain", "own.org", "--verdict", "none")
        limits = {limit["id"]: limit for limit in json.loads(self.run_it("list", "--json"))["limits"]}
        self.assertEqual(sorted(limits), [1, 2, 3, 4, 5])
        self.assertEqual(limits[3]["name"], "\u0421arbonio CBPolicyD")
        self.assertEqual(limits[3]["except"], [])  # limit 5 only monitors
        mine = limits[5]
        self.assertEqual((mine["direction"], mine["who"], mine["per"], mine["verdict"], mine["limit"],
                          mine["enabled"]), ("send", "own.org", "user", "none", "20/min,50M/h", True))
        self.assertEqual([(rate["amount"], rate["unit"], rate["period_s"], rate["message"])
                          for rate in mine["rates"]],
                         [(20, "messages", 60, None), (51200, "KiB", 3600, None)])

    def test_usage(self):
        self.assertIn("No usage at the moment", self.run_it("usage"))
        inserted = time.time()
        self.count(4, "Sender:full@own.org", 20, 10)
        self.count(4, "Sender:half@own.org", 20, 5)
        self.count(4, "Sender:old@own.org", 61, 5)
        self.count(5, "Recipient:@own.org", 1, 31)
        lines = self.run_it("usage").splitlines()
        self.assertEqual(lines[0].split(), ["WHO", "DIRECTION", "USED", "PERIOD", "PERCENT", "NEXT",
                                            "MAIL", "ID"])
        self.assertRegex(lines[1], r"^full@own.org +send +10/10 +min +100% +in \d+ s +3$")
        self.assertRegex(lines[2], r"^half@own.org +send +5/10 +min +50% +now +3$")
        self.assertRegex(lines[3], r"^@own.org +receive +31/125 +min +24% +now +4$")
        self.assertEqual(len(lines), 4)
        self.assertIn("2 more; 'carbonio-limits usage --top 3'", self.run_it("usage", "--top", "1"))
        one = self.run_it("usage", "half@own.org")
        self.assertIn("half@own.org", one)
        self.assertIn("@own.org ", one)
        self.assertNotIn("full", one)
        self.assertIn("No usage by x@y.z at the moment", self.run_it("usage", "x@y.z"))
        found = json.loads(self.run_it("usage", "--json"))
        self.assertEqual([(use["key"], use["used"], use["amount"], use["percent"], use["id"])
                          for use in found["usage"]],
                         [("Sender:full@own.org", 10, 10, 100.0, 3),
                          ("Sender:half@own.org", 5, 10, 50.0, 3),
                          ("Recipient:@own.org", 31, 125, 24.8, 4)])
        self.assertAlmostEqual(found["usage"][0]["next_free"], inserted + 40, delta=2)
        self.assertIsNone(found["usage"][1]["next_free"])

    def test_usage_does_not_write(self):
        self.count(4, "Sender:full@own.org", 20, 10)
        before = self.files()
        self.run_it("usage")
        self.run_it("list")
        self.assertEqual(self.files(), before)

    def on_a_terminal(self, *arguments, columns=0, **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
        with open(slave, "wb") as terminal:
            subprocess.run([PROGRAM, *arguments], stdout=terminal, check=True, timeout=60,
                           env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home),
                                **environment})
        out = b""
        try:
            while chunk := os.read(master, 4096):
                out += chunk
        except OSError:  # no one has it open any longer
            pass
        os.close(master)
        return out.decode()

    def test_colour_and_bars_only_on_a_terminal(self):
        self.count(4, "Sender:full@own.org", 20, 10)
        self.assertNotIn("\033", self.run_it("usage"))
        self.assertNotIn("█", self.run_it("usage"))
        out = self.on_a_terminal("usage")
        self.assertIn("\033[31m", out)
        self.assertIn("█", out)
        out = self.on_a_terminal("usage", NO_COLOR="1")
        self.assertNotIn("\033", out)
        self.assertIn("█", out)

    def test_no_line_is_wider_than_the_terminal(self):
        self.run_it("send", "5/h", "--verdict", "none", "--per", "account")
        long = "a-rather-long-name@department.example.org"
        self.count(4, f"Sender:{long}", 20, 10)
        self.count(6, f"SASLUsername:{long}", 20, 4711)
        for columns in (80, 120):
            lines = self.on_a_terminal("usage", NO_COLOR="1", columns=columns).splitlines()
            self.assertLessEqual(max(map(len, lines)), columns, lines)
            self.assertTrue(any("█" in line for line in lines) == (columns == 120), lines)
            if columns == 120:
                self.assertIn(long, lines[1])

    def test_narrow_terminals_cut_who_last(self):
        clients = [f"198.51.100.{number}" for number in range(101, 106)]
        self.run_it("send", "10/min", "--client", "198.51.100.0/24", "--per", "client")
        for number, client in enumerate(clients):
            self.count(5, f"SenderIP:{client}/128", 20 + number, 10)
        self.count(4, "Sender:somebody@department.example.org", 20, 10)
        for client in clients:
            self.sql("INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, "
                     f"FirstSeen, LastSeen, Times) VALUES (1, 'refused', 'Quotas', 5, "
                     f"'SenderIP:{client}/128', 'defer', unixepoch() * 1000 - 300000, "
                     "unixepoch() * 1000 - 200000, 1234)")
        lines = self.on_a_terminal("usage", NO_COLOR="1", columns=80).splitlines()
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        for who in (*clients, "somebody@department.exa"):
            self.assertTrue(any(line.startswith(who) for line in lines), (who, lines))

    def test_explain_cuts_the_reason_last(self):
        self.run_it("send", "500/h", "--domain", "own.org", "--name",
                    "a-policy-with-a-rather-long-name-of-its-own")
        lines = self.on_a_terminal("explain", "--from", "a@own.org", "--to", "b@example.com",
                                   columns=80, NO_COLOR="1").splitlines()
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        [row] = [line for line in lines if "a-polic" in line]
        self.assertGreaterEqual(len(row.split(" no ", 1)[-1].split(" yes ", 1)[-1]), 45, row)

    def test_explain_fits_the_terminal(self):
        self.run_it("send", "500/h,50M/10min", "--per", "account")
        long = "somebody-with-a-rather-long-name@example.org"
        self.count(7, f"SASLUsername:{long}", 20, 500)
        mail = ("--from", long, "--to", "b@example.com", "--sasl", long)
        wide = self.on_a_terminal("explain", *mail, columns=160, NO_COLOR="1")
        self.assertIn("500 of 500 messages per hour", wide)
        self.assertIn("█", wide)
        for columns in (80, 100):
            lines = self.on_a_terminal("explain", *mail, columns=columns,
                                       NO_COLOR="1").splitlines()
            self.assertLessEqual(max(map(len, lines)), columns, lines)
            self.assertTrue(any("500 of 500 per hour" in line for line in lines), lines)

    def test_watch_restores_the_terminal(self):
        self.count(4, "Sender:full@own.org", 20, 10)
        master, slave = pty.openpty()
        watching = subprocess.Popen([PROGRAM, "usage", "--watch"], stdout=slave,
                                    env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        os.close(slave)
        out = b""
        while b"full@own.org" not in out:
            out += os.read(master, 4096)
        watching.send_signal(signal.SIGINT)
        self.assertEqual(watching.wait(60), 0)
        try:
            while chunk := os.read(master, 4096):
                out += chunk
        except OSError:  # no one has it open any longer
            pass
        os.close(master)
        self.assertTrue(out.startswith(b"\033[?1049h\033[?25l"))
        self.assertTrue(out.endswith(b"\033[?25h\033[?1049l"))


@unittest.skipUnless(os.geteuid() == 0, "becoming another user takes root")
class Owner(Plugin):
    def owners(self):
        return {path.stat().st_uid for path in self.home.rglob("*")}

    def test_root_becomes_the_owner(self):
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        daemon = sqlite3.connect(self.database)  # keeps -wal and -shm
        self.addCleanup(daemon.close)
        self.run_it("send", "100/h")
        self.run_it("init", "--force", "--no-prov")
        self.assertEqual(len(list(self.database.parent.glob("*.sqlitedb.20*"))), 1)
        self.assertEqual(self.owners(), {NOBODY})

    def test_folders_that_the_owner_cannot_use(self):
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        folder = self.database.parent
        os.chown(folder, 0, 0)
        fix = f"chown nobody {folder}\n"
        folder.chmod(0o700)
        for arguments in (["list"], ["send", "1/h"]):
            err = self.run_it(*arguments, status=2)
            self.assertIn("Permission denied; user nobody, who owns it, cannot enter", err)
            self.assertIn("which belongs to user root", err)
            self.assertTrue(err.endswith(fix), err)
        doctor = subprocess.run([PROGRAM, "doctor"], capture_output=True, text=True, timeout=60,
                                env={"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)})
        self.assertNotIn("there is no database", doctor.stdout)
        folder.chmod(0o755)
        err = self.run_it("list", status=2)
        self.assertIn("cannot write to", err)
        self.assertTrue(err.endswith(fix), err)
        os.chown(folder, NOBODY, NOBODY)
        folder.parent.chmod(0o700)
        os.chown(folder.parent, 0, 0)
        self.assertTrue(self.run_it("list", status=2).endswith(f"chmod o+x {folder.parent}\n"))

    def test_files_that_the_owner_cannot_read_or_write(self):
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        secret = self.home / "secret"
        secret.mkdir()
        secret.chmod(0o700)
        copy = secret / "copy.db"
        shutil.copy(self.database, copy)
        err = self.run_it("restore", str(copy), status=2)
        self.assertIn("user nobody, who owns the database, must be able to read it", err)
        err = self.run_it("backup", str(secret / "new.db"), status=2)
        self.assertIn("Permission denied; user nobody, who owns the database, writes the copy", err)

    def test_export_writes_where_root_may(self):
        os.chown(self.home, NOBODY, NOBODY)
        self.init()
        self.run_it("send", "7/h")
        secret = self.home / "secret"
        secret.mkdir()
        secret.chmod(0o700)
        file = secret / "limits.txt"
        self.assertEqual(self.run_it("export", str(file)), f"Wrote {file}.\n")
        self.assertEqual(file.stat().st_uid, 0)
        self.assertIn("send 7/h", file.read_text())
        self.run_it("import", str(file))
        self.assertIn("No such file", self.run_it("export", str(secret / "a/b"), status=2))
        self.assertEqual({path.stat().st_uid for path in self.database.parent.iterdir()}, {NOBODY})

    def test_another_user_is_told_which_user_to_become(self):
        self.init()
        before = self.files()
        program = self.home / "carbonio-limits"  # where any user may run it
        shutil.copy(PROGRAM, program)
        for arguments in (["list"], ["send", "1/h"], ["init", "--force"]):
            err = self.run_it(*arguments, status=2, program=program, user=NOBODY, group=NOBODY,
                              extra_groups=[], cwd="/")
            self.assertTrue(err.endswith("run this command as root\n"), err)
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
