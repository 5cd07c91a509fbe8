#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`block` on a Carbonio host: what only Carbonio knows of an account (system, administrator, aliases,
the default domain), and its status, locked and put back; a Carbonio that fails, hangs, or that
somebody else changes meanwhile, is a line, and the block stays."""

import json
import os
import re
import shlex
import subprocess
import time
import unittest

from carbonio_case import PROGRAM, Carbonio  # which knows the folder of the next two
from block_queue_test import POSTQUEUE, POSTSUPER
from readme_test import commands_of

ANNA = "anna@example.net"


class Block(Carbonio):
    def setUp(self):
        super().setUp()
        (self.state / "accounts").mkdir()
        self.put("global", "zimbraMtaMyNetworks: 127.0.0.0/8 [::1]/128",
                 "zimbraDefaultDomainName: example.net")
        self.account(ANNA, "zimbraMailAlias: a.smith@alias.example.net")
        self.run_it("init")

    def account(self, name, *lines, status="active"):
        self.put(f"accounts/{name}", f"zimbraAccountStatus: {status}", *lines)

    def status(self, name=ANNA):
        [status] = [line.partition(": ")[2]
                    for line in (self.state / "accounts" / name).read_text().splitlines()
                    if line.startswith("zimbraAccountStatus: ")]
        return status

    def blocked(self):
        return json.loads(self.run_it("blocked", "--json"))["blocked"]

    def fails(self, *words):
        """What it says before, and the line on standard error: some of it was done."""
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "ZEXTRAS_HOME": str(self.home),
                                   "CARBONIO_STATE": str(self.state)})
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        return done.stdout, done.stderr

    def items(self):
        [block] = self.blocked()
        return sorted(block["items"])

    def test_all_names_of_the_account(self):
        for who in (ANNA, "anna", "a.smith@alias.example.net"):
            with self.subTest(who):
                said = self.run_it("block", who)
                self.assertNotIn("Note: ", said)
                self.assertEqual(self.items(),
                                 ["$a.smith@alias.example.net", "$anna", f"${ANNA}",
                                  "a.smith@alias.example.net", ANNA])
                self.run_it("unblock", who)
                self.assertEqual(self.blocked(), [])
        self.assertEqual(self.status(), "active")

    def test_the_login_alone_is_of_the_default_domain_only(self):
        self.account("anna@alias.example.net")
        self.run_it("block", "anna@alias.example.net")
        self.assertEqual(self.items(), ["$anna@alias.example.net", "anna@alias.example.net"])

    def test_system_and_administrator_accounts_are_never_blocked(self):
        self.account("spam.x1@example.net", "zimbraIsSystemAccount: TRUE")
        self.account("zextras@example.net", "zimbraIsAdminAccount: TRUE")
        self.account("deleg@example.net", "zimbraIsAdminAccount: FALSE",
                     "zimbraIsDelegatedAdminAccount: TRUE")
        before = self.dump()
        for name, words in (("spam.x1@example.net", "a system account of Carbonio"),
                            ("zextras@example.net", "an administrator's account of Carbonio"),
                            ("deleg@example.net", "an administrator's account of Carbonio")):
            for more in ((), ("--account",)):
                out, err = self.fails("block", name, *more)
                self.assertIn(words, err)
                self.assertIn("the block was taken back", err)
                self.assertEqual(self.status(name), "active")
        self.assertEqual(self.blocked(), [])
        self.assertEqual([line for line in self.dump() if "sqlite_sequence" not in line],
                         [line for line in before if "sqlite_sequence" not in line])

    def test_an_alias_that_is_never_blocked_keeps_its_account(self):
        (self.home / "conf/carbonio-limits.conf").write_text(
            "[block]\nnever=a.smith@alias.example.net\n")
        self.assertIn("[block] never", self.fails("block", ANNA)[1])
        self.assertEqual(self.blocked(), [])

    def test_blocked_again_by_an_alias_it_stays_blocked(self):
        self.run_it("block", ANNA)
        before = self.items()
        self.put("fault", "ldap")
        self.run_it("block", "a.smith@alias.example.net", "--for", "1h")
        self.assertEqual(self.items(), before)

    def test_locked_by_an_alias_that_is_removed(self):
        self.run_it("block", "a.smith@alias.example.net", "--account")
        self.assertEqual((self.blocked()[0]["who"], self.status()), (ANNA, "locked"))
        self.account(ANNA, status="locked")
        self.assertIn(f"Account {ANNA} is active again.",
                      self.run_it("unblock", "a.smith@alias.example.net"))
        self.assertEqual((self.status(), self.blocked()), ("active", []))

    def test_an_account_that_does_not_exist_is_blocked_by_name(self):
        said = self.run_it("block", "nobody@example.net")
        self.assertIn("Carbonio has no account nobody@example.net", said)
        self.assertEqual(len(self.blocked()), 1)
        _, err = self.fails("block", "nobody@example.net", "--account")
        self.assertIn("there is no account nobody@example.net to be locked; the block itself is in "
                      "force", err)

    def test_others_are_not_asked_about(self):
        calls = self.calls()
        self.run_it("block", "x@elsewhere.test")
        self.run_it("block", "192.0.2.1")
        self.run_it("block", ANNA, "--dry-run")
        self.assertEqual(self.calls(), calls)

    def test_the_account_is_locked_and_gets_its_status_back(self):
        for status in ("active", "lockout"):
            self.account(ANNA, status=status)
            said = self.run_it("block", ANNA, "--account")
            self.assertIn(f"Account {ANNA} is locked; it was {status}.", said)
            self.assertEqual(self.status(), "locked")
            self.assertEqual(self.blocked()[0]["account"], status)
            self.assertIn("is locked already", self.run_it("block", ANNA, "--account"))
            [line] = re.findall(r"'(carbonio-limits unblock [^']*)'", said)
            self.assertIn(f"Account {ANNA} is {status} again.", self.run_it(*shlex.split(line)[1:]))
            self.assertEqual(self.status(), status)

    def test_a_status_that_is_not_ours_is_left(self):
        for status in ("locked", "closed", "maintenance", "pending"):
            self.account(ANNA, status=status)
            said = self.run_it("block", ANNA, "--account")
            self.assertIn(status, said)
            self.run_it("unblock", ANNA)
            self.assertEqual(self.status(), status)

    def test_somebody_else_changes_it_meanwhile(self):
        self.put("fault", f"locks:{ANNA}")
        self.assertIn("has become locked meanwhile", self.run_it("block", ANNA, "--account"))
        self.put("fault")
        self.run_it("unblock", ANNA)
        self.assertEqual(self.status(), "locked")
        self.account(ANNA)
        self.run_it("block", ANNA, "--account")
        self.account(ANNA, status="closed")
        self.assertIn("was no longer locked, and is left closed", self.run_it("unblock", ANNA))
        self.assertEqual(self.status(), "closed")

    def test_a_carbonio_that_fails_is_a_line_and_the_block_stays(self):
        for fault, words in (("ldap", "service.FAILURE"), ("garbage", "answered 0 of 2"),
                             ("half", "answered 1 of 2")):
            with self.subTest(fault):
                self.put("fault", fault)
                said = self.run_it("block", ANNA)
                self.assertIn("Carbonio does not say whether", said)
                self.assertIn(words, said)
                _, err = self.fails("block", ANNA, "--account")
                self.assertIn(f"account {ANNA} was not locked; the block itself is in force", err)
                self.assertEqual(len(self.blocked()), 1)
                self.assertEqual(self.status(), "active")
                self.put("fault")
                self.run_it("unblock", ANNA)

    def test_a_lock_that_fails_has_its_command(self):
        self.put("fault", f"refuse:{ANNA}")
        _, err = self.fails("block", ANNA, "--account")
        self.assertIn(f"'carbonio prov ma {ANNA} zimbraAccountStatus locked' locks it", err)
        self.put("fault")
        self.assertIn("was no longer locked", self.run_it("unblock", ANNA))
        self.assertEqual(self.status(), "active")
        self.run_it("block", ANNA, "--account")
        self.put("fault", f"refuse:{ANNA}")
        _, err = self.fails("unblock", ANNA)
        [typed] = re.findall(r"'carbonio (prov [^']*)' unlocks it", err)
        self.put("fault")
        [kept] = self.blocked()
        self.assertEqual((kept["account"], kept["in_force"]), ("active", False))
        subprocess.run([self.home / "bin/carbonio", *shlex.split(typed)], check=True, timeout=60,
                       env={"PATH": "/usr/bin:/bin", "CARBONIO_STATE": str(self.state)})
        self.assertEqual(self.status(), "active")
        self.assertIn("was no longer locked", self.run_it("unblock", ANNA))
        self.assertEqual(self.blocked(), [])

    def test_an_account_that_cannot_be_unlocked_now_is_later(self):
        for later in ("unblock", "sync", "block"):
            with self.subTest(later):
                self.account(ANNA)
                self.run_it("block", ANNA, "--account")
                self.put("fault", "ldap")
                out, err = self.fails("unblock", ANNA)
                self.assertIn("is no longer refused", out)
                self.assertIn("'carbonio-limits sync' tries again within the hour", err)
                self.assertEqual(self.sql("SELECT Disabled FROM policies WHERE Priority = -1000"),
                                 ["1"])
                self.put("fault")
                self.run_it(later, *([] if later == "sync" else [ANNA]))
                if later == "block":  # replaces it, and remembers the status
                    self.assertEqual(self.blocked()[0]["account"], "active")
                    self.run_it("unblock", ANNA)
                self.assertEqual((self.status(), self.blocked()), ("active", []))

    def test_an_account_that_was_deleted_meanwhile(self):
        for end in ("unblock", "sync"):
            self.account(ANNA)
            self.run_it("block", ANNA, "--account", "--for", "1s")
            (self.state / "accounts" / ANNA).unlink()
            time.sleep(1.1)
            self.assertIn(f"There is no account {ANNA} any more.",
                          self.run_it(end, *([] if end == "sync" else [ANNA])))
            self.assertEqual(self.blocked(), [])

    def test_interrupted_halfway_it_can_be_ended(self):
        self.put("start", "30")  # seconds that Carbonio takes
        for word in ("block", "unblock"):
            command = subprocess.Popen([PROGRAM, word, ANNA, *(["--account"] if word == "block" else [])],
                                       text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       env={"PATH": "/usr/bin:/bin", "ZEXTRAS_HOME": str(self.home),
                                            "CARBONIO_STATE": str(self.state)})
            self.addCleanup(command.stdout.close)
            self.assertIn(f"locked {ANNA}", command.stdout.readline())  # Blocked, Unblocked
            command.kill()
            command.wait(timeout=60)
            if word == "block":
                self.assertTrue(self.blocked()[0]["in_force"])
                (self.state / "start").unlink()
                self.run_it("block", ANNA, "--account")
                self.assertEqual(self.status(), "locked")
                self.put("start", "30")
        (self.state / "start").unlink()
        self.assertFalse(self.blocked()[0]["in_force"])
        self.assertIn(f"Account {ANNA} is active again.", self.run_it("unblock", ANNA))
        self.assertEqual((self.status(), self.blocked()), ("active", []))

    def test_postmaster_as_an_alias(self):
        self.account(ANNA, "zimbraMailAlias: postmaster@example.net")
        self.assertIn("postmaster@example.net must be able to answer complaints; the block was taken "
                      "back", self.fails("block", ANNA)[1])
        self.assertEqual(self.blocked(), [])

    def test_taken_back_it_does_not_forget_a_locked_account(self):
        self.run_it("block", ANNA, "--account")
        self.account(ANNA, "zimbraIsAdminAccount: TRUE", status="locked")
        _, err = self.fails("block", ANNA)
        self.assertIn(f"'carbonio prov ma {ANNA} zimbraAccountStatus active' unlocks it", err)

    def test_the_rows_are_in_force_before_a_carbonio_that_hangs(self):
        self.put("fault", "hang")
        command = subprocess.Popen(
            [PROGRAM, "block", ANNA, "--account", "--prov-timeout", "5"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "ZEXTRAS_HOME": str(self.home),
                 "CARBONIO_STATE": str(self.state)})
        self.assertTrue(command.stdout.readline().startswith(f"Blocked {ANNA} "))
        self.assertIsNone(command.poll())
        self.assertEqual(len(self.blocked()), 1)
        _, err = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 2)
        self.assertIn("was not locked", err)
        self.assertEqual(len(self.blocked()), 1)

    def test_the_commands_of_the_readme(self):
        (self.home / "common/sbin").mkdir(parents=True)
        for name, text in (("postqueue", POSTQUEUE), ("postsuper", POSTSUPER)):
            (self.home / "common/sbin" / name).write_text(text)
            (self.home / "common/sbin" / name).chmod(0o755)
        (self.home / "common/sbin/queue").write_text(
            '{"queue_name": "deferred", "queue_id": "C1", "sender": "carl@example.org"}\n')
        self.put("domains", "example.net", "example.org")
        self.run_it("sync")
        self.account("carl@example.org")
        status = []
        for line in commands_of("A hacked account").splitlines():
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False,
                                  env={"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
                                       "ZEXTRAS_HOME": str(self.home), "CARBONIO_STATE": str(self.state)})
            self.assertEqual((done.returncode, done.stderr), (0, ""), line)
            status.append(self.status("carl@example.org"))
        self.assertEqual(status, ["locked", "locked", "active"])
        self.assertEqual((self.home / "common/sbin/ids-h").read_text(), "C1\n")
        self.assertEqual(self.blocked(), [])

    def test_while_the_service_is_off_nothing_is_unlocked_and_it_is_said(self):
        self.assertNotIn("Note", self.run_it("disable", "--dry-run"))
        command = f"'carbonio-limits unblock {ANNA}'"
        self.assertIn(f"no sync unlocks the account at the end; {command} does",
                      self.run_it("block", ANNA, "--account", "--for", "3s"))
        self.assertIn("in force, account locked", self.run_it("blocked"))
        time.sleep(3)
        self.assertIn("over, account still locked", self.run_it("blocked"))
        self.assertIn("would become active again", self.run_it("unblock", ANNA, "--dry-run"))
        for words in (("disable", "--dry-run"), ("disable",)):
            self.assertIn(f"also when the block is over; {command} unlocks it", self.run_it(*words))
        self.run_it("unblock", ANNA)
        self.assertEqual(self.status(), "active")
        (self.home / "data/cbpolicyd/enabled").touch()
        self.assertNotIn("no sync unlocks", self.run_it("block", ANNA, "--account", "--for", "1h"))

    def test_sync_unlocks_what_is_over(self):
        self.run_it("block", ANNA, "--account", "--for", "1s")
        time.sleep(2)
        self.put("fault", f"refuse:{ANNA}")
        self.assertIn("may still be locked", self.run_it("sync"))
        self.assertEqual((self.status(), len(self.blocked())), ("locked", 1))
        self.put("fault")
        self.assertIn(f"Would unblock {ANNA}", self.run_it("sync", "--dry-run"))
        said = self.run_it("sync")
        self.assertIn(f"Account {ANNA} is active again.", said)
        self.assertIn(f"Unblocked {ANNA}, whose block is over.", said)
        self.assertEqual((self.status(), self.blocked()), ("active", []))
        self.assertNotIn("nblocked", self.run_it("sync"))


if __name__ == "__main__":
    unittest.main()
