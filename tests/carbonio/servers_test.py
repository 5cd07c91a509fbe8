#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`enable` and `disable` with several servers: what can be set from here, what is printed about the
others, and the state after a failure on one of them."""

import unittest

from carbonio_case import SERVER
from enable_case import ON, EnableCase

OTHERS = ("mta2.example.com", "mta3.example.com")


class Servers(EnableCase):
    def setUp(self):
        super().setUp()
        for server in OTHERS:
            self.put(f"servers/{server}", ON[0])
        self.put("servers/mailbox.example.com", "zimbraServiceEnabled: mailbox")

    def are_on(self):
        return [self.attributes(server) == ON for server in (SERVER, *OTHERS)]

    def enable(self, *words, **more):
        return self.switch("enable", "--even-if-not-running", *words, **more)

    def test_all_mta(self):
        out, _ = self.enable("--all-mta")
        self.assertEqual(self.are_on(), [True] * 3)
        self.assertEqual(self.attributes("mailbox.example.com"), ["zimbraServiceEnabled: mailbox"])
        self.assertEqual(self.calls(), 2)
        self.assertIn("on mta2.example.com and mta3.example.com this changes only the attributes", out)
        self.assertIn("carbonio-limits export | ssh mta2.example.com carbonio-limits import -", out)
        self.assertIn("3 hosts are 3 counts", out)
        self.assert_runs()
        out, _ = self.enable("--all-mta")
        self.assertIn("Nothing to change", out)
        self.assertEqual(self.calls(), 3)
        out, _ = self.switch("disable", "--all-mta")
        self.assertIn("also run 'carbonio-limits disable' there", out)
        self.assertEqual([self.attributes(server) for server in OTHERS], [[ON[0], ON[2]]] * 2)

    def test_others_only(self):
        out, _ = self.enable("--server", "MTA2.example.com", "mta3.example.com",
                             "--server", "mta2.example.com")
        self.assertEqual(self.are_on(), [False, True, True])
        self.assertEqual((self.daemon_pid(), self.mark.exists(), self.configd.requests),
                         (None, False, []))
        self.assertEqual(out.count("  done"), 2)

    def test_a_server_that_is_missing_or_not_an_mta(self):
        before = self.tree()
        _, err = self.switch("enable", "--server", SERVER, "nowhere.example.com", status=2)
        self.assertIn("account.NO_SUCH_SERVER (no such server: nowhere.example.com)", err)
        _, err = self.switch("enable", "--server", SERVER, "mailbox.example.com", status=2)
        self.assertIn("mailbox.example.com is not an MTA host", err)
        self.assertEqual(self.tree(), before)

    def test_one_of_three_fails_and_the_second_run_completes(self):
        self.put("fault", f"refuse:{OTHERS[0]}")
        out, err = self.enable("--all-mta", status=2)
        self.assertIn("mta2.example.com was not changed (service.FAILURE (system failure: unable "
                      "to modify attrs))", err)
        self.assertIn(f"{SERVER} and mta3.example.com are correct", err)
        self.assertIn("rerun the command", err)
        self.assertRegex(out, "PROBLEM +mta2.example.com was not changed")
        self.assertEqual(self.are_on(), [True, False, True])
        self.assert_runs()
        self.put("fault")
        out, _ = self.enable("--all-mta")
        self.assertEqual(self.are_on(), [True] * 3)
        self.assertEqual(out.count("  done"), 1)

    def test_this_one_of_three_fails(self):
        self.put("fault", f"refuse:{SERVER}")
        _, err = self.enable("--all-mta", status=2)
        self.assertIn(f"{SERVER} was not changed", err)
        self.assertEqual((self.are_on(), self.postfix_asks()), ([False, True, True], 0))
        self.put("fault")
        self.enable("--all-mta")
        self.assertEqual(self.are_on(), [True] * 3)

    def test_java_that_dies_half_way(self):
        self.put("fault", "half-change")
        _, err = self.enable("--all-mta", status=2)
        self.assertEqual(self.are_on(), [True, False, False])
        self.assertIn(f"{SERVER} is correct", err)
        self.assertIn("mta2.example.com was not changed", err)
        self.put("fault")
        self.enable("--all-mta")
        self.assertEqual(self.are_on(), [True] * 3)

    def test_dry_run(self):
        self.put(f"servers/{OTHERS[0]}", *ON)
        out, _ = self.enable("--server", *OTHERS, "--dry-run")
        self.assertEqual(out.splitlines()[:2],
                         ["carbonio prov ms mta3.example.com +zimbraServiceEnabled cbpolicyd "
                          "zimbraCBPolicydQuotasEnabled TRUE",
                          "Nothing was changed (--dry-run)."])
        self.assertEqual(self.are_on(), [False, True, False])


if __name__ == "__main__":
    unittest.main()
