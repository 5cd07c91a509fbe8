#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`init` and `sync` ask Carbonio for its domains and networks, and survive any answer."""

import os
import pathlib
import time
import unittest

from carbonio_case import SERVER, Carbonio

DOMAINS = ["@alias.example.net", "@example.net"]


class Sync(Carbonio):
    def test_init_fills_the_groups_with_one_start(self):
        out = self.run_it("init")
        self.assertIn("internal_domains: 2 added, 2 removed, 0 unchanged", out)
        self.assertEqual(self.members("internal_domains"), DOMAINS)
        self.assertEqual(self.members("internal_ips"), ["127.0.0.0/8", "::1/128"])
        self.assertEqual(self.calls(), 1)
        out = self.run_it("sync")
        self.assertIn("internal_domains: 0 added, 0 removed, 2 unchanged", out)
        self.assertIn("internal_ips: 0 added, 0 removed, 2 unchanged", out)

    def test_no_prov_does_not_ask(self):
        self.run_it("init", "--no-prov")
        self.assertEqual(self.calls(), 0)
        self.assertEqual(self.members("internal_domains"), ["@example.com", "@example.org"])

    def test_zmprov_where_carbonio_is_missing(self):
        (self.home / "bin/carbonio").rename(self.home / "bin/zmprov")
        self.run_it("init")
        self.assertEqual(self.members("internal_domains"), DOMAINS)

    def test_the_servers_networks_count_before_the_global_ones(self):
        self.put(f"servers/{SERVER}", "zimbraMtaMyNetworks: 10.0.0.0/8,192.0.2.7",
                 "zimbraMtaMyNetworks: [2001:db8::]/32 10.0.0.0/8")
        self.run_it("init")
        self.assertEqual(self.members("internal_ips"),
                         ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])

    def test_networks_that_cannot_be_read_leave_the_last_ones(self):
        self.put(f"servers/{SERVER}", "zimbraMtaMyNetworks: [::ffff:127.0.0.0]/104 [::1]/128")
        self.run_it("init")
        self.assertEqual(self.members("internal_ips"), ["127.0.0.0/8", "::1/128"])
        self.put(f"servers/{SERVER}", "zimbraMtaMyNetworks: cidr:/etc/networks")
        out = self.run_it("sync")
        self.assertIn("skipped 'cidr:/etc/networks': neither a domain nor a network; the networks in "
                      "internal_ips were kept", out)
        self.assertEqual(self.members("internal_ips"), ["127.0.0.0/8", "::1/128"])

    def test_sync_changes_only_its_own_rows(self):
        self.run_it("init")
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                 "(2, '@mine.example'), (2, '@new.example')")
        self.put("domains", "example.net", "new.example", "other.example")
        before = self.dump()
        out = self.run_it("sync", "--dry-run")
        self.assertEqual(self.dump(), before)
        self.assertIn("would be 1 added, 1 removed, 2 unchanged", out)
        out = self.run_it("sync")
        self.assertIn("internal_domains: 1 added, 1 removed, 2 unchanged", out)
        self.assertIn("+ @other.example", out)
        self.assertIn("- @alias.example.net", out)
        self.assertEqual(self.members("internal_domains"),
                         ["@example.net", "@mine.example", "@new.example", "@other.example"])

    def test_a_hostile_domain_is_skipped_with_one_warning(self):
        self.put("domains", "example.net", "x'); DROP TABLE policies;--", "alias.example.net")
        out = self.run_it("init")
        self.assertEqual(out.count("DROP TABLE"), 1)
        self.assertEqual(self.members("internal_domains"), DOMAINS)
        self.assertEqual(self.sql("SELECT count(*) FROM policies"), ["5"])

    def test_warnings_of_java_are_no_domains(self):
        self.put("fault", "warnings")
        self.assertNotIn("skipped", self.run_it("init"))
        self.assertEqual(self.members("internal_domains"), DOMAINS)

    def test_ten_thousand_domains(self):
        self.put("domains", *[f"d{i}.example" for i in range(10_000)])
        began = time.monotonic()
        self.run_it("init")
        # Usually less than half a second; one transaction each would take minutes.
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(len(self.members("internal_domains")), 10_000)

    def test_does_not_wait_for_children_that_keep_the_pipes(self):
        self.put("fault", "orphan")
        began = time.monotonic()
        self.run_it("init")
        self.assertLess(time.monotonic() - began, 10)

    def test_trouble_is_one_line_and_creates_nothing(self):
        cases = {"half": "answered 1 of 3 commands", "garbage": "answered 0 of 3",
                 "megabytes": "produced more than", "ldap": "service.FAILURE",
                 f"fail:{SERVER}": "unable to modify attrs"}
        for fault, words in cases.items():
            with self.subTest(fault):
                self.put("fault", fault)
                err = self.run_it("init", status=2)
                self.assertIn(words, err)
                self.assertIn("nothing was changed", err)
                self.assertFalse(self.database.parent.exists())
        self.put("fault")
        for name, lines, words in (("domains", [], "no domain"), ("user", ["games"], "zextras user")):
            with self.subTest(name):
                self.put(name, *lines)
                self.assertIn(words, self.run_it("init", status=2))
                self.assertFalse(self.database.parent.exists())

    def test_a_hanging_program_is_killed_with_its_children(self):
        self.put("fault", "hang")
        began = time.monotonic()
        # Long enough for Python to start and to record its child, which sleeps for ten minutes.
        err = self.run_it("init", "--prov-timeout", "5", status=2)
        self.assertIn("timed out after", err)
        self.assertLess(time.monotonic() - began, 60)
        child = (self.state / "child").read_text()
        for _ in range(100):  # until it is reaped, it is a zombie
            try:
                state = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                break
            if state == "Z":
                break
            time.sleep(0.05)
        else:
            self.fail("a child of the hanging program is still running")

    def test_timeouts_are_checked(self):
        for wrong in ("0", "3601", "x", "1s", "-1"):
            err = self.run_it("sync", f"--prov-timeout={wrong}", status=1)
            self.assertIn("not a valid timeout", err)

    def test_hooks_keep_the_group_in_step(self):
        self.run_it("init")
        calls = self.calls()
        self.assertIn("@new.example added", self.run_it("hook", "domain-created", "New.example"))
        before = self.dump()
        self.assertIn("is already a member", self.run_it("hook", "domain-created", "new.example"))
        self.assertEqual(self.dump(), before)
        self.assertEqual(self.members("internal_domains"), [*DOMAINS, "@new.example"])
        self.assertIn("removed", self.run_it("hook", "domain-deleted", "new.example"))
        self.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES (2, '@m.example')")
        self.assertIn("has no row created by init, sync or hook",
                      self.run_it("hook", "domain-deleted", "m.example"))
        self.assertEqual(self.members("internal_domains"), [*DOMAINS, "@m.example"])
        self.assertEqual(self.calls(), calls)
        for wrong in ((), ("domain-created",), ("domain-made", "a.example"), ("network-added", "x"),
                      ("network-added", "10.0.0"), ("network-added", "0.0.0.0/0"), ("network-added", "::/0"),
                      ("network-added", "10.0.0.0/33"),
                      ("domain-created", "x'); DROP TABLE policies;--")):
            self.run_it("hook", *wrong, status=1)

    def test_hooks_without_carbonio(self):
        self.run_it("init", "--no-prov")
        self.assertEqual(self.run_it("hook", "network-added", "10.0.0.0/8"), "internal_ips: 10.0.0.0/8 added\n")
        self.assertIn("is already a member", self.run_it("hook", "network-added", "10.0.0.0/8"))
        for network in ("192.0.2.7", "[2001:db8::]/32"):
            self.assertIn("added", self.run_it("hook", "network-added", network))
        self.assertEqual(self.members("internal_ips"), ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])
        self.run_it("hook", "network-removed", "192.0.2.7/32")
        self.assertEqual(self.members("internal_ips"), ["10.0.0.0/8", "2001:db8::/32"])
        self.assertEqual(self.members("internal_domains"), ["@example.com", "@example.org"])
        self.run_it("hook", "domain-deleted", "example.org")  # an example, which no one named
        self.run_it("hook", "domain-created", "example.org")
        self.assertEqual(self.members("internal_domains"), ["@example.org"])
        self.sql("DELETE FROM policy_group_members; DELETE FROM policy_groups")
        self.assertIn("added", self.run_it("hook", "domain-created", "a.example"))
        self.assertEqual(self.members("internal_domains"), ["@a.example"])

    def test_local_config_that_is_missing_or_names_an_unknown_user(self):
        self.local_config(zimbra_user="no-such-user")
        err = self.run_it("init", status=2)
        self.assertIn("no-such-user", err)
        (self.home / "conf/localconfig.xml").write_text("<localconfig>S3cret<key>")
        err = self.run_it("init", status=2)
        self.assertIn("broken XML", err)
        self.assertNotIn("S3cret", err)
        (self.home / "conf/localconfig.xml").unlink()
        self.assertIn("No such file", self.run_it("init", status=2))
        self.assertFalse(self.database.parent.exists())

    @unittest.skipUnless(os.geteuid() == 0, "only root may become another user")
    def test_root_asks_as_the_user_of_carbonio(self):
        self.local_config(zimbra_user="nobody")
        self.put("user", "nobody")
        self.state.chmod(0o777)
        self.run_it("init")
        self.assertEqual(self.members("internal_domains"), DOMAINS)


if __name__ == "__main__":
    unittest.main()
