#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`postscreen`: shows and switches the attributes of Postfix's tests of unknown clients."""

import re
import socket
import unittest

from carbonio_case import SERVER
from enable_case import EnableCase

GREET = "zimbraMtaPostscreenGreetAction"
ACTION = "zimbraMtaPostscreenDnsblAction"
SITES = "zimbraMtaPostscreenDnsblSites"


class Postscreen(EnableCase):
    def postscreen(self, *arguments, **more):
        return self.switch("postscreen", *arguments, **more)

    def rows(self, *arguments):
        """attribute -> its value and where it is from"""
        lines = self.postscreen("status", *arguments)[0].splitlines()
        return {words[0]: words[1:] for words in map(str.split, lines)
                if words and words[0].startswith("zimbra")}

    def test_status_shows_where_values_come_from(self):
        self.put("global", f"{GREET}: enforce", f"{SITES}: a.example", f"{SITES}: b.example*2")
        self.put(f"servers/{SERVER}", "zimbraServiceEnabled: mta", f"{GREET}: drop")
        rows = self.rows()
        self.assertEqual(len(rows), 8)
        self.assertEqual(rows[GREET], ["drop", "server"])
        self.assertEqual(rows[ACTION], ["ignore", "default"])
        self.assertEqual(rows[SITES], ["a.example", "b.example*2", "global"])
        self.assertEqual(self.rows("--global")[GREET], ["enforce", "global"])
        self.assertEqual((self.calls(), self.configd.requests), (2, []))

    def test_status_says_what_is_blocked(self):
        for lines, sentence in (
                ([], "Blocks nothing: the tests have no consequences."),
                ([f"{SITES}: a.example", f"{ACTION}: ignore"], "Blocks nothing"),
                ([f"{ACTION}: enforce"], "Blocks nothing"),
                ([f"{GREET}: enforce"],
                 "Blocks robots that do not wait for the greeting; block lists are not used."),
                ([f"{GREET}: drop", f"{ACTION}: drop", f"{SITES}: a.example"],
                 "Blocks robots that do not wait for the greeting, and clients on 1 block list."),
                ([f"{ACTION}: enforce", f"{SITES}: a.example", f"{SITES}: b.example"],
                 "Blocks clients on 2 block lists, but no robots that are on none.")):
            with self.subTest(lines):
                self.put(f"servers/{SERVER}", "zimbraServiceEnabled: mta", *lines)
                self.assertIn(sentence, self.postscreen("status")[0])

    def test_enable_and_disable(self):
        out, _ = self.postscreen("enable")
        self.assertIn(f"carbonio prov ms {SERVER} {GREET} enforce", out)
        self.assertEqual(self.attributes()[1:], [f"{GREET}: enforce"])
        self.assertEqual((self.calls(), self.configd.requests), (2, ["REWRITE mta"]))
        self.assertIn("Nothing to change", self.postscreen("enable")[0])
        self.postscreen("enable", "--dnsbl", "zen.spamhaus.org*2", "bl.spamcop.net")
        self.assertEqual(self.rows()[SITES], ["zen.spamhaus.org*2", "bl.spamcop.net", "server"])
        self.assertEqual(self.rows()[ACTION], ["enforce", "server"])
        self.assertIn("Nothing to change",
                      self.postscreen("enable", "--dnsbl", "bl.spamcop.net")[0])
        self.postscreen("disable")
        rows = self.rows()
        self.assertEqual((rows[GREET][0], rows[ACTION][0]), ("ignore", "ignore"))
        self.assertEqual(rows[SITES][0], "zen.spamhaus.org*2", "the lists are kept")
        self.assertIn("Nothing to change", self.postscreen("disable")[0])

    def test_disabled_by_default_is_nothing_to_change(self):
        self.assertIn("Nothing to change", self.postscreen("disable")[0])
        self.assertEqual(self.calls(), 1)

    def test_a_list_of_its_own_does_not_hide_what_was_inherited(self):
        self.put("global", f"{SITES}: a.example")
        self.postscreen("enable", "--dnsbl", "b.example")
        self.assertEqual(self.rows()[SITES], ["a.example", "b.example", "server"])

    def test_global_and_several_servers(self):
        self.put("servers/mta2.example.com", "zimbraServiceEnabled: mta")
        self.put("servers/box.example.com", "zimbraServiceEnabled: mailbox")
        self.postscreen("enable", "--global")
        self.assertEqual((self.state / "global").read_text().splitlines()[-1], f"{GREET}: enforce")
        self.assertEqual(self.rows("--server", "mta2.example.com")[GREET], ["enforce", "global"])
        self.assertIn("Nothing to change", self.postscreen("enable", "--all-mta")[0])
        self.postscreen("disable", "--all-mta")
        self.assertEqual(self.attributes("mta2.example.com")[1:], [f"{GREET}: ignore"])
        self.assertEqual(len(self.attributes("box.example.com")), 1)
        out, _ = self.postscreen("status", "--all-mta")
        self.assertEqual(out.count(GREET), 2)
        self.assertIn("mta2.example.com:", out)

    def test_dry_run_prints_the_commands_and_changes_nothing(self):
        before = self.tree()
        out, _ = self.postscreen("enable", "--dnsbl", "zen.spamhaus.org*2", "--dry-run")
        self.assertEqual(out.splitlines(), [
            f"carbonio prov ms {SERVER} {GREET} enforce +{SITES} 'zen.spamhaus.org*2' {ACTION} "
            "enforce",
            f"echo 'REWRITE mta' | nc 127.0.0.1 {self.configd.port}",
            "Nothing was changed (--dry-run)."])
        out, _ = self.postscreen("enable", "--global", "--dry-run")
        self.assertEqual(out.splitlines()[0], f"carbonio prov mcf {GREET} enforce")
        self.assertEqual((self.tree(), self.configd.requests), (before, []))

    def test_status_says_whether_postfix_follows(self):
        self.assertNotIn("does not follow", self.postscreen("status")[0])
        self.postscreen("enable", "--dnsbl", "zen.spamhaus.org*2", "bl.spamcop.net")
        self.assertIn("postscreen_greet_action = enforce",
                      (self.postfix_folder / "main.cf").read_text())
        self.assertNotIn("does not follow", self.postscreen("status")[0])
        self.put("global", "zimbraMtaPostscreenBlacklistAction: drop")
        self.put(f"servers/{SERVER}", "zimbraServiceEnabled: mta", f"{SITES}: bl.spamcop.net")
        out, _ = self.postscreen("status")
        said = " ".join(out.split())
        self.assertIn("Postfix here does not follow yet: postscreen_greet_action is enforce, not "
                      "ignore, postscreen_dnsbl_action is enforce, not ignore, "
                      "postscreen_dnsbl_sites is zen.spamhaus.org*2, bl.spamcop.net, not "
                      "bl.spamcop.net and postscreen_denylist_action is ignore, not drop.", said)
        # The command that it prints.
        line, port = re.search(r"echo '(REWRITE mta)' [|] nc 127[.]0[.]0[.]1 (\d+)", said).groups()
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as connection:
            connection.sendall(f"{line}\n".encode())
            self.assertIn(b"SUCCESS", connection.recv(100))
        self.assertNotIn("does not follow", self.postscreen("status")[0])

    def test_a_configd_that_rewrites_nothing(self):
        self.configd.fault = "lazy"
        _, err = self.postscreen("enable", "--rewrite-timeout", "2", status=2)
        self.assertIn("changed the attributes, but Postfix may not follow", err)
        self.configd.fault = ""

    def test_one_server_fails(self):
        self.put("servers/mta2.example.com", "zimbraServiceEnabled: mta")
        self.put("fault", "refuse:mta2.example.com")
        _, err = self.postscreen("enable", "--all-mta", status=2)
        self.assertIn("mta2.example.com was not changed", err)
        self.assertIn(f"{SERVER} is correct", err)
        self.put("fault", "ldap")
        self.assertIn("nothing was changed", self.postscreen("status", status=2)[1])

    def test_without_configd(self):
        self.configd.__exit__()
        self.assertRegex(self.postscreen("enable")[0], "not checked +configd is not running here")

    def test_wrong_use(self):
        for wrong in ([], ["on"], ["status", "--dnsbl", "a.example"], ["enable", "--dnsbl", "a b.c"],
                      ["enable", "--dnsbl", "-x.example"], ["enable", "--dnsbl", "x$(id).example"],
                      ["status", "--global", "--all-mta"], ["enable", "disable"]):
            with self.subTest(wrong):
                self.postscreen(*wrong, status=1)
        self.assertEqual(self.calls(), 0)

    def test_receive_names_it(self):
        self.init()
        self.run_it("remove", "1", "2")
        self.assertIn(f"carbonio-limits --zextras-home {self.home} send 100/h",
                      self.run_it("list", "--zextras-home", str(self.home)))
        out = self.run_it("receive", "125/60s", "--anyone", "--zextras-home", str(self.home))
        self.assertIn(f"carbonio-limits --zextras-home {self.home} postscreen enable", out)


if __name__ == "__main__":
    unittest.main()
