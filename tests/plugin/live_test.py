#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""carbonio-limits against the running daemon: what a command changes is in force by the next
request."""

import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import DaemonTest, bin_dir, eventually  # noqa: E402

USER = "alice@example.org"


class Live(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon()
        self.mails = 0

    def say(self, *arguments, check=True):
        done = self.daemon.command(*arguments, check=check)
        self.assertEqual(json_keys.undocumented(arguments, done.stdout), set())
        return done

    def passes(self, sender=USER, **more) -> bool:
        self.mails += 1
        answer = self.daemon.ask(sender=sender, sasl_username=sender, instance=f"live.{self.mails}",
                                 **more)
        return answer == "DUNNO"

    def how_many_pass(self, most=20, sender=USER, **more) -> int:
        for count in range(most):
            if not self.passes(sender, **more):
                return count
        return most

    def test_each_change_applies_to_the_next_request(self):
        self.say("send", "3/h")
        self.assertEqual(self.how_many_pass(), 3)
        self.say("set", "3", "5/h")
        self.assertEqual(self.how_many_pass(), 2)
        self.say("off", "3")
        self.assertTrue(self.passes())
        self.say("on", "3")
        self.assertFalse(self.passes())
        self.say("reset", USER)
        self.assertEqual(self.how_many_pass(), 5)
        self.say("send", "2/h", "--user", USER)  # limit 4, which replaces 3
        self.assertEqual(self.how_many_pass(), 2)
        self.say("remove", "4")
        self.assertFalse(self.passes())  # limit 3 again
        self.say("send", "5/h", "--except", USER)
        self.assertTrue(self.passes())
        self.say("remove", "3")
        self.assertEqual(self.how_many_pass(30), 30)

    def test_an_address_with_an_extension_counts_as_the_user(self):
        self.daemon.sql("DELETE FROM policy_group_members WHERE PolicyGroupID = 2;"
                        "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                        "(2, '@example.org');")
        self.say("send", "3/h")
        self.say("receive", "4/h", "--per", "user", "--verdict", "reject")

        def pass_from_alice(count, first):
            return [self.ask(sender=f"alice+{i}@example.org", sasl_username="x",
                             recipient="r@example.net") == "DUNNO"
                    for i in range(first, first + count)]

        self.assertEqual(pass_from_alice(5, 0), [True] * 5)
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            "[server]\nrecipient_delimiter=+-\n")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: "reloaded" in self.daemon.log()))
        self.assertEqual(pass_from_alice(5, 5), [True] * 3 + [False] * 2)
        self.assertFalse(self.passes("alice-x@example.org"))
        self.assertTrue(self.passes("alicex@example.org"))
        who = "Alice+7@example.org"
        out = self.say("usage", who).stdout
        self.assertIn("alice@example.org", out)
        self.assertNotIn("alice+", out)
        out = self.say("explain", "--from", who, "--to", "r@example.net", "--sasl", "x").stdout
        self.assertIn("DEFER", out)
        self.assertIn("3 of 3", out)
        self.assertIn("for alice@example.org", out)
        out = self.say("reset", who).stdout
        self.assertIn("Cleared the counters of alice@example.org", out)
        self.assertEqual(pass_from_alice(4, 0), [True] * 3 + [False])
        received = [self.ask(sender="far@example.net", recipient=f"bob+{i}@example.org") == "DUNNO"
                    for i in range(6)]
        self.assertEqual(received, [True] * 4 + [False] * 2)
        self.assertTrue(eventually(lambda: "to=bob+5@example.org" in self.daemon.log()))
        # A limit of the user's own, and an exception.
        self.say("send", "9/h", "--user", USER)
        self.assertEqual(pass_from_alice(10, 20), [True] * 9 + [False])
        self.say("send", "1/h", "--per", "everyone", "--except", "bob@example.org")
        self.assertTrue(all(self.passes(f"bob+{i}@example.org") for i in range(3)))

    def test_a_sender_without_a_domain_is_found(self):
        self.say("send", "2/h", "--anyone")
        self.say("receive", "30/h", "--anyone", "--per", "user")
        for who in ("root", "first.last"):
            self.assertEqual([self.ask(sender=who) for _ in range(3)][:2], ["DUNNO"] * 2)
            self.assertIn("2/2", self.say("usage", who).stdout)
            out = self.say("explain", "--from", who, "--to", "b@example.net").stdout
            self.assertIn(f"carbonio-limits reset {who}", out)
            self.assertIn(f"Cleared the counters of {who}", self.say("reset", who).stdout)
            self.assertEqual(self.ask(sender=who), "DUNNO")
        self.ask(sender="far@example.net", recipient="root")
        self.assertIn("receive", self.say("usage", "root").stdout)

    def test_addresses_without_a_domain(self):
        self.daemon.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                        "(2, '@example.org');")
        self.say("send", "3/h")
        self.daemon.config.with_name("carbonio-limits.conf").write_text(
            "[server]\nmyorigin=Example.org.\n")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: "reloaded" in self.daemon.log()))
        answers = [self.ask(sender=sender, sasl_username="x") == "DUNNO" for sender in
                   ("anna", "ANNA%example.org", "example.org!anna", "anna@example.org", "Anna")]
        self.assertEqual(answers, [True] * 3 + [False] * 2)
        out = self.say("explain", "--from", "Anna", "--to", "r@example.net", "--sasl", "x").stdout
        self.assertIn("3 of 3", out)
        self.assertIn("for anna@example.org", out)

    def test_counters_of_the_perl_daemon_in_other_spellings(self):
        self.say("send", "5/h", "--per", "login")
        [limit] = self.daemon.sql("SELECT max(ID) FROM quotas_limits").split()
        self.assertTrue(self.ask(sasl_username="anna") == "DUNNO")
        self.daemon.stop()
        row = f"INSERT INTO quotas_tracking VALUES ({limit}, 'SASLUsername:%s', %d, %d, NULL);"
        now = int(time.time())
        self.daemon.sql(row % ("Anna", now, 2) + row % ("ÄNNA", now, 3) + row % ("Carl ", now, 5))
        self.assertIn("Anna", self.say("usage", "anna").stdout)
        self.assertIn("Carl", self.say("usage", "carl").stdout)
        self.assertIn("Cleared", self.say("reset", "carl").stdout)
        self.assertEqual(self.daemon.sql("SELECT count(*) FROM quotas_tracking WHERE TrackKey LIKE "
                                         "'%carl%'").strip(), "0")
        self.daemon.start()
        self.assertTrue(eventually(lambda: "2 joined with the name's own" in self.daemon.log()))
        answers = [self.ask(sasl_username="anna") == "DUNNO" for _ in range(3)]
        self.assertEqual(answers, [True, True, False])
        answers = [self.ask(sasl_username="änna") == "DUNNO" for _ in range(3)]
        self.assertEqual(answers, [True, True, False])
        self.assertEqual(self.daemon.sql("SELECT TrackKey FROM quotas_tracking ORDER BY 1").split(),
                         ["SASLUsername:anna", "SASLUsername:änna"])
        self.say("reset", "anna")
        self.assertTrue(self.ask(sasl_username="anna") == "DUNNO")

    def ask(self, daemon=None, **attributes):
        self.mails += 1
        return (daemon or self.daemon).ask(**{"sender": USER, "instance": f"ask.{self.mails}",
                                              **attributes})

    def test_a_login_is_limited_whatever_the_sender(self):
        self.say("send", "1/day", "--login", "carl@example.org", "--verdict", "reject")
        carl = {"sasl_username": "Carl@Example.org"}
        self.assertEqual(self.ask(sender="a@example.net", **carl), "DUNNO")
        self.assertIn("REJECT", self.ask(sender="b@example.net", **carl))
        self.assertEqual(self.ask(sender="carl@example.org", sasl_username="bob"), "DUNNO")

    def test_accounts_count_web_mail_and_logins_together(self):
        self.say("send", "3/h", "--per", "account")
        web = {"client_address": "10.1.2.3"}
        self.assertEqual(self.ask(**web), "DUNNO")
        self.assertEqual(self.ask(sasl_username=USER), "DUNNO")
        self.assertEqual(self.ask(sasl_username=USER, sender="forged@example.net"), "DUNNO")
        self.assertIn("DEFER", self.ask(**web))
        self.assertIn("DEFER", self.ask(sasl_username=USER))
        for others in ({"sender": "bob@example.org", **web}, {"sasl_username": "bob"}, {},
                       {"sender": "relay@example.net", **web}):
            self.assertEqual(self.ask(**others), "DUNNO")
        self.assertIn(f"login {USER}", self.say("usage").stdout)

    def test_from_is_a_condition(self):
        self.say("send", "1/h", "--user", USER, "--from", "192.0.2.10", "2001:db8::/32")
        self.assertEqual(self.ask(client_address="192.0.2.10"), "DUNNO")
        self.assertIn("DEFER", self.ask(client_address="2001:db8::7"))
        self.assertEqual(self.ask(client_address="192.0.2.11", sasl_username="alice"), "DUNNO")
        self.assertEqual(self.ask(client_address="192.0.2.10", sender="b@example.org"), "DUNNO")

    def test_what_hook_wrote_and_a_confirmed_network_travel(self):
        """From one host without Carbonio to another: the same mail counts."""
        first = self.make_daemon()
        for words in (["hook", "domain-created", "own.example"], ["hook", "network-added", "10.0.0.0/8"],
                      ["send", "1/h"]):
            first.command(*words)
        text = first.command("export").stdout
        self.assertIn("group internal_ips 10.0.0.0/8\n", text)
        self.assertIn("group internal_domains @own.example\n", text)
        second = self.make_daemon()
        file = second.folder / "limits.txt"
        file.write_text(text)
        second.command("import", str(file))
        self.assertEqual(second.command("export").stdout, text)
        self.assertIn("Limits: 0 created, 0 changed, 0 removed, 1 unchanged.\n",
                      second.command("import", str(file)).stdout)
        for sender, client, answers in (("a@own.example", "10.0.0.7", ["DUNNO", "DEFER"]),
                                        ("a@example.org", "10.0.0.7", ["DUNNO", "DUNNO"]),
                                        ("b@own.example", "192.0.2.7", ["DUNNO", "DUNNO"])):
            for daemon in (first, second):
                self.assertEqual([self.ask(daemon, sender=sender, client_address=client).split()[0]
                                  for _ in answers], answers, (sender, client))
        self.assertNotIn("example", second.command("doctor", check=False).stdout.replace("own.example", ""))

    def test_a_counter_for_everybody_is_found_by_limit_and_by_person(self):
        self.say("send", "3/h", "--per", "everyone")
        self.say("receive", "9/h", "--domain", "example.org", "--per", "everyone")
        for sender in (USER, "bob@example.org"):
            self.assertEqual(self.ask(sender=sender, sasl_username=sender), "DUNNO")
        self.assertEqual(self.ask(sender="x@far.example", recipient="bob@example.org"), "DUNNO")

        def used(*words):
            return {(use["id"], use["key"], use["used"])
                    for use in json.loads(self.say("usage", *words, "--json").stdout)["usage"]}
        sent, received = (3, "Policy", 2), (4, "Policy", 1)
        self.assertEqual(used("--limit", "3"), {sent})
        self.assertEqual(used("--limit", "4"), {received})
        self.assertEqual(used(USER), {sent, received})
        self.assertEqual(used("Example.org"), {sent, received})
        self.assertEqual(used(USER, "--limit", "4"), {received})
        for other in ("x@far.example", "far.example", "192.0.2.1", "carl"):
            self.assertEqual(used(other), set(), other)
        self.assertIn("there is no limit 77", self.say("usage", "--limit", "77", check=False).stderr)
        self.assertEqual(self.say("usage", "x@far.example", "--limit", "3").stdout,
                         "No usage by x@far.example of limit 3 at the moment.\n")
        self.assertEqual(self.ask(sasl_username=USER), "DUNNO")
        self.assertIn("DEFER", self.ask(sasl_username=USER))
        explained = self.say("explain", "--from", USER, "--to", "a@far.example", "--sasl", USER).stdout
        self.assertIn("  clear    carbonio-limits reset --limit 3\n", explained)
        self.assertIn("Note: quota 3 has one counter for everybody in it; 'carbonio-limits usage --limit 3' "
                      "shows it.\n", explained)
        said = self.say("reset", USER).stdout
        self.assertIn("Note: everybody together has 3/3 of limit 3; to clear that too: "
                      "carbonio-limits reset --limit 3\n", said)
        self.assertIn("Note: everybody together has 1/9 of limit 4; to clear that too: ", said)
        self.say("reset", "--limit", "3")
        self.assertEqual(self.ask(sasl_username=USER), "DUNNO")

    def test_what_export_carries_decides_the_same_in_another_database(self):
        modules = ("AccessControl", "Quotas")
        first = self.make_daemon(modules=modules)
        first.sql("""
            INSERT INTO policy_groups (Name) VALUES ('sales'), ('empty');
            INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (3, 'a@example.org'),
              (3, '$carl'), (3, '@example.net'), (2, '@example.info');
            DELETE FROM policy_group_members WHERE ID = 2;
            INSERT INTO policies (ID, Name, Priority) VALUES (20, 'by hand', 5), (21, 'last', -1),
              (22, 'access' || char(10), 0);
            INSERT INTO policy_members (PolicyID, Source, Destination) VALUES
              (20, '%sales,!b@example.org', '@*.test' || char(13, 10)), (21, '@example.info', 'any'),
              (22, '192.0.2.0/24', 'c@d.test');
            INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data, LastQuota) VALUES
              (20, 'q', 'Recipient:@domain', 3600, 'REJECT', 'too much \\ "it''s" #', 0),
              (21, 'q', 'Sender:user@domain', 3600, 'DEFER', 'last', 1);
            INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (3, 'MessageCount', 20),
              (3, 'MessageCumulativeSize', 90), (4, 'MessageCount', 9);
            INSERT INTO access_control (PolicyID, Name, Verdict, Data) VALUES (22, 'a', 'HOLD', 'x');
            """)
        for words in (["40/h"], ["15/h", "--user", "b@example.org"], ["25/h", "--per", "account"],
                      ["30/h", "--group", "sales", "--except", "a@example.org"],
                      ["10/h", "--user", "a@example.org", "--from", "192.0.2.10"],
                      ["12/h", "--login", "carl", "--verdict", "reject"]):
            first.command("send", *words)
        first.command("receive", "60/h", "--domain", "d.test", "--per", "domain", "--verdict", "hold")
        exported = first.command("export").stdout
        self.assertIn("group internal_domains @example.com @example.info\n", exported)
        file = first.folder / "exported"
        file.write_text(exported)
        other = self.make_daemon(modules=modules)
        done = other.command("import", str(file))
        self.assertIn("7 created", done.stdout)
        self.assertEqual(other.command("export").stdout, exported)
        before = other.database.read_bytes()
        self.assertIn("0 created, 0 changed, 0 removed, 7 unchanged",
                      other.command("import", str(file), "--remove-others").stdout)
        self.assertNotIn("Groups and policies", other.command("import", str(file)).stdout)
        self.assertEqual(other.database.read_bytes(), before)
        dice = random.Random(13)
        senders = ["a@example.org", "b@example.org", "c@example.org", "x@example.net",
                   "y@example.info", "z@example.com", ""]
        for number in range(2000):
            request = {"sender": dice.choice(senders),
                       "recipient": dice.choice(["r@d.test", "c@d.test", "s@e.test", "t@other.org"]),
                       "client_address": dice.choice(["192.0.2.10", "10.1.2.3", "203.0.113.5"]),
                       "size": str(dice.choice([100, 5000]))}
            if dice.random() < 0.5:
                request["sasl_username"] = dice.choice(["carl", "a@example.org", "bob"])
            # Without the time, which passes between the two questions.
            answers = [self.ask(daemon, instance=f"both.{number}", **request).split(" Please try")[0]
                       for daemon in (first, other)]
            self.assertEqual(answers[0], answers[1], request)

    def test_internationalised_domains_survive_an_export(self):
        def own(daemon, *domains):
            daemon.sql("DELETE FROM policy_group_members WHERE PolicyGroupID = 2;" + "".join(
                "INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                f"(2, '@{domain}');" for domain in domains))

        first, other = self.make_daemon(), self.make_daemon()
        own(first, "xn--exmple-cua.org", "own.test")
        own(other, "own.test")
        policies = [("%internal_domains", "!%internal_domains", 5), ("@EXÄMPLE.org", "@bücher.test", 3),
                    ("any", "@BU\u0308CHER.test", 7)]
        for number, (source, destination, limit) in enumerate(policies, 30):
            first.sql(
                f"INSERT INTO policies (ID, Name, Priority) VALUES ({number}, 'p{number}', 5);"
                "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES "
                f"({number}, '{source}', '{destination}');"
                "INSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict, Data) VALUES "
                f"({number}, {number}, 'q', 'Recipient:@domain', 3600, 'DEFER', 'limit {limit}');"
                "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES "
                f"({number}, 'MessageCount', {limit});")
        first.command("send", "4/h", "--domain", "exämple.org", "--per", "domain")
        listed = first.command("list").stdout
        self.assertRegex(listed, "send +%internal_domains to !%internal_domains .* recipient's domain")
        file = first.folder / "exported"
        file.write_text(first.command("export").stdout)
        other.command("import", str(file))
        without_ids = [re.sub("(?m)^ *[0-9]+", "", text)
                       for text in (listed, other.command("list").stdout)]
        self.assertEqual(without_ids[0], without_ids[1])
        spellings = ["a@bücher.test", "b@BÜCHER.test", "c@xn--bcher-kva.test", "d@far.test"]
        dice = random.Random(5)
        answers = set()
        for number in range(60):
            request = {"recipient": dice.choice(spellings), "sender": dice.choice(
                ["p@exämple.org", "q@xn--exmple-cua.org", "r@EXA\u0308MPLE.org", "s@far.test"])}
            both = [self.ask(daemon, instance=f"idn.{number}", **request) for daemon in (first, other)]
            self.assertEqual(*both, request)
            answers.add(both[0])
        self.assertEqual(answers, {"DEFER limit 3", "DEFER limit 5", "DEFER limit 7", "DUNNO"})

    def test_forged_sender_is_limited_too_if_the_limit_is_for_anyone(self):
        outside = {"client_address": "203.0.113.9"}

        def forged_pass(most=20):
            for count in range(most):
                self.mails += 1
                if self.daemon.ask(sender=USER, instance=f"forged.{self.mails}",
                                   **outside) != "DUNNO":
                    return count
            return most

        self.say("send", "3/h", "--anyone")
        note = self.say("send", "5/h", "--user", USER).stdout
        self.assertEqual(forged_pass(), 20)
        self.assertIn("mail from outside that forges such a sender is not limited", note)
        command = re.search(r"'carbonio-limits ([^']*--anyone) && carbonio-limits (remove 4)'", note)
        self.say(*command[1].split())
        self.say(*command[2].split())
        self.assertEqual(forged_pass(), 5)
        self.assertFalse(self.passes())  # the same counter

    def test_an_account_is_limited_whatever_senders_it_names(self):
        self.assertIn("each account may send", self.say("send", "3/h", "--per", "account").stdout)
        asked_for = self.say("send", "3/h", "--everyone", "--per", "account", "--dry-run").stdout
        self.assertIn("each account of this server", asked_for)

        def passes(sender, login):
            self.mails += 1
            return self.daemon.ask(sender=sender, sasl_username=login, instance=f"a.{self.mails}",
                                   client_address="203.0.113.9") == "DUNNO"

        senders = ["x@foreign.test", USER, "", "y@foreign.test", "z@foreign.test"]
        self.assertEqual([passes(each, "eve@example.org") for each in senders],
                         [True] * 3 + [False] * 2)
        self.assertTrue(passes("x@foreign.test", "bob@example.org"))
        self.assertTrue(all(passes("x@foreign.test", "") for _ in range(5)))  # from outside

    def test_import_applies_to_the_next_request(self):
        file = self.daemon.folder / "limits.txt"
        file.write_text("send 2/h --user alice@example.org # and a comment\n")
        file.chmod(0o644)
        self.say("import", str(file))
        self.assertEqual(self.how_many_pass(), 2)

    def test_restore_applies_to_the_next_request(self):
        self.say("send", "3/h")
        self.assertEqual(self.how_many_pass(), 3)
        copy = self.daemon.database.parent / "copy.db"
        self.say("backup", str(copy))
        self.say("remove", "3")
        self.say("send", "50/h", "--per", "everyone")
        self.assertTrue(self.passes())
        inode = self.daemon.database.stat().st_ino
        self.say("restore", str(copy))
        self.assertEqual(self.daemon.database.stat().st_ino, inode)
        self.assertFalse(self.passes())  # limit and counters of the copy
        self.say("set", "3", "4/h")
        self.assertEqual(self.how_many_pass(), 1)
        self.assertEqual(self.daemon.sql("PRAGMA integrity_check; PRAGMA journal_mode").split(),
                         ["ok", "wal"])

    def test_restore_of_the_perl_daemons_database_with_other_pages(self):
        perl = self.daemon.database.parent / "perl.db"
        dump = self.daemon.sql("DELETE FROM quotas; UPDATE policy_members SET Source=NULL;")
        del dump
        subprocess.run(["sqlite3", perl], text=True, check=True, input="PRAGMA page_size=4096;" +
                       self.daemon.sql(".dump").replace("COMMIT;", "") +
                       "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict) VALUES "
                       "(1,'x','Policy',3600,'DEFER');"
                       "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES "
                       "(3,'MessageCount',2);"
                       "DROP TABLE limits_rules_version; DROP TABLE limits_counted;"
                       + "".join(f"DROP TRIGGER {row[0]};" for row in self.daemon.query(
                           "SELECT name FROM sqlite_master WHERE type='trigger'")) + "COMMIT;")
        perl.chmod(0o666)
        self.assertTrue(self.passes())
        self.say("restore", str(perl))
        self.assertEqual(self.how_many_pass(), 2)
        self.say("reset", "--limit", "3")
        self.assertEqual(self.how_many_pass(), 2)

    def test_three_limits_each_to_its_last_mail(self):
        self.say("send", "4/h")
        self.say("send", "6/day", "--user", "news@example.org")
        self.say("send", "9/day", "--domain", "example.org", "--per", "domain")
        self.assertEqual(self.how_many_pass(sender="news@example.org"), 6)
        self.assertEqual(self.how_many_pass(), 3)  # 9 together
        self.say("reset", "example.org")
        self.assertEqual(self.how_many_pass(), 1)  # 4 of their own
        self.assertEqual(self.how_many_pass(sender="bob@example.com"), 4)

    def test_usage_shows_refusals(self):
        self.say("send", "2/h")
        self.assertEqual(self.how_many_pass(), 2)
        deadline = time.monotonic() + 60
        refused = None
        while time.monotonic() < deadline and not refused:
            usage = json.loads(self.say("usage", "--json").stdout)
            refused = usage["usage"][0]["refused"]
            time.sleep(0.1)
        self.assertEqual(refused, 1)
        self.assertEqual(usage["refusals"][0]["key"], f"Sender:{USER}")
        self.assertIn("REFUSED", self.say("usage").stdout)
        self.say("remove", str(usage["usage"][0]["id"]))
        self.assertIn(f"Earlier refusals of {USER} by a limit that was removed: 1",
                      self.say("usage", USER).stdout)

    def test_monitoring_limit_shows_whom_it_would_have_stopped(self):
        self.say("send", "2/h", "--verdict", "none")
        self.assertEqual(self.how_many_pass(5), 5)
        self.assertIn("monitored: 3 too many", self.say("usage").stdout)
        self.assertTrue(eventually(lambda: "3 (monitored)" in self.say("usage").stdout))
        self.assertNotIn("Refused in the last", self.say("usage").stdout)

    def test_who_is_refused_stands_above_who_is_only_monitored(self):
        self.say("send", "2/h")
        self.say("send", "1/day", "--per", "domain", "--verdict", "none")
        self.assertEqual(self.how_many_pass(), 2)
        for sender in ("bob@example.org", "eve@example.org"):
            self.assertTrue(self.passes(sender))
        for top in (1, 2, 3, 10):
            rows = json.loads(self.say("usage", "--json", "--top", str(top)).stdout)["usage"]
            self.assertEqual([(row["key"], row["percent"]) for row in rows][:2],
                             [(f"Sender:{USER}", 100), ("Sender:@example.org", 400)][:top])

    def test_message_with_figures(self):
        self.say("send", "1/h", "--message", "You sent {used} of {limit}")
        self.assertTrue(self.passes())
        self.mails += 1
        self.assertEqual(self.daemon.ask(sender=USER, sasl_username=USER, instance="figures"),
                         "DEFER You sent 1 of 1")

    def test_watch_ends_with_ctrl_c(self):
        self.say("send", "2/h")
        watching = subprocess.Popen(
            [bin_dir() / "carbonio-limits", "usage", "--watch", "--database", self.daemon.database],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(b"No usage at the moment", watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=60)
        self.assertEqual((watching.returncode, err), (0, b""))


if __name__ == "__main__":
    unittest.main()
