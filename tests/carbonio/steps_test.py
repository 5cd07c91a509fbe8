#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What `answer --due` stops by itself on a Carbonio host: never an administrator's account, not even
for a moment, and nobody while Carbonio does not answer; the next step follows a block that is over."""

import json
import time
import unittest

from carbonio_case import Carbonio

ANNA, BOSS = "anna@example.net", "boss@example.net"


class Steps(Carbonio):
    def setUp(self):
        super().setUp()
        (self.state / "accounts").mkdir()
        self.put("global", "zimbraMtaMyNetworks: 127.0.0.0/8 [::1]/128",
                 "zimbraDefaultDomainName: example.net")
        self.put(f"accounts/{ANNA}", "zimbraAccountStatus: active",
                 "zimbraMailAlias: sales@example.net")
        self.put(f"accounts/{BOSS}", "zimbraAccountStatus: active", "zimbraIsAdminAccount: TRUE")
        self.run_it("init")
        (self.home / "data/cbpolicyd/enabled").touch()
        self.run_it("signal", "night", "5", "--hours", "00:00-23:59", "--then", "block:1h,lock")
        self.messages = 0

    def send(self, login):
        for _ in range(6):
            self.messages += 1
            self.sql("INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, "
                     f"SASLUsername, Sender) VALUES ('i{self.messages}', 'Q{self.messages}', "
                     f"{int(time.time())}, '192.0.2.9', '{login}', 'x@news.example')")
        return self.run_it("answer", "--due")

    def blocked(self):
        return [each["who"] for each in json.loads(self.run_it("blocked", "--json"))["blocked"]]

    def events(self, kind):
        return self.sql(f"SELECT Verdict FROM limits_events WHERE Kind = '{kind}' ORDER BY ID")

    def test_an_administrator_is_never_blocked_for_a_moment(self):
        self.assertIn(f"not stopped: {BOSS} cannot be blocked: it is an administrator's account",
                      self.send(BOSS))
        self.assertEqual((self.blocked(), self.events("locked"), self.events("released")),
                         ([], [], []))
        self.assertEqual(self.events("suspect"), ["notify only"])

    def test_nobody_is_stopped_while_carbonio_does_not_answer(self):
        self.put("fault", "ldap")
        said = self.send(ANNA)
        self.assertIn("not stopped: Carbonio does not say whether", said)
        self.assertEqual((self.blocked(), self.events("locked")), ([], []))
        (self.state / "fault").unlink()
        time.sleep(1.1)
        self.assertIn("anna@example.net: block:1h, ", self.send(ANNA))  # not lock

    def test_the_next_step_follows_a_block_that_is_over(self):
        self.assertIn("anna: block:1h, 6 messages at night", self.send("anna"))
        self.assertEqual(self.blocked(), [ANNA])
        self.sql("UPDATE policies SET Name = substr(Name, 1, instr(Name, ' until ')) || "
                 "'until 2020-01-01T00:00:00Z' WHERE Name LIKE 'carbonio-limits block %'")
        self.assertIn(f"Unblocked {ANNA}, whose block is over.", self.run_it("sync"))
        self.assertEqual(self.events("released"), ["over"])
        time.sleep(1.1)  # messages have whole seconds
        said = self.send("anna")
        self.assertIn("anna: lock, 6 messages at night", said)
        self.assertIn(f"Account {ANNA} is locked; it was active.", said)

    def test_who_was_unblocked_is_known_by_all_names(self):
        self.send("sales")
        self.assertEqual(self.blocked(), [ANNA])
        self.run_it("unblock", ANNA)
        self.assertEqual(self.run_it("answer", "--due"), "")
        self.assertEqual(self.blocked(), [])

    def test_what_an_account_is_stopped_under_is_said(self):
        self.assertIn("Carbonio has no account gone@example.net", self.send("gone@example.net"))


if __name__ == "__main__":
    unittest.main()
