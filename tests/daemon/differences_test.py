# SPDX-License-Identifier: AGPL-3.0-only
"""Where we deliberately decide otherwise than the Perl daemon: that we do. Most of it is tested where
its subject is; TESTED_ELSEWHERE says where, and is checked. The rest is here, and what of matching is
only tested without a daemon is here once more with one."""

import os
import time
import unittest
from pathlib import Path

from daemon_case import (
    ALICE, DaemonTest, always, format_request, insert, last, limit, policy, quota)

ROOT = Path(__file__).resolve().parents[2]

# difference | file under tests/ | test
TESTED_ELSEWHERE = """
a request over 16 KiB closes the connection     | daemon/protocol_test.py | test_a_larger_request_closes_the_connection
so does a line that is not name=value           | daemon/protocol_test.py | test_a_line_without_equals_sign_closes_before_the_request_ends
states before RCPT are DUNNO unchecked          | daemon/protocol_test.py | test_states_before_rcpt_are_dunno_unchecked
mapped addresses are IPv4                       | daemon/protocol_test.py | test_mapped_addresses_are_ipv4
names without a domain, blanks, are addresses   | daemon/protocol_test.py | test_names_without_a_domain_or_with_a_blank_are_addresses
pipelined requests work                         | daemon/protocol_test.py | test_several_requests_in_one_packet_are_answered_in_order
bytes behind a request belong to the next       | daemon/protocol_test.py | test_bytes_after_the_empty_line_belong_to_the_next_request
no ceiling of 25 connections                    | daemon/connections_test.py | test_300_connections_at_once
a repeated question gets the first answer       | daemon/window_test.py | class RepeatedQuestions
but no second header                            | daemon/spf_test.py | test_a_repeated_question_gets_no_second_header
within a priority policies go by ID             | daemon/quotas_test.py | test_lower_priority_numbers_come_first_then_lower_ids
exact windows                                   | unit/daemon/counting/window_property_test.cpp | NeverMoreThanTheLimitAndNeverRefusesWithoutNeed
exact windows, in real time                     | daemon/window_test.py | test_random_traffic_is_never_over_the_limit_nor_refused_below_it
a size counts once for a message and key        | daemon/sizes_test.py | test_several_recipients_of_one_key_count_once
a true size over the limit is not counted       | daemon/sizes_test.py | test_a_true_size_over_the_limit_is_refused_and_not_counted
a quota without a verdict watches               | daemon/quotas_test.py | class Watching
placeholders in Data                            | daemon/quotas_test.py | test_placeholders_in_the_text_are_replaced
a refusal's figures are the exceeded limit's    | daemon/log_test.py | test_a_refusals_figures_are_those_of_the_exceeded_limit
HELO names with AAAA or MX are found            | daemon/spf_test.py | test_names_are_looked_up
the age of sessions, said before it cleans up   | daemon/cleanup_test.py | test_the_age_of_sessions_is_configured
trouble with the database is no DEFER           | daemon/trouble_test.py | test_answers_come_limits_hold_and_all_is_stored_afterwards
the database is in write-ahead mode             | daemon/database_test.py | test_it_is_in_wal_mode_then_and_changes_apply_at_once
depth of groups has no limit                    | unit/daemon/rules/match/match_index_test.cpp | DepthOfGroupsHasNoLimit
no rule costs more for others being there       | bench/match_bench.cpp | ten thousand
"""


class TestedElsewhere(unittest.TestCase):
    def test_there(self):
        for line in TESTED_ELSEWHERE.strip().splitlines():
            difference, file, test = (part.strip() for part in line.split("|"))
            with self.subTest(difference):
                self.assertIn(test, (ROOT / "tests" / file).read_text())


