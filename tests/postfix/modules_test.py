# SPDX-License-Identifier: AGPL-3.0-only
"""The modules as a real Postfix shows them to the sender: greylisted first and accepted later, a
HELO refused, a mail held, a reply of the admin's own, and in which order they decide."""

import re
import subprocess
import time
import unittest
from datetime import datetime

from daemon import stay_within_the_day
from postfix_case import PostfixTest
from postfix_instance import send_on

GREYLISTED = "Greylisting in effect, please come back later"
BLACKLISTED = "Greylisting in effect, sending server blacklisted"
POLICY = """\
INSERT INTO policies (ID, Name, Priority) VALUES (6, 'ours', 0);
INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (6, 'any', 'any');
"""
GREYLIST = POLICY + """\
INSERT INTO greylisting (PolicyID, Name, UseGreylisting, GreylistPeriod, Track)
  VALUES (6, 'greylist', 1, 3600, 'SenderIP:/24');
"""
QUOTA = """\
INSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict, Data)
  VALUES (3, 6, 'quota', 'Sender:user@domain', 3600, 'DEFER', 'over the quota');
INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit) VALUES (4, 3, 'MessageCount', 2);
"""
ACCOUNTING = """\
INSERT INTO accounting
  (ID, PolicyID, Name, Track, AccountingPeriod, MessageCountLimit, Verdict, Data) VALUES
  (1, 6, 'a day', 'Sender:user@domain', 0, 3, 'REJECT', '552 5.2.2 Enough for today');
"""


def access(verdict: str, data: str) -> str:
    return POLICY + ("INSERT INTO access_control (PolicyID, Name, Verdict, Data) "
                     f"VALUES (6, 'access', '{verdict}', '{data}');\n")


def refusal(code: str, text: str, sender="alice@example.org") -> dict[str, str]:
    """Port 25 asks in the sender restrictions first, so these are Postfix's words around ours."""
    return {"bob@example.com": f"{code} <{sender}>: Sender address rejected: {text}"}


class GreylistingTest(PostfixTest):
    modules = ("Greylisting",)
    options = {"Greylisting": {"defer_message": GREYLISTED, "blacklist_message": BLACKLISTED}}

    def setUp(self):
        super().setUp()
        self.daemon.sql(GREYLIST)

    def triplets(self):
        return self.daemon.query("SELECT TrackKey, Sender, Recipient, Tries, Count "
                                 "FROM greylisting_tracking ORDER BY Recipient")

    def test_the_first_mail_is_deferred_with_the_text(self):
        self.assertEqual(self.send().refused, refusal("451 4.7.1", GREYLISTED))
        self.postfix.wait_for_log("NOQUEUE: reject: RCPT from", f"451 4.7.1 <alice@example.org>: "
                                  f"Sender address rejected: {GREYLISTED}")
        self.daemon.wait_for_log("module=Greylisting, action=defer", "reason=greylisted")

    def test_it_is_accepted_after_the_period(self):
        self.daemon.sql("UPDATE greylisting SET GreylistPeriod = 2;")
        begun = time.monotonic()
        self.assertEqual(self.send().refused, refusal("451 4.7.1", GREYLISTED))
        while not (sent := self.send()).passed:
            self.assertEqual(sent.refused, refusal("451 4.7.1", GREYLISTED))
            self.assertLess(time.monotonic() - begun, 30, "it is never accepted")
            time.sleep(0.1)
        # Times are whole seconds, so two seconds by the columns are more than one by the clock.
        self.assertGreater(time.monotonic() - begun, 1)
        self.assertTrue(self.send().passed, "and from then on")
        self.postfix.wait_for_log("status=sent", count=2)
        self.daemon.wait_for_log("module=Greylisting, action=pass", "reason=authenticated", count=2)
        self.assertEqual(self.triplets()[0][4], 2)

    def test_a_retry_before_it_is_deferred_and_counted_as_a_try(self):
        for tries in (1, 2, 3):
            self.assertFalse(self.send().passed)
            self.assertEqual(self.triplets(), [
                ("SenderIP:127.0.0.0/24", "alice@example.org", "bob@example.com", tries, 0)])

    def test_each_recipient_has_his_own_time(self):
        self.send()
        self.daemon.sql("UPDATE greylisting_tracking SET FirstSeen = FirstSeen - 3600;")
        sent = self.send(recipients=["bob@example.com", "carol@example.com"])
        self.assertEqual(sent.accepted, ["bob@example.com"])
        self.assertTrue(sent.refused["carol@example.com"].startswith("451 4.7.1 "))
        self.assertEqual(sent.data[0], 250)

    def test_whitelisted_networks_are_not_deferred(self):
        self.daemon.sql("INSERT INTO greylisting_whitelist (Source) "
                        "VALUES ('SenderIP:192.0.2.0/24');")
        self.assertTrue(self.send(xclient="ADDR=192.0.2.77").passed)
        self.assertFalse(self.send(xclient="ADDR=198.51.100.77").passed)

    def test_a_blacklisted_network_is_rejected(self):
        self.daemon.sql(
            "UPDATE greylisting SET UseAutoBlacklist = 1, AutoBlacklistPeriod = 3600;"
            "INSERT INTO greylisting_autoblacklist (TrackKey, Added, Comment) "
            f"VALUES ('SenderIP:127.0.0.0/24', {int(time.time())}, 'by a test');")
        self.assertEqual(self.send().refused, refusal("554 5.7.1", BLACKLISTED))


