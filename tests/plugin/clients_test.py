#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Limits per client with the daemon running: each address has a counter of its own, of IPv4 and of
IPv6, which `usage`, `explain` and `reset` find; and rows by SenderIP:/32, as earlier versions wrote
them and as one types them by hand, which count IPv6 clients by networks."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

from daemon_case import DaemonTest, policy, quota  # noqa: E402

V4 = "192.0.2.10"
V6 = "2001:db8:1::1"
NEIGHBOUR = "2001:db8:2::1"  # of the same /32
V4_KEY = f"SenderIP:{V4}"
V6_KEY = "SenderIP:2001:0db8:0001:0000:0000:0000:0000:0001/128"
LINE = "send 2/h --anyone --per client"
TEXT = "Deferring: Too many messages sent in last hour"


class Clients(DaemonTest):
    def make(self, sql=""):
        self.daemon = self.make_daemon(sql)

    def say(self, *words) -> str:
        return self.daemon.command(*words).stdout

    def how_many_pass(self, client, most=9) -> int:
        answers = (self.daemon.ask(client_address=client) for _ in range(most))
        return next((n for n, answer in enumerate(answers) if answer != "DUNNO"), most)

    def used(self, *who) -> dict:
        usage = json.loads(self.say("usage", *who, "--json"))["usage"]
        return {(use["key"], use["who"]): use["used"] for use in usage}

    def keys(self) -> list:
        return self.daemon.sql("SELECT TrackKey, Counter FROM quotas_tracking ORDER BY 1;").split()

    def listed(self) -> str:
        [line] = [line for line in self.say("list").splitlines() if line.startswith(" 3 ")]
        return " ".join(line.split())

    def test_each_address_has_its_own_counter(self):
        self.make()
        self.say(*LINE.split())
        for client in (V4, "192.0.2.11", V6, NEIGHBOUR, "2001:db8:1::2"):
            self.assertEqual(self.how_many_pass(client), 2, client)
        self.assertEqual(len(self.keys()), 5)

    def test_usage_explain_and_reset_find_it(self):
        self.make()
        self.say(*LINE.split())
        for client, key in ((V4, f"{V4_KEY}/128"), (V6, V6_KEY)):
            self.assertEqual(self.how_many_pass(client), 2)
            self.assertEqual(self.used(client), {(key, client): 2})
            explained = self.say("explain", "--from", "a@b.example", "--to", "c@d.example",
                                 "--client", client)
            self.assertIn("REFUSED FOR NOW", explained)
            self.assertIn(f"carbonio-limits reset {client}", explained)
            self.assertIn(f"Cleared the counters of {client}", self.say("reset", client))
            self.assertEqual(self.used(client), {})
            self.assertEqual(self.how_many_pass(client), 2)
        self.assertEqual(len(self.used()), 2)

    def test_reset_clears_a_network_by_the_name_that_usage_shows(self):
        self.make(policy() + quota(1, track="SenderIP:/24"))
        for client, network in ((V4, "192.0.2.0/24"), (V6, "2001:d00::/24")):
            self.assertEqual(self.how_many_pass(client), 1)
            self.assertEqual([who for _, who in self.used(client)], [network])
            self.assertEqual([who for _, who in self.used(network)], [network])
            out = self.daemon.command("reset", client)
            self.assertIn("There were no counters", out.stdout)
            self.assertTrue(out.stdout.endswith(f"to clear that too: carbonio-limits reset {network}\n"),
                            out.stdout)
            self.assertIn(f"Cleared the counters of {network}", self.say("reset", network))
            self.assertEqual(self.how_many_pass(client), 1)

    def test_rows_by_64_count_ipv6_by_network_and_ipv4_by_address(self):
        self.make(policy() + quota(2, track="SenderIP:/64", period=3600))
        for client in (V4, "192.0.2.11", V6, NEIGHBOUR):
            self.assertEqual(self.how_many_pass(client), 2, client)
        self.assertEqual(self.how_many_pass("2001:db8:1::2"), 0)  # of V6's /64
        self.assertNotIn("rules.clients", self.daemon.command("doctor", "--json", check=False).stdout)

    def test_rows_by_32_are_marked_as_such(self):
        self.make(policy() + quota(2, track="SenderIP:/32", period=3600))
        self.assertEqual(self.how_many_pass(V4), 2)
        self.assertEqual(self.how_many_pass("192.0.2.11"), 2)
        self.assertEqual(self.how_many_pass(V6), 2)
        self.assertEqual(self.how_many_pass(NEIGHBOUR), 0)
        self.assertIn("anyone 2/h client, IPv6 /32", self.listed())
        [shown] = [limit for limit in json.loads(self.say("list", "--json"))["limits"]
                   if limit["id"] == 3]
        self.assertEqual((shown["per"], shown["track"]), ("client", "SenderIP:/32"))
        self.assertEqual(self.used(V6), {
            ("SenderIP:2001:0db8:0000:0000:0000:0000:0000:0000/32", "2001:db8::/32"): 2})
        self.assertEqual(self.used(V4), {(f"{V4_KEY}/32", V4): 2})
        self.assertIn(f"Cleared the counters of {V4}", self.say("reset", V4))
        self.assertIn("Cleared the counters of 2001:db8::/32", self.say("reset", "2001:db8::/32"))

    def test_repeating_the_command_counts_each_address_and_keeps_ipv4_counters(self):
        self.make(policy() + quota(2, track="senderip:/32", period=3600))
        self.assertEqual(self.how_many_pass(V4), 2)
        self.assertEqual(self.how_many_pass(V6), 2)
        self.assertIn("Changed limit 3 (counts senderip:/32 → SenderIP:/128",
                      self.say(*LINE.split()))
        self.assertEqual(self.keys(), [f"{V4_KEY}/128|2"])
        self.assertEqual(self.how_many_pass(V4), 0)
        self.assertEqual(self.how_many_pass(V6), 2)
        self.assertEqual(self.how_many_pass(NEIGHBOUR), 2)
        self.assertIn("Nothing to change, limit 3", self.say(*LINE.split()))
        self.assertIn("anyone 2/h client ", self.listed())

    def test_limits_for_ipv4_only_are_not_changed(self):
        self.make(policy("192.0.2.0/24") + quota(2, track="SenderIP:/32", period=3600, data=TEXT))
        self.assertIn("192.0.2.0/24 2/h client ", self.listed())
        self.assertIn("Nothing to change, limit 3", self.say(
            "send", "2/h", "--client", "192.0.2.0/24", "--per", "client"))
        self.assertEqual(self.daemon.sql("SELECT Track FROM quotas WHERE ID = 3;"),
                         "SenderIP:/32\n")

    def test_importing_an_export_updates_such_rows_and_reports_that(self):
        self.make(policy() + quota(2, track="SenderIP:/32", period=3600, data=TEXT))
        exported = self.say("export")
        self.assertIn(LINE, exported)
        file = self.daemon.folder / "limits.txt"
        file.write_text(exported)
        out = self.say("import", str(file))
        self.assertRegex(out, rf"  {LINE} .*# counts SenderIP:/32 → SenderIP:/128")
        self.assertIn("1 changed", out)
        self.assertEqual(self.say("export"), exported)
        self.assertIn(" 0 changed", self.say("import", str(file)))

    def test_doctor_finds_such_rows_and_their_fix(self):
        self.make(policy() + quota(2, track="SenderIP:/32", period=3600) +
                  policy("@a.example,!192.0.2.2") + quota(2, track="SenderIP:/32") +
                  policy("@a.example,192.0.2.1") + quota(2, track="SenderIP:/32") +  # no IPv6
                  policy("$*") + quota(2, track="SenderIP:/24"))

        def found():
            report = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)
            return [finding for finding in report["findings"] if finding["check"] == "rules.clients"]

        first, second, by_network = found()
        self.assertIn("limit 3 counts IPv4 clients one by one, but", first["what"])
        self.assertIn("SET Track = 'SenderIP:/128' WHERE ID IN (3)", first["fix"])
        self.assertIn("limit 6 (SenderIP:/24) counts IPv6 clients by /24 network",
                      by_network["what"])
        self.assertFalse(by_network["command"])
        for finding in (first, second):
            subprocess.run(finding["fix"], shell=True, check=True)
        self.assertEqual([finding["what"] for finding in found()], [by_network["what"]])


if __name__ == "__main__":
    unittest.main()