class Matching(DaemonTest):
    """Ours matches where the Perl daemon's does not, or fails."""

    REFUSED = "REJECT refused"

    def check(self, rows):
        """Each: a name, Source, members of the group `g`, attributes, whether it matches."""
        daemon = self.make_daemon(always("refused") + insert("policy_groups", ID=70, Name="g"))
        for name, source, members, attributes, matches in rows:
            with self.subTest(name):
                daemon.sql("DELETE FROM policy_group_members WHERE PolicyGroupID = 70;"
                           "UPDATE policy_members SET Source = " + f"'{source}' WHERE PolicyID = 6;" +
                           "".join(insert("policy_group_members", PolicyGroupID=70, Member=member)
                                   for member in members))
                self.assertEqual(daemon.ask(**attributes), self.REFUSED if matches else "DUNNO")

    def test_items(self):
        client = {"client_address": "2001:db8::a"}
        self.check([
            ("the asking Postfix", "[127.0.0.1]", [], {}, True),
            ("the network of the asking Postfix", "[127.0.0.0/8]", [], {}, True),
            ("another Postfix", "[192.0.2.0/24]", [], {}, False),
            ("not the asking Postfix", "![127.0.0.1]", [], {}, False),
            ("IPv6 in capitals", "2001:DB8::A", [], client, True),
            ("an IPv6 network in capitals", "2001:DB8::/32", [], client, True),
            ("a plus is a plus", "bob+tag@x.example", [], {"sender": "bob+tag@x.example"}, True),
            ("and no repetition", "bob+tag@x.example", [], {"sender": "bobbtag@x.example"}, False),
            ("a bracket is a bracket", "a[b@x.example", [], {"sender": "a[b@x.example"}, True),
            ("a question mark is one", "ab?@x.example", [], {"sender": "a@x.example"}, False),
            ("a dot is a dot", "a.b@x.example", [], {"sender": "axb@x.example"}, False),
            ("in SASL names too", "$bob+tag", [], {"sasl_username": "bob+tag"}, True),
            ("a star takes blanks", "$m*x", [], {"sasl_username": "Max Max"}, True),
            ("any login is $*", "$*", [], {"sasl_username": "max m"}, True),
            ("blanks around a login are no part", "$bob", [], {"sasl_username": " Bob "}, True),
            ("a login of blanks is none", "$*", [], {"sasl_username": "  "}, False),
            ("a star takes blanks in addresses", "m*@x.example", [],
             {"sender": "m x@x.example"}, True),
            ("no domain, no match of it", "@x.example", [], {"sender": "x.example"}, False),
            ("any domain or none", "root@*", [], {"sender": "root"}, True),
            ("CR LF at the end is nothing", "@example.org\r\n", [], {}, True),
            ("nor is it behind the name of a group", "%g\r\n", ["@example.org"], {}, True),
            ("nor behind any", "any\r\n", [], {}, True),
        ])

    def test_members(self):
        self.check([
            ("an empty member is skipped", "%g", ["", "@example.org"], {}, True),
            ("alone it matches nothing", "%g", [""], {}, False),
            ("nor what is negated", "!%g", [""], {}, True),
            ("commas separate members", "%g", ["@x.example,@example.org"], {}, True),
            ("line breaks separate members", "%g", ["@x.example\n@example.org"], {}, True),
            ("one of them is enough, not all", "%g", ["@example.org,10.0.0.0/8"], {}, True),
        ])

    def test_doctor_reports_an_empty_member(self):
        daemon = self.make_daemon(policy(source="%g") + insert("policy_groups", ID=70, Name="g") +
                                  insert("policy_group_members", ID=71, PolicyGroupID=70, Member=""))
        done = daemon.command("doctor", "--json", check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stdout, "policy_group_members 71[^\"]*empty member")

    def test_one_group_by_two_paths(self):
        groups = "".join(
            insert("policy_groups", ID=number, Name=name) +
            "".join(insert("policy_group_members", PolicyGroupID=number, Member=member)
                    for member in members)
            for number, name, members in ((70, "both", ("%left", "%right")), (71, "left", ("%end",)),
                                          (72, "right", ("%end",)), (73, "end", ("@example.org",))))
        daemon = self.make_daemon(always("refused", source="%both") + groups)
        self.assertEqual(daemon.ask(), self.REFUSED)
        daemon.sql("UPDATE policy_members SET Source = '%left,%right' WHERE PolicyID = 6;")
        self.assertEqual(daemon.ask(), self.REFUSED)
        self.assertEqual(daemon.ask(sender="a@other.example"), "DUNNO")


