#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`enable` and `disable`: the vendor's article as commands that can be repeated and previewed, on
one host, with the real daemon."""

import json
import os
import subprocess
import unittest

from carbonio_case import SERVER
from enable_case import ON, PROGRAM, SWITCH, Connection, EnableCase, eventually, needs_root

# The rows of the article's limits, with our texts.
TEXT = "Too many messages {}: the limit is {{limit}} per {{period}}. Please try again in {{retry_after}}."
QUOTAS = [f"Sender:user@domain|60|DEFER|{TEXT.format('sent')}",
          f"Recipient:@domain|60|REJECT|{TEXT.format('received')}"]


class Article(EnableCase):
    def follow_the_article(self):
        self.switch("enable")
        for line in (("send", "10/60s", "--anyone"),
                     ("receive", "125/60s", "--anyone", "--per", "domain")):
            self.run_it(*line)

    def assert_article(self, first_policy):
        policies = f"PolicyID IN ({first_policy}, {first_policy + 1})"
        self.assertEqual(self.attributes(), ON)
        self.assertEqual(self.sql("SELECT PolicyID, Source, Destination FROM policy_members WHERE "
                                  f"{policies} ORDER BY 1"),
                         [f"{first_policy}|any|any", f"{first_policy + 1}|any|any"])
        self.assertEqual(self.sql("SELECT Track, Period, Verdict, Data FROM quotas WHERE "
                                  f"{policies} ORDER BY ID"), QUOTAS)
        self.assertEqual(self.sql("SELECT QuotasID, Type, CounterLimit FROM quotas_limits WHERE "
                                  "QuotasID > 2 ORDER BY 1"),
                         ["3|MessageCount|10", "4|MessageCount|125"])

    def test_on_a_fresh_database(self):
        self.follow_the_article()
        self.assert_article(6)
        self.assertEqual(self.members("internal_domains"), ["@alias.example.net", "@example.net"])
        self.assertEqual(self.members("internal_ips"), ["127.0.0.0/8", "::1/128"])
        self.assertTrue(self.mark.exists())
        self.assertEqual(self.postfix_asks(), 3)
        self.assert_runs()
        with Connection(("127.0.0.1", self.port)) as connection:
            answers = [connection.ask(instance=f"a.{i}.0") for i in range(12)]
        self.assertEqual(answers[:10], ["DUNNO"] * 10)
        self.assertEqual([a.split()[0] for a in answers[10:]], ["DEFER"] * 2)
        self.assertRegex(answers[10], r"^DEFER Too many messages sent: the limit is 10 per minute[.] Please "
                                      r"try again in (\d+ seconds|1 minute)[.]$")

    def test_on_a_database_with_seven_policies(self):
        self.run_it("init", "--no-prov")
        self.sql("INSERT INTO policies (Name, Priority, Disabled) VALUES ('one', 0, 1), "
                 "('two', 0, 1)")
        self.own()
        self.follow_the_article()
        self.assert_article(8)

    def test_a_second_run_changes_nothing_and_reports_that(self):
        self.follow_the_article()
        before, dump, calls = self.tree(), self.dump(), self.calls()
        out, _ = self.switch("enable")
        self.assertIn("Nothing to change: the policy service is already on.", out)
        self.assertNotIn("  done", out)
        self.assertEqual(self.calls(), calls + 1)
        self.assertIn("Nothing to change", self.run_it("send", "10/60s", "--anyone"))
        self.assertIn("Nothing to change", self.run_it("receive", "125/60s", "--anyone"))
        self.assertEqual((self.tree().keys(), self.dump()), (before.keys(), dump))
        self.assertEqual(self.attributes(), ON)

    def test_it_takes_two_starts_of_java(self):
        self.switch("enable")
        self.assertEqual(self.calls(), 2)

    def test_dry_run_prints_the_commands_and_changes_nothing(self):
        before = self.tree()
        out, _ = self.switch("enable", "--dry-run")
        rewrite = f"echo 'REWRITE cbpolicyd mta' | nc 127.0.0.1 {self.configd.port}"
        self.assertEqual(out.splitlines(),
                         [rewrite, "carbonio-limits init", f"touch {self.mark}",
                          "carbonio-limits service start", SWITCH, rewrite,
                          "Nothing was changed (--dry-run)."])
        self.assertEqual(self.tree(), before)
        self.assertEqual((self.configd.requests, self.daemon_pid()), ([], None))
        self.switch("enable")
        before = self.tree()
        out, _ = self.switch("enable", "--dry-run")
        self.assertEqual(out, "Nothing to change.\nNothing was changed (--dry-run).\n")
        self.assertEqual(self.switch("disable", "--dry-run")[0].splitlines(),
                         [f"carbonio prov ms {SERVER} -zimbraServiceEnabled cbpolicyd", rewrite,
                          "carbonio-limits service stop", f"rm -f {self.mark}",
                          "Nothing was changed (--dry-run)."])
        self.assertEqual(self.tree(), before)
        self.assert_runs()

    def test_the_printed_command_does_it(self):
        out, _ = self.switch("enable", "--dry-run")
        command = next(line for line in out.splitlines() if line.startswith("carbonio prov"))
        as_user = ["runuser", "-u", self.service_user, "--"] if self.service_user else []
        subprocess.run([*as_user, "/bin/sh", "-c", f"{self.home}/bin/{command}"], check=True,
                       env={**os.environ, "CARBONIO_STATE": str(self.state)})
        self.assertEqual(self.attributes(), ON)


class OneHost(EnableCase):
    def test_other_modules_are_switched_on_by_options(self):
        self.switch("enable")
        out, _ = self.switch("enable", "--greylisting", "--access-control", "--check-helo",
                             "--check-spf", "--accounting")
        for module in ("Greylisting", "AccessControl", "CheckHelo", "CheckSPF", "Accounting"):
            self.assertIn(f"zimbraCBPolicyd{module}Enabled: TRUE", self.attributes())
            self.assertRegex(out, f"modules in force: .*{module}")
        self.assertIn("reloaded the service", out)

    def test_postfixs_recipient_delimiter_is_used(self):
        own = self.home / "conf/carbonio-limits.conf"
        self.switch("enable")
        self.assertFalse(own.exists())
        main_cf = self.postfix_folder / "main.cf"

        def set_in_postfix(value):
            main_cf.write_text(main_cf.read_text() + f"recipient_delimiter = {value}\n")
            os.utime(main_cf, (1_700_000_000, 1_700_000_000))

        set_in_postfix("+")
        command, *rest = self.switch("enable", "--dry-run")[0].splitlines()
        self.assertEqual(rest, ["Nothing was changed (--dry-run)."])
        self.assertIn(f"recipient_delimiter=%s\\n' + >>{own} && ", command)
        out, _ = self.switch("enable")
        self.assertIn("set recipient_delimiter to Postfix's, '+'", " ".join(out.split()))
        self.assertEqual(own.read_text(), "[server]\nrecipient_delimiter=+\n")
        self.assertEqual(own.stat().st_uid, self.home.joinpath("conf").stat().st_uid)
        self.assertIn("Nothing to change", self.switch("enable")[0])
        own.chmod(0o640)
        set_in_postfix("-")
        self.switch("enable")
        self.assertEqual(own.read_text(), "[server]\nrecipient_delimiter=-\n")
        self.assertEqual(own.stat().st_mode & 0o777, 0o640)
        self.assertFalse(list(own.parent.glob("*.new")))
        self.assert_runs()

    def test_postfixs_myorigin_is_used(self):
        own = self.home / "conf/carbonio-limits.conf"
        self.switch("enable")
        main_cf = self.postfix_folder / "main.cf"
        main_cf.write_text(main_cf.read_text().replace("myorigin =", "myorigin = $mydomain"))
        os.utime(main_cf, (1_700_000_000, 1_700_000_000))
        out, _ = self.switch("enable")
        self.assertIn("set myorigin to Postfix's, 'example.test'", " ".join(out.split()))
        self.assertEqual(own.read_text(), "[server]\nmyorigin=example.test\n")
        self.assertIn("Nothing to change", self.switch("enable")[0])
        self.assert_runs()

    def test_what_is_inherited_is_not_set_again(self):
        self.put("global", "zimbraCBPolicydQuotasEnabled: TRUE")
        self.switch("enable")
        self.assertEqual(self.attributes(), ON[:2])
        self.put("global", "zimbraCBPolicydQuotasEnabled: FALSE")
        out, _ = self.switch("enable")
        self.assertEqual(self.attributes(), ON)
        self.assertIn(f"carbonio prov ms {SERVER} zimbraCBPolicydQuotasEnabled TRUE", out)

    def test_disable_removes_the_figures_for_prometheus(self):
        figures = self.home / "zmstat/prometheus/limits.prom"
        figures.parent.mkdir(parents=True)
        figures.parent.chmod(0o777)
        (self.home / "conf/carbonio-limits.conf").write_text(f"[metrics]\nfile={figures}\n")
        self.switch("enable")
        self.assertTrue(eventually(figures.exists))
        self.switch("disable")
        self.assertFalse(figures.exists())

    def test_disable_and_enable_again(self):
        self.switch("enable")
        self.run_it("send", "10/60s", "--anyone")
        out, _ = self.switch("disable")
        self.assertIn("switched off; its database is kept", out)
        self.assertEqual(self.attributes(), [ON[0], ON[2]])
        self.assertEqual((self.mark.exists(), self.daemon_pid(), self.postfix_asks()),
                         (False, None, 0))
        out, _ = self.switch("disable")
        self.assertIn("Nothing to change: the policy service is already off.", out)
        self.assertIn("unchanged", self.switch("enable")[0])
        self.assertEqual(self.sql("SELECT count(*) FROM policies"), ["6"])
        self.assert_runs()

    def test_doctor_reports_in_one_finding_that_it_is_switched_off(self):
        def wrong():
            done = subprocess.run([PROGRAM, "doctor", "--json"], capture_output=True, text=True,
                                  timeout=60, env={"PATH": os.environ["PATH"],
                                                   "ZEXTRAS_HOME": str(self.home)})
            return [finding for finding in json.loads(done.stdout)["findings"]
                    if finding["state"] == "wrong"]

        self.switch("enable")
        self.run_it("send", "100/h", "--per", "account")
        self.assertEqual(wrong(), [])
        self.switch("disable")
        [off] = wrong()
        self.assertEqual((off["check"], off["fix"]), ("service.enabled", "carbonio-limits enable"))
        # If Postfix asks nevertheless, mail is deferred.
        self.write_postfix(f"check_policy_service inet:localhost:{self.port}")
        self.assertEqual([finding["check"] for finding in wrong()], ["daemon.running"])

    def test_another_database_than_the_daemons_is_refused(self):
        before = self.tree()
        _, err = self.switch("enable", "--database", str(self.home / "other.db"), status=1)
        self.assertIn("enable does not accept --database", err)
        self.assertEqual((self.tree(), self.calls()), (before, 0))

    @needs_root
    def test_nothing_of_root_is_left(self):
        self.switch("enable")
        self.assertEqual(self.service_user, self.database.owner())
        for path in (self.home / "data").rglob("*"):
            self.assertEqual(path.owner(), self.service_user, path)

    @needs_root
    def test_as_the_services_user(self):
        self.switch("enable", user=self.service_user)
        self.assert_runs()
        self.assertEqual(self.attributes(), ON)
        self.switch("disable", user=self.service_user)
        self.assertIsNone(self.daemon_pid())

    def test_a_host_that_is_not_an_mta_is_refused(self):
        self.put(f"servers/{SERVER}", "zimbraServiceEnabled: mailbox")
        before = self.tree()
        _, err = self.switch("enable", status=2)
        self.assertIn(f"{SERVER} is not an MTA host: its zimbraServiceEnabled lacks mta", err)
        self.assertEqual(self.tree(), before)

    def test_a_hostile_domain_is_skipped_with_one_warning(self):
        self.put("domains", "example.net", "x'); DROP TABLE policies;--", "alias.example.net")
        out, _ = self.switch("enable")
        self.assertEqual(out.count("DROP TABLE"), 1)
        self.assertEqual(self.members("internal_domains"), ["@alias.example.net", "@example.net"])
        self.assertEqual(self.sql("SELECT count(*) FROM policies"), ["5"])

    def test_new_domains_are_added(self):
        self.switch("enable")
        self.put("domains", "example.net", "new.example")
        out, _ = self.switch("enable")
        self.assertIn("internal_domains (1 added, 1 removed)", out)
        self.assertEqual(self.members("internal_domains"), ["@example.net", "@new.example"])


if __name__ == "__main__":
    unittest.main()