class Helo(PostfixTest):
    modules = ("CheckHelo",)

    def send_as(self, helo):
        session = self.postfix.connect()
        session.ehlo(helo)
        sent = send_on(session, "alice@example.org", "bob@example.com")
        session.quit()
        return sent

    def rules(self, **columns):
        names, values = ", ".join(columns), ", ".join(map(str, columns.values()))
        self.daemon.sql(f"{POLICY}INSERT INTO checkhelo (PolicyID, Name, {names}) "
                        f"VALUES (6, 'helo', {values});")

    def test_a_name_that_is_none_is_refused(self):
        self.rules(RejectInvalid=1)
        text = "Invalid HELO/EHLO; Must be a FQDN or an address literal, not 'mailer'"
        self.assertEqual(self.send_as("mailer").refused, refusal("554 5.7.1", text))
        for good in ("mail.sender.example", "[127.0.0.1]", "[IPv6:2001:db8::1]"):
            self.assertTrue(self.send_as(good).passed, good)

    def test_a_bare_address_is_refused_where_that_is_wanted(self):
        self.rules(RejectInvalid=1, RejectIP=0)
        self.assertTrue(self.send_as("192.0.2.1").passed)
        self.daemon.sql("UPDATE checkhelo SET RejectIP = 1;")
        text = "Invalid HELO/EHLO; Must be a FQDN or an address literal, not '192.0.2.1'"
        self.assertEqual(self.send_as("192.0.2.1").refused, refusal("554 5.7.1", text))
        self.daemon.wait_for_log("module=CheckHelo, action=reject", "reason=ip_not_allowed")

    def test_a_blacklisted_name_is_refused(self):
        self.rules(UseBlacklist=1)
        self.assertTrue(self.send_as("mail.sender.example").passed)
        text = "Invalid HELO/EHLO; Blacklisted"
        self.assertEqual(self.send_as("localhost").refused, refusal("554 5.7.1", text))
        self.assertEqual(self.send_as("mail.sender.example").refused, refusal("554 5.7.1", text),
                         "the address has used a blacklisted name")

    def test_too_many_names_are_refused(self):
        self.rules(UseHRP=1, HRPPeriod=3600, HRPLimit=2)
        names = [f"host{number}.sender.example" for number in range(3)]
        self.assertEqual([self.send_as(name).passed for name in names], [True, True, False])
        self.assertEqual(self.send_as(names[0]).refused,
                         refusal("554 5.7.1", "Invalid HELO/EHLO; HRP limit exceeded"))