class Names(DaemonTest):
    """Each name is one name, however it is spelt."""

    SPELLINGS = ("p@xn--exmple-cua.org", "p@exämple.org", "p@EXÄMPLE.org", "p@exa\u0308mple.org",
                 "p@ｅｘämple.org", "p@exämple。org", "P@XN--EXMPLE-CUA.ORG", "p@exämple.org.",
                 "P@xn--exmple-cua.ORG.")

    def test_a_domain_has_one_limit(self):
        daemon = self.make_daemon(policy(source="@xn--exmple-cua.org") + quota(2))
        answers = [daemon.ask(sender=sender) for sender in self.SPELLINGS]
        self.assertEqual(answers, ["DUNNO"] * 2 + ["DEFER later"] * 7)
        self.assertEqual(daemon.query("SELECT TrackKey, Counter FROM quotas_tracking"),
                         [("Sender:p@xn--exmple-cua.org", 2)])

    def test_rules_may_spell_it_in_any_way(self):
        daemon = self.make_daemon(always("refused", source="%g") +
                                  insert("policy_groups", ID=70, Name="g"))
        for member in ("@EXÄMPLE.org", "p@exa\u0308mple.org", "P@*", "*@*ämple.org",
                       "@*.org", "@xn--exmple-cua.org", "p@xn--exmple-cua.org."):
            daemon.sql("DELETE FROM policy_group_members WHERE PolicyGroupID = 70;" +
                       insert("policy_group_members", PolicyGroupID=70, Member=member))
            for sender in self.SPELLINGS:
                with self.subTest(member=member, sender=sender):
                    self.assertEqual(daemon.ask(sender=sender), "REJECT refused")
        self.assertEqual(daemon.ask(sender="p@example.org"), "DUNNO")

    def test_local_parts_and_logins_have_one_counter(self):
        daemon = self.make_daemon(policy(source="$*") + quota(2) +
                                  quota(3, track="SASLUsername", data="login"))

        def send(sender, login):
            return daemon.ask(sender=sender, sasl_username=login)
        self.assertEqual(send("JÜRGEN@exämple.org", "Änna"), "DUNNO")
        self.assertEqual(send("jürgen@EXÄMPLE.org", "änna"), "DUNNO")
        self.assertEqual(send("ju\u0308rgen@xn--exmple-cua.org", "a\u0308nna"), "DEFER later")
        self.assertEqual(send("other@exämple.org", "ÄNNA "), "DUNNO")
        self.assertEqual(send("other@exämple.org", "a\u0308nna"), "DEFER login")
        for name, spelt in (("jürgen@xn--exmple-cua.org", "JÜRGEN@EXÄMPLE.org."),
                            ("änna", "A\u0308nna")):
            self.assertIn(name, daemon.command("usage", spelt).stdout)
            self.assertIn("Cleared", daemon.command("reset", spelt).stdout)
        self.assertEqual(send("jürgen@exämple.org", "änna"), "DUNNO")

    def test_bounces_have_one_name(self):
        daemon = self.make_daemon(policy() + quota(2))
        self.assertEqual([daemon.ask(sender=sender) for sender in ("", "<>", "")],
                         ["DUNNO"] * 2 + ["DEFER later"])
        self.assertIn("<> (bounces)", daemon.command("usage", "<>").stdout)
        self.assertIn("Cleared", daemon.command("reset", "<>").stdout)
        self.assertEqual(daemon.ask(sender=""), "DUNNO")

    def test_the_command_writes_the_form_that_the_dns_has(self):
        daemon = self.make_daemon()
        daemon.command("send", "2/h", "--anyone", "--user", "JÜRGEN@EXÄMPLE.org")
        daemon.command("receive", "2/h", "--domain", "EXÄMPLE.org")
        self.assertIn("'jürgen@xn--exmple-cua.org,", daemon.sql(".dump policy_members"))
        self.assertEqual([daemon.ask(sender="Jürgen@exämple.org") for _ in range(3)][2][:5], "DEFER")
        for recipient in ("a@exämple.org", "b@EXÄMPLE.org", "c@xn--exmple-cua.org"):
            answer = daemon.ask(recipient=recipient)
        self.assertEqual(answer[:6], "REJECT")
        self.assertIn("xn--exmple-cua.org", daemon.command("list").stdout)
        self.assertIn("REFUSED", daemon.command(
            "explain", "--from", "x@y.example", "--to", "z@exämple.org").stdout)

    def test_the_dot_after_a_domain_is_not_part_of_it(self):
        daemon = self.make_daemon()
        daemon.command("send", "1/h", "--login", "vip@example.org.")
        daemon.command("receive", "1/h", "--domain", "Example.ORG.", "--per", "domain")
        answers = [daemon.ask(sender="x@far.example", sasl_username=login)[:5]
                   for login in ("vip@example.org", "VIP@example.org.")]
        self.assertEqual(answers, ["DUNNO", "DEFER"])
        answers = [daemon.ask(sender="x@far.example", recipient=recipient)[:6]
                   for recipient in ("a@example.org", "b@EXAMPLE.org.")]
        self.assertEqual(answers, ["DUNNO", "REJECT"])
        self.assertIn("@example.org", daemon.command("usage", "EXAMPLE.org.").stdout)
        self.assertIn("Cleared", daemon.command("reset", "vip@example.org.").stdout)
        self.assertEqual(daemon.ask(sender="x@far.example", sasl_username="vip@example.org"), "DUNNO")
        daemon.command("block", "vip@example.org.")
        self.assertEqual(daemon.ask(sender="x@far.example", sasl_username="vip@example.org")[:6],
                         "REJECT")


