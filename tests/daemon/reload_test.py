#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""SIGHUP on the running daemon: each module is enabled and disabled, and Greylisting's texts and
training mode change, from one request to the next."""

import signal
import unittest

from daemon_case import DaemonTest, eventually, insert, last, policy, quota
from dns_server import DnsServer

GREYLISTED = "451 4.7.1 Greylisting in effect"


def module_policy(name, table, **columns):
    """A policy of its own for the mail to NAME@x.example."""
    return policy(destination=f"{name}@x.example") + insert(
        table, PolicyID=last("policies"), Name=name, **columns)


# Each module: its rows, and what a mail to its own recipient gets where it is on.
ROWS = {
    "AccessControl": module_policy("accesscontrol", "access_control", Verdict="REJECT", Data="shut"),
    "CheckHelo": module_policy("checkhelo", "checkhelo", RejectInvalid=1),
    "CheckSPF": module_policy("checkspf", "checkspf", UseSPF=1, RejectFailedSPF=1),
    "Greylisting": module_policy("greylisting", "greylisting", Track="SenderIP:/24",
                                 GreylistPeriod=3600),
    "Quotas": policy(destination="quotas@x.example") + quota(
        1, "MessageCumulativeSize", "Policy", data="too much"),
    "Accounting": module_policy("accounting", "accounting", Track="Policy", AccountingPeriod=2,
                                MessageCumulativeSizeLimit=1, Verdict="REJECT", Data="spent") +
    "INSERT INTO accounting_tracking (AccountingID, TrackKey, PeriodKey, LastUpdate, MessageCount, "
    "MessageCumulativeSize) VALUES (1, 'Policy', strftime('%Y-%m', 'now', 'localtime'), 0, 5, 5);",
}
ANSWERS = {"AccessControl": "REJECT shut", "CheckHelo": "REJECT Invalid HELO/EHLO",
           "CheckSPF": "REJECT Failed SPF check", "Greylisting": GREYLISTED,
           "Quotas": "DEFER too much", "Accounting": "REJECT spent"}


class Reload(DaemonTest):
    def start(self, sql, modules=(), **options):
        dns = DnsServer({"example.org": {"TXT": ["v=spf1 -all"]}})
        dns.__enter__()
        self.addCleanup(dns.__exit__)
        self.daemon = self.make_daemon(
            sql, modules=modules, options={"server": {"nameservers": dns.address}, **options})

    def rewrite(self, old, new):
        text = self.daemon.config.read_text()
        self.assertIn(old, text)
        self.daemon.config.write_text(text.replace(old, new))
        self.daemon.process.send_signal(signal.SIGHUP)

    def answers(self):
        """module -> what its own mail gets now"""
        return {name: self.daemon.ask(recipient=f"{name.lower()}@x.example", helo_name="bad")
                for name in ROWS}

    def on(self):
        """The modules that are on, by their answers."""
        answers = self.answers()
        for name, answer in answers.items():
            self.assertTrue(answer == "DUNNO" or answer.startswith(ANSWERS[name]), answers)
        return {name for name, answer in answers.items() if answer != "DUNNO"}

    def test_switches_each_module_on_and_off_again(self):
        self.start("".join(ROWS.values()))
        self.assertEqual(self.on(), set())
        switched = set()
        for name in ROWS:
            self.rewrite(f"[{name}]\nenable=0", f"[{name}]\nenable=1")
            switched.add(name)
            self.assertTrue(eventually(lambda: self.on() == switched), (name, self.answers()))
        for name in ROWS:
            self.rewrite(f"[{name}]\nenable=1", f"[{name}]\nenable=0")
            switched.remove(name)
            self.assertTrue(eventually(lambda: self.on() == switched), (name, self.answers()))

    def test_changes_what_greylisting_says(self):
        self.start(ROWS["Greylisting"].replace("3600);", "3600);UPDATE greylisting SET "
                                               "UseAutoBlacklist = 1, AutoBlacklistPeriod = 3600;") +
                   "INSERT INTO greylisting_autoblacklist (TrackKey, Added) VALUES "
                   "('SenderIP:198.51.100.0/24', strftime('%s', 'now'));", modules=("Greylisting",),
                   Greylisting={"defer_message": "one moment", "blacklist_message": "go away",
                                "training_mode": "0"})
        to = {"recipient": "greylisting@x.example"}

        def said():
            return self.daemon.ask(**to), self.daemon.ask(client_address="198.51.100.1", **to)

        self.assertEqual(said(), ("451 4.7.1 one moment", "REJECT go away"))
        self.rewrite("defer_message=one moment", "defer_message=two moments")
        self.assertTrue(eventually(lambda: said() == ("451 4.7.1 two moments", "REJECT go away")))
        self.rewrite("blacklist_message=go away", "blacklist_message=550 5.7.1 Gone")
        self.assertTrue(eventually(lambda: said() == ("451 4.7.1 two moments", "550 5.7.1 Gone")))
        self.rewrite("training_mode=0", "training_mode=1")
        self.assertTrue(eventually(lambda: said() == ("DUNNO", "DUNNO")))
        self.rewrite("training_mode=1", "training_mode=0")
        self.assertTrue(eventually(lambda: said()[1] == "550 5.7.1 Gone"))
        self.assertEqual(self.daemon.ask(sender="new@example.org", **to),
                         "451 4.7.1 two moments")


if __name__ == "__main__":
    unittest.main()