class Access(PostfixTest):
    modules = ("AccessControl", "Quotas")

    def tool(self, *words) -> str:
        """One of Postfix's programs, on this Postfix."""
        name, *rest = words
        done = subprocess.run([name, "-c", self.postfix.folder / "conf", *rest], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_sender_is_held(self):
        self.addCleanup(self.tool, "postsuper", "-d", "ALL", "hold")
        self.daemon.sql(access("HOLD", "for the postmaster"))
        sent = self.send()
        self.assertTrue(sent.passed, "the sender sees nothing of it")
        self.postfix.wait_for_log("NOQUEUE: hold: RCPT from", "for the postmaster")
        held = re.findall(r"^([0-9A-Za-z]+)!", self.tool("postqueue", "-p"), re.MULTILINE)
        self.assertEqual(len(held), 1, "in the hold queue")
        self.assertTrue(any(held[0] == path.name
                            for path in (self.postfix.folder / "queue/hold").rglob("*")))
        mail = self.tool("postcat", "-q", held[0])
        self.assertRegex(mail, "(?m)^sender: alice@example.org$")
        self.assertRegex(mail, "(?m)^recipient: bob@example.com$")
        self.assertNotIn("status=sent", self.postfix.log())

    def test_a_sender_is_rejected(self):
        self.daemon.sql(access("REJECT", "Not from here"))
        self.assertEqual(self.send().refused, refusal("554 5.7.1", "Not from here"))

    def test_the_admin_chooses_the_code(self):
        self.daemon.sql(access("REJECT", "550 5.7.0 Gone fishing"))
        self.assertEqual(self.send().refused, refusal("550 5.7.0", "Gone fishing"))

    def test_a_mail_is_discarded(self):
        self.daemon.sql(access("DISCARD", "quietly"))
        self.assertTrue(self.send().passed)
        self.postfix.wait_for_log("discard: RCPT from", "quietly")
        self.assertNotIn("status=sent", self.postfix.log())

    def test_ok_lets_pass_what_a_quota_would_refuse(self):
        self.daemon.sql(access("OK", "known") + QUOTA)
        self.assertTrue(all(mail.passed for mail in self.send_many(4)))
        self.assertEqual(self.daemon.counter("Sender:alice@example.org"), 0)
        self.daemon.sql("UPDATE access_control SET Verdict = 'PASS';")
        self.assertEqual([mail.passed for mail in self.send_many(3)], [True, True, False],
                         "PASS leaves it to the modules behind")


class AccountingTest(PostfixTest):
    modules = ("Accounting",)

    def setUp(self):
        super().setUp()
        stay_within_the_day()
        self.daemon.sql(POLICY + ACCOUNTING)

    def test_so_many_a_day(self):
        mails = self.send_many(5)
        self.assertEqual([mail.passed for mail in mails], [True] * 3 + [False] * 2)
        self.assertEqual(mails[4].refused, refusal("552 5.2.2", "Enough for today"))
        day = datetime.now().strftime("%Y-%m-%d")
        rows = self.daemon.query("SELECT TrackKey, PeriodKey, MessageCount FROM accounting_tracking")
        self.assertEqual(rows, [("Sender:alice@example.org", day, 3)])
        self.daemon.sql("UPDATE accounting_tracking SET PeriodKey = '2001-01-01';")
        self.assertTrue(self.send().passed, "another day")

    def test_the_size_is_added_when_the_mail_has_come(self):
        self.assertTrue(self.send(size_bytes=100_000).passed)
        (size,), = self.daemon.query("SELECT MessageCumulativeSize FROM accounting_tracking")
        self.assertTrue(95 <= size <= 105, f"{size} KiB")


class Together(PostfixTest):
    modules = ("AccessControl", "CheckHelo", "Greylisting", "Quotas", "Accounting")
    options = GreylistingTest.options

    def setUp(self):
        super().setUp()
        stay_within_the_day()
        self.daemon.sql(
            GREYLIST + QUOTA + ACCOUNTING +
            "INSERT INTO checkhelo (PolicyID, Name, UseBlacklist) VALUES (6, 'helo', 1);"
            "INSERT INTO policies (ID, Name, Priority) VALUES (7, 'one sender', 1);"
            "INSERT INTO policy_members (PolicyID, Source) VALUES (7, 'mallory@example.org');"
            "INSERT INTO access_control (PolicyID, Name, Verdict, Data) "
            "VALUES (7, 'no', 'REJECT', 'Go away');")

    def tracked(self):
        tables = ("checkhelo_tracking", "greylisting_tracking", "quotas_tracking",
                  "accounting_tracking")
        return [self.daemon.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables]

    def test_the_first_that_refuses_is_the_last_that_is_asked(self):
        sent = self.send(sender="mallory@example.org")
        self.assertEqual(sent.refused, refusal("554 5.7.1", "Go away", "mallory@example.org"))
        self.assertEqual(self.tracked(), [0, 0, 0, 0])
        self.assertEqual(self.send().refused, refusal("451 4.7.1", GREYLISTED))
        self.assertEqual(self.tracked(), [1, 1, 0, 0])
        self.daemon.sql("UPDATE greylisting_tracking SET FirstSeen = FirstSeen - 3600;")
        self.assertTrue(self.send().passed)
        self.assertEqual(self.tracked(), [1, 1, 1, 1])

    def test_each_counts_only_what_all_before_it_let_through(self):
        self.daemon.sql("UPDATE greylisting SET GreylistPeriod = 0;")
        mails = self.send_many(5)  # greylisted, two pass, then the quota
        self.assertEqual([mail.passed for mail in mails], [False, True, True, False, False])
        self.assertEqual(mails[3].refused, refusal("450 4.7.1", "over the quota"))
        self.assertEqual(self.daemon.counter("Sender:alice@example.org", 4), 2)
        (count,), = self.daemon.query("SELECT MessageCount FROM accounting_tracking")
        self.assertEqual(count, 2)
        self.daemon.sql("UPDATE quotas SET Disabled = 1;")
        mails = self.send_many(2)  # the third of the day, and one more
        self.assertEqual([mail.passed for mail in mails], [True, False])
        self.assertEqual(mails[1].refused, refusal("552 5.2.2", "Enough for today"))


if __name__ == "__main__":
    unittest.main()