class Counting(DaemonTest):
    def test_the_window_is_the_default(self):
        """The Perl daemon lets eleven through, and lets one more through each tenth of the period."""
        daemon = self.make_daemon(policy() + quota(10, period=600))
        self.assertEqual(self.ask_many(daemon, 12), ["DUNNO"] * 10 + ["DEFER later"] * 2)
        daemon.sql(f"UPDATE quotas_tracking SET Counter = 10, LastUpdate = {int(time.time()) - 300}"
                   f" WHERE TrackKey = '{ALICE}';")
        self.assertEqual(daemon.ask(), "DEFER later", "half a period later the ten still count")

    def test_decay_when_it_is_chosen(self):
        daemon = self.make_daemon(policy() + quota(10, period=600),
                                  options={"Quotas": {"algorithm": "decay"}})
        self.assertEqual(self.ask_many(daemon, 12), ["DUNNO"] * 11 + ["DEFER later"])

    def test_a_message_counts_a_recipient_once_in_all_limits(self):
        daemon = self.make_daemon(policy() + quota(5) + limit(5) + quota(5, track="Policy"))
        for _ in range(4):
            self.assertEqual(daemon.ask(instance="a"), "DUNNO")
        self.assertEqual([daemon.counter(ALICE, 4), daemon.counter(ALICE, 5),
                          daemon.counter("Policy", 6)], [1, 1, 1])


class Helo(DaemonTest):
    def make(self, **columns):
        return self.make_daemon(policy() + insert("checkhelo", PolicyID=last("policies"), Name="h",
                                                  **columns), modules=("CheckHelo",))

    def test_the_standards_ipv6_literal_is_fine(self):
        daemon = self.make(RejectInvalid=1)
        for helo, fine in (("[IPv6:2001:db8::1]", True), ("[ipv6:2001:DB8::1]", True),
                           ("[2001:db8::1]", True), ("[IPv6:nonsense]", False)):
            with self.subTest(helo):
                self.assertEqual(daemon.ask(helo_name=helo) == "DUNNO", fine)

    def used(self, seconds_ago, *names):
        now = int(time.time())
        return "".join(insert("checkhelo_tracking", Address="192.0.2.10", Helo=name,
                              LastUpdate=now - seconds_ago) for name in names)

    def test_names_count_for_the_period_and_not_for_ever(self):
        daemon = self.make(UseHRP=1, HRPPeriod=3600, HRPLimit=2)
        daemon.sql(self.used(7200, "a.example", "b.example", "c.example"))
        self.assertEqual(daemon.ask(), "DUNNO")
        daemon.sql("UPDATE checkhelo_tracking SET LastUpdate = LastUpdate + 7000;")
        self.assertEqual(daemon.ask(), "REJECT Invalid HELO/EHLO; HRP limit exceeded")

    def test_a_blacklisted_name_counts_for_the_period_and_not_for_ever(self):
        daemon = self.make(UseBlacklist=1, BlacklistPeriod=3600)
        daemon.sql(self.used(7200, "localhost"))
        self.assertEqual(daemon.ask(), "DUNNO")
        daemon.sql("UPDATE checkhelo_tracking SET LastUpdate = LastUpdate + 7000;")
        self.assertEqual(daemon.ask(), "REJECT Invalid HELO/EHLO; Blacklisted")


class Process(DaemonTest):
    SERVERS = {"min_servers": 4, "min_spare_servers": 4, "max_spare_servers": 12, "max_servers": 25,
               "max_requests": 10}

    def test_one_process_serves_all_whatever_the_servers_keys_say(self):
        daemon = self.make_daemon(policy() + quota(50), options={"server": self.SERVERS})
        connections = [daemon.connect() for _ in range(60)]
        for number, connection in enumerate(connections):
            self.addCleanup(connection.close)
            connection.send(format_request({"instance": f"m{number}.1", "protocol_state": "RCPT",
                                            "client_address": "192.0.2.1", "recipient": "b@c.example",
                                            "sender": "alice@example.org"}))
        answers = [connection.answer() for connection in connections]
        self.assertEqual((answers.count("DUNNO"), answers.count("DEFER later")), (50, 10))
        pid = daemon.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.assertEqual(children, [])

    def test_with_fg_the_log_goes_to_log_file(self):
        daemon = self.make_daemon(policy() + quota(1))
        self.assertIn(b"--fg", Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes())
        self.ask_many(daemon, 2)
        daemon.wait_for_log("module=Quotas, action=defer")
        self.assertNotIn("module=Quotas", daemon.output())
        stderr = os.readlink(f"/proc/{daemon.process.pid}/fd/2")
        self.assertEqual(stderr, str(daemon.output_file))

    def test_a_pattern_of_the_perl_daemon_that_would_kill_it_is_only_text(self):
        """There `(` in an address is half a regular expression, and the child dies of it."""
        daemon = self.make_daemon(always("refused", source="(@example.org") +
                                  always("by the other", source="alice@example.org"))
        self.assertEqual(daemon.ask(), "REJECT by the other")
        self.assertEqual(daemon.ask(sender="(@example.org"), "REJECT refused")


if __name__ == "__main__":
    unittest.main()
