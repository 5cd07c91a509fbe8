#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`enable` and `disable` when configd, Postfix, the daemon or Carbonio fail: one line reports it,
mail keeps flowing, and rerunning the command does the rest."""

import unittest

from carbonio_case import SERVER
from enable_case import ON, EnableCase, needs_root


class Newer(EnableCase):
    """A configd that answers before it has rewritten the files."""

    newer = True

    def test_waits_until_it_is_rewritten(self):
        out, _ = self.switch("enable", "--greylisting")
        self.assertIn("modules in force: Greylisting and Quotas", out)
        self.assertIn("Postfix asks the daemon", out)
        self.assertEqual(self.postfix_asks(), 3)
        self.switch("disable")
        self.assertEqual((self.postfix_asks(), self.daemon_pid()), (0, None))


class Configuring(EnableCase):
    def test_no_configd_and_no_configuration(self):
        self.configd.__exit__()
        before = self.tree()
        _, err = self.switch("enable", status=2)
        self.assertIn(f"configd is not running here (port {self.configd.port})", err)
        self.assertIn("no attribute was changed", err)
        self.assertEqual(self.tree(), before)

    def test_no_configd_is_not_checked(self):
        self.configd.write_conf()
        self.configd.__exit__()
        out, _ = self.switch("enable")
        self.assertRegex(out, "not checked .*Postfix's .* does not ask the daemon; configd is not")
        self.assertEqual(self.attributes(), ON)
        self.assert_runs()

    def test_disable_leaves_the_daemon_while_postfix_asks(self):
        self.switch("enable")
        self.configd.__exit__()
        _, err = self.switch("disable", status=2)
        self.assertIn("Postfix still asks the daemon", err)
        self.assert_runs()
        self.write_postfix("")  # as configd does when it is back
        self.switch("disable")
        self.assertIsNone(self.daemon_pid())

    def test_no_postfix_is_not_checked(self):
        self.write_postconf("echo postconf: fatal: no Postfix here; exit 1")
        out, _ = self.switch("enable")
        self.assertRegex(out, "not checked .*no Postfix here")
        self.switch("disable")
        self.assertIsNone(self.daemon_pid())

    def test_a_configd_that_fails(self):
        self.configd.write_conf()
        for fault, words in (("lazy", "the files did not change"),
                             ("rude", "unexpected answer 'ERROR UNKNOWN COMMAND'"),
                             ("silent", "no answer in time")):
            with self.subTest(fault):
                self.configd.fault = fault
                # Its answer may take a while on a busy machine; the others never answer.
                timeout = "60" if fault == "rude" else "2"
                out, err = self.switch("enable", "--rewrite-timeout", timeout, status=2)
                self.assertIn(words, out)
                self.assertIn("rerun the command", err)
        self.configd.fault = ""
        out, _ = self.switch("enable")
        self.assertIn("The policy service is switched on.", out)
        self.assertEqual(self.postfix_asks(), 3)

    def test_a_daemon_that_cannot_start_leaves_mail_alone(self):
        self.configd.write_conf()
        conf = self.home / "conf/cbpolicyd.conf"
        conf.write_text(conf.read_text().replace("host=localhost", "host=192.0.2.77"))
        _, err = self.switch("enable", status=2)
        self.assertIn("the service was not started", err)
        self.assertIn("no attribute was changed, so mail flow is unaffected", err)
        self.assertEqual((self.attributes(), self.postfix_asks()), (ON[:1], 0))
        self.configd.write_conf()
        self.switch("enable")
        self.assert_runs()


class Trouble(EnableCase):
    def test_is_one_line_and_changes_nothing(self):
        before = self.tree()
        cases = {"half": "answered 1 of", "garbage": "answered 0 of",
                 "megabytes": "produced more than", "ldap": "service.FAILURE",
                 "hang": "timed out after", f"fail:{SERVER}": "unable to modify attrs"}
        for fault, words in cases.items():
            with self.subTest(fault):
                self.put("fault", fault)
                # The other answers may take long on a busy machine.
                timeout = "2" if fault == "hang" else "60"
                for command in ("enable", "disable"):
                    out, err = self.switch(command, "--prov-timeout", timeout, status=2)
                    self.assertIn("nothing was changed", err)
                    self.assertEqual(out, "")
                    self.assertIn(words, err)
                (self.state / "fault").unlink()
                (self.state / "child").unlink(missing_ok=True)
                self.assertEqual(self.tree(), before)

    def test_carbonio_or_local_config_is_missing(self):
        (self.home / "bin/carbonio").rename(self.home / "bin/gone")
        self.assertIn("Carbonio is not installed", self.switch("enable", status=2)[1])
        (self.home / "bin/gone").rename(self.home / "bin/carbonio")
        (self.home / "conf/localconfig.xml").unlink()
        self.assertIn("No such file", self.switch("enable", status=2)[1])
        self.assertIsNone(self.daemon_pid())

    @needs_root
    def test_another_user_learns_which_user_to_become(self):
        (self.home / "conf/localconfig.xml").chmod(0o640)
        _, err = self.switch("enable", user="daemon", status=2)
        self.assertIn("run this as zextras or root", err)
        (self.home / "conf/localconfig.xml").chmod(0o644)
        _, err = self.switch("enable", user="daemon", status=2)
        self.assertIn(f"must be run as user {self.user}", err)

    def test_wrong_use(self):
        for wrong in (["--server", "a", "--all-mta"], ["--server", "-e"], ["--server", "a b"],
                      ["--rewrite-timeout", "0"], ["--prov-timeout", "x"], ["now"]):
            with self.subTest(wrong):
                self.switch("enable", *wrong, status=1)
        self.assertEqual(self.calls(), 0)

    def test_java_that_warns(self):
        self.put("fault", "warnings")
        out, _ = self.switch("enable")
        self.assertNotIn("skipped", out)
        self.assertEqual(self.attributes(), ON)


if __name__ == "__main__":
    unittest.main()
