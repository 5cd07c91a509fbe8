# SPDX-License-Identifier: AGPL-3.0-only
"""The rows of quotas and quotas_limits: what each column does, and what a row with an error does."""

import json
import subprocess
import unittest
from pathlib import Path

from daemon_case import (
    ALICE, SANITIZED, DaemonTest, always, insert, last, limit, literal, policy, quota)

COUNT_TEXT = "Policy rejection; Message count quota exceeded"
SIZE_TEXT = "Policy rejection; Cumulative message size quota exceeded"
COUNTERS = "SELECT TrackKey, Counter FROM quotas_tracking ORDER BY 1"
IPV6 = "2001:db8:1:2::5"


class Track(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(100))

    def track(self, method):
        self.daemon.sql(f"DELETE FROM quotas_tracking; UPDATE quotas SET Track = {literal(method)} "
                        "WHERE ID = 3;")

    def test_each_method_has_its_key(self):
        for method, attributes, key in [
            ("Policy", {}, "Policy"),
            ("SenderIP:/32", {}, "SenderIP:192.0.2.10/32"),
            ("SenderIP:/24", {}, "SenderIP:192.0.2.0/24"),
            ("SenderIP:/25", {"client_address": "192.0.2.200"}, "SenderIP:192.0.2.128/25"),
            ("SenderIP:/8", {}, "SenderIP:192.0.0.0/8"),
            ("SenderIP:/64", {"client_address": IPV6},
             "SenderIP:2001:0db8:0001:0002:0000:0000:0000:0000/64"),
            ("SenderIP:/128", {"client_address": IPV6},
             "SenderIP:2001:0db8:0001:0002:0000:0000:0000:0005/128"),
            ("Sender:user@domain", {}, ALICE),
            ("Sender:@domain", {}, "Sender:@example.org"),
            ("Sender:user@", {}, "Sender:alice@"),
            ("Sender:user@domain", {"sender": ""}, "Sender:<>"),
            ("Sender:@domain", {"sender": ""}, "Sender:<>"),
            ("Sender:user@", {"sender": ""}, "Sender:<>"),
            ("Recipient:user@domain", {}, "Recipient:bob@example.com"),
            ("Recipient:@domain", {}, "Recipient:@example.com"),
            ("Recipient:user@", {}, "Recipient:bob@"),
            ("SASLUsername", {"sasl_username": "alice"}, "SASLUsername:alice"),
            ("SASLUsername", {"sasl_username": ""}, "SASLUsername:"),
            ("SASLUsername", {"sasl_username": None}, "SASLUsername:-"),
        ]:
            for spelling in (method, method.lower(), method.upper()):
                with self.subTest(method=spelling, **attributes):
                    self.track(spelling)
                    self.assertEqual(self.daemon.ask(**attributes), "DUNNO")
                    self.assertEqual(self.daemon.query(COUNTERS), [(key, 1)])

    def test_anything_else_is_an_error_of_the_row(self):
        for number, method in enumerate(
                ("Nonsense", "Nonsense:user@domain", "", "Sender", "Sender:", "Sender:domain",
                 "Recipient", "Recipient:user", "SenderIP", "SenderIP:24", "SenderIP:/x"), 1):
            with self.subTest(method=method):
                self.track(method)
                self.assertEqual(self.daemon.ask(), "DEFER")
                self.assertEqual(self.daemon.query(COUNTERS), [])
        self.daemon.wait_for_log("ERROR", "Nonsense")

    def test_an_error_stops_only_mail_that_the_row_applies_to(self):
        self.daemon.sql("UPDATE policy_members SET Source = '@example.org' WHERE PolicyID = 6;")
        self.track("Nonsense")
        self.assertEqual(self.daemon.ask(), "DEFER")
        self.assertEqual(self.daemon.ask(sender="a@sender.example"), "DUNNO")


class Verdicts(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(1, track="Policy", period=86400))
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def refusal(self, verdict, data):
        self.daemon.sql(f"UPDATE quotas SET Verdict = {literal(verdict)}, Data = {literal(data)} "
                        "WHERE ID = 3;")
        return self.daemon.ask()

    def test_the_answer_is_verdict_and_data(self):
        for verdict, data, answer in [
            ("DEFER", "Too many", "DEFER Too many"),
            ("REJECT", "Too many", "REJECT Too many"),
            ("HOLD", "for the postmaster", "HOLD for the postmaster"),
            ("DISCARD", "quietly", "DISCARD quietly"),
            ("FILTER", "smtp:[127.0.0.1]:10025", "FILTER smtp:[127.0.0.1]:10025"),
            ("REDIRECT", "abuse@example.org", "REDIRECT abuse@example.org"),
            ("REJECT", "550 5.7.1 Gone", "550 5.7.1 Gone"),
            ("DEFER", "451 4.7.1 Later", "451 4.7.1 Later"),
            ("REJECT", "421 later", "REJECT 421 later"),
            ("DEFER", "550 5.7.1 Gone", "DEFER 550 5.7.1 Gone"),
            ("HOLD", "550 5.7.1 Gone", "HOLD 550 5.7.1 Gone"),
            ("REJECT", "5500 mails", "REJECT 5500 mails"),
            ("DEFER", "45 mails", "DEFER 45 mails"),
            ("DEFER", "450mails", "DEFER 450mails"),
            ("REJECT", "Grüße", "REJECT Grüße"),
            ("DEFER", None, f"DEFER {COUNT_TEXT}"),
            ("DEFER", "", f"DEFER {COUNT_TEXT}"),
            ("REJECT", None, f"REJECT {COUNT_TEXT}"),
            ("HOLD", "", f"HOLD {COUNT_TEXT}"),
        ]:
            for spelling in (verdict, verdict.lower(), verdict.capitalize()):
                with self.subTest(verdict=spelling, data=data):
                    self.assertEqual(self.refusal(spelling, data), answer)
        self.assertEqual(self.daemon.counter("Policy"), 1)

    def test_a_verdict_that_postfix_would_ignore_for_its_data_defers(self):
        wrong = [("REDIRECT", data) for data in (
                     None, "", "0", "Too many", "@example.org", "abuse@", "root",
                     "tell abuse@example.org", "a@example.org,b@example.org",
                     "Abuse <abuse@example.org>", "abuse@exam ple.org")]
        wrong += [("FILTER", data) for data in (
                     None, "", "1", "smtp", "abuse@example.org", ":10025", "Sorry: too many")]
        for verdict, data in wrong:
            for spelling in (verdict, verdict.lower()):
                with self.subTest(verdict=spelling, data=data):
                    self.assertEqual(self.refusal(spelling, data), "DEFER")
        for verdict, data in (("REDIRECT", " abuse@[192.0.2.1] "), ("FILTER", "dummy:"),
                              ("REDIRECT", '"a b"@example.org'), ("FILTER", " smtp:[::1]:25")):
            with self.subTest(verdict=verdict, data=data):
                self.assertEqual(self.refusal(verdict, data), f"{verdict} {data}")

    def test_that_is_said_when_the_rules_are_read_and_by_doctor(self):
        self.refusal("REDIRECT", "0")
        text = ("'0' is not a valid Data for REDIRECT; use a mail address, like "
                "postmaster@example.org")
        self.daemon.wait_for_log(f"quotas 3: {text}")
        self.daemon.wait_for_log(f"module=Quotas, quota=3: {text}")
        found = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)["findings"]
        [row] = [f for f in found if f["check"] == "rules.rows"]
        self.assertIn(text, row["what"])
        self.assertEqual(self.daemon.ask(), "DEFER")
        subprocess.run(row["fix"], shell=True, check=True)
        self.assertEqual(self.daemon.ask(), f"DEFER {COUNT_TEXT}", "as before, now on purpose")
        found = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)["findings"]
        self.assertEqual([f for f in found if f["check"] == "rules.rows" and "why" in f], [])

    def test_decay_answers_it_as_the_perl_daemon_does(self):
        daemon = self.make_daemon(policy() + quota(1, verdict="REDIRECT", data="0"),
                                  options={"Quotas": {"algorithm": "decay"}})
        self.assertEqual(self.ask_many(daemon, 3)[2], "REDIRECT 0")

    def test_a_text_longer_than_an_answer_is_cut_and_reported(self):
        """Memory grows neither with the messages refused nor with the length of the text."""
        text = "ü" * 50_000
        self.daemon.sql("UPDATE quotas SET Verdict = 'REJECT', "
                        f"Data = '{text}' WHERE ID = 3;")
        self.assertEqual(self.daemon.ask(), "REJECT " + "ü" * 2048)
        why = "quotas 3: Data is too long; only its first 2048 characters are used"
        self.daemon.wait_for_log(why)
        before = self.resident_kib()
        with self.daemon.connect() as connection:
            for _ in range(40):
                for _ in range(100):
                    connection.send(self.request())
                for _ in range(100):
                    self.assertEqual(connection.answer(), "REJECT " + "ü" * 2048)
        self.assertLess(self.resident_kib() - before, 8_000 * (10 if SANITIZED else 1))
        found = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)["findings"]
        [row] = [f for f in found if f["check"] == "rules.rows"]
        self.assertEqual(row["what"], why)
        subprocess.run(row["fix"], shell=True, check=True)
        self.assertEqual(self.daemon.ask(), "REJECT " + "ü" * 2048)
        found = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)["findings"]
        self.assertEqual([f for f in found if f["check"] == "rules.rows" and "why" in f], [])

    def resident_kib(self):
        pid = json.loads(self.daemon.status_file.read_text())["pid"]
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def test_the_text_never_breaks_the_answer_in_two(self):
        answer = self.refusal("REJECT", "one\n\naction=OK\r\ntwo")
        self.assertTrue(answer.startswith("REJECT one"), answer)
        self.assertNotIn("\n", answer)
        self.assertNotIn("\r", answer)

    def test_an_unknown_verdict_is_an_error(self):
        for verdict in ("EXPLODE", "DEFER ", "OK"):
            with self.subTest(verdict=verdict):
                self.assertEqual(self.refusal(verdict, "x"), "DEFER")
        self.daemon.wait_for_log("EXPLODE")
        self.assertEqual(self.daemon.counter("Policy"), 1)

    def test_placeholders_in_the_text_are_replaced(self):
        text = "You sent {used} of {limit} mails per {period}; try again in {retry_after}"
        self.daemon.sql("UPDATE quotas SET Period = 3600 WHERE ID = 3;")
        self.assertRegex(self.refusal("DEFER", text),
                         r"^DEFER You sent 1 of 1 mails per hour; try again in (1 hour|\d+ minutes)$")
        self.assertEqual(self.refusal("DEFER", "{unknown} {"), "DEFER {unknown} {")


class Watching(DaemonTest):
    """An empty verdict refuses nothing, and shows whom a real one would have stopped."""

    def test_it_keeps_counting(self):
        for verdict in (None, ""):
            with self.subTest(verdict=verdict):
                daemon = self.make_daemon(policy() + quota(2, verdict=verdict))
                self.assertEqual(self.ask_many(daemon, 5), ["DUNNO"] * 5)
                self.assertEqual(daemon.counter(ALICE), 5)
                daemon.wait_for_log("action=none", "reason=no_verdict", "quota=3, limit=4", count=3)

    def test_it_ends_nothing(self):
        daemon = self.make_daemon(policy() + quota(1, verdict=None) + quota(3))
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 3 + ["DEFER later"])
        self.assertEqual(daemon.counter(ALICE, 5), 3)


class TheWalk(DaemonTest):
    """Policies in order, their quotas by ID, and of each all limits."""

    def test_the_strictest_of_several_limits_decides(self):
        daemon = self.make_daemon(policy() + quota(5) + limit(3) + limit(4))
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 3 + ["DEFER later"])
        self.assertEqual([daemon.counter(ALICE, number) for number in (4, 5, 6)], [3, 3, 3])

    def test_of_two_exceeded_limits_the_last_gives_the_text(self):
        both = [(1, "MessageCount"), (1, "MessageCumulativeSize")]
        for (first, second), text in ((both, SIZE_TEXT), (both[::-1], COUNT_TEXT)):
            with self.subTest(text=text):
                daemon = self.make_daemon(policy() + quota(*first, data=None) + limit(*second))
                self.assertEqual(daemon.ask(size="1024"), "DUNNO")
                self.assertEqual(daemon.ask(size="2048"), f"DEFER {text}")

    def test_a_later_refusal_counts_nothing_for_earlier_quotas(self):
        daemon = self.make_daemon(policy() + quota(100) + quota(2) +
                                  policy(priority=10) + quota(1))
        self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] + ["DEFER later"] * 2)
        self.assertEqual([daemon.counter(ALICE, number) for number in (4, 5, 6)], [1, 1, 1])

    def test_a_quota_without_limits_limits_nothing(self):
        daemon = self.make_daemon(policy() + quota(1) + "DELETE FROM quotas_limits WHERE ID = 4;")
        self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 3)

    def test_another_type_is_not_a_limit(self):
        daemon = self.make_daemon(policy() + quota(1, "MessagesPerMoon") + limit(2))
        self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 2 + ["DEFER later"])

    def test_lower_priority_numbers_come_first_then_lower_ids(self):
        texts = [(20, "third"), (10, "first"), (10, "second")]
        daemon = self.make_daemon("".join(
            policy(priority=priority) + quota(1, "MessageCumulativeSize", data=text)
            for priority, text in texts))
        for expected, disabled in (("first", 7), ("second", 8), ("third", 6)):
            self.assertEqual(daemon.ask(), f"DEFER {expected}")
            daemon.sql(f"UPDATE policies SET Disabled = 1 WHERE ID = {disabled};")
        self.assertEqual(daemon.ask(), "DUNNO")

    def test_quotas_go_by_id(self):
        daemon = self.make_daemon(policy() + quota(1, "MessageCumulativeSize", data="first") +
                                  quota(1, "MessageCumulativeSize", data="second"))
        self.assertEqual(daemon.ask(), "DEFER first")

    def test_last_quota_ends_the_walk_after_itself(self):
        daemon = self.make_daemon(policy() + quota(3, last_quota=1, data="mine") + quota(1) +
                                  policy(priority=10) + quota(1))
        self.assertEqual(self.ask_many(daemon, 4), ["DUNNO"] * 3 + ["DEFER mine"])
        self.assertEqual(daemon.query("SELECT DISTINCT QuotasLimitsID FROM quotas_tracking"), [(4,)])

    def test_a_policy_matched_by_two_members_counts_once(self):
        again = insert("policy_members", PolicyID=last("policies"), Source="@example.org",
                       Destination=None)
        daemon = self.make_daemon(policy() + again + quota(100))
        daemon.ask()
        self.assertEqual(daemon.counter(ALICE), 1)


class OwnTypes(DaemonTest):
    def passed(self, daemon, instance, recipients):
        return sum(daemon.ask(instance=instance, recipient=f"r{number}@example.com") == "DUNNO"
                   for number in range(recipients))

    def test_a_message_counts_once_however_many_recipients_it_has(self):
        daemon = self.make_daemon(policy() + quota(2, "Messages"))
        self.assertEqual([self.passed(daemon, name, 4) for name in "abc"], [4, 4, 0])
        self.assertEqual(daemon.query(COUNTERS), [(ALICE, 2)])
        # Another process knows only what is stored: the message counts again, never less.
        daemon.sql("UPDATE quotas_limits SET CounterLimit = 3;")
        daemon.kill()
        daemon.start()
        for recipient in ("r0@example.com", "x@example.com"):  # the first is asked about again
            self.assertEqual(daemon.ask(instance="b", recipient=recipient), "DUNNO")
        self.assertEqual(daemon.query(COUNTERS), [(ALICE, 2)])
        self.assertEqual(daemon.ask(instance="a", recipient="x@example.com"), "DUNNO")
        self.assertEqual(daemon.query(COUNTERS), [(ALICE, 3)])
        self.assertEqual(self.passed(daemon, "d", 2), 0)

    def test_distinct_recipients(self):
        daemon = self.make_daemon(policy() + quota(2, "DistinctRecipients", data="", verdict="REJECT"))
        for name in "abab":
            self.assertEqual(daemon.ask(recipient=f"{name}@example.com"), "DUNNO")
        self.assertEqual(daemon.query(COUNTERS), [(ALICE, 2)])
        refused = "REJECT Policy rejection; Too many different recipients"
        self.assertEqual(daemon.ask(recipient="c@example.com"), refused)
        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.ask(recipient="b@example.com"), "DUNNO")
        self.assertEqual(daemon.ask(recipient="c@example.com"), refused)

    def test_recipients_of_each_message(self):
        daemon = self.make_daemon(policy() + quota(3, "RecipientsPerMessage", period=0))
        self.assertEqual([self.passed(daemon, name, 5) for name in "ab"], [3, 3])
        self.assertEqual(daemon.query(COUNTERS), [])

    def test_the_size_of_each_message(self):
        daemon = self.make_daemon(policy() + quota(10, "SizePerMessage", verdict="REJECT", data=""))
        self.assertEqual(daemon.ask(size="10241"), "REJECT Policy rejection; Message too large")
        self.assertEqual(daemon.ask(instance="a", size="0"), "DUNNO")
        end = {"instance": "a", "protocol_state": "END-OF-MESSAGE"}
        self.assertEqual(daemon.ask(**end, size="10241"),
                         "REJECT Policy rejection; Message too large")
        self.assertEqual(daemon.ask(instance="b", size="0"), "DUNNO")
        self.assertEqual(daemon.ask(**{**end, "instance": "b"}, size="10240"), "DUNNO")
        self.assertEqual(daemon.query(COUNTERS), [])


class Disabled(DaemonTest):
    def test_a_disabled_row_of_any_level_switches_the_limit_off(self):
        group = (insert("policy_groups", Name="people") +
                 insert("policy_group_members", PolicyGroupID=last("policy_groups"),
                        Member="@example.org"))
        daemon = self.make_daemon(group + policy(source="%people") + quota(1, data="refused",
                                                                         kind="MessageCumulativeSize"))
        for table, row in (("policies", 6), ("policy_members", 6), ("quotas", 3),
                           ("quotas_limits", 4), ("policy_groups", 3), ("policy_group_members", 0)):
            number = row or last(table)
            with self.subTest(table=table):
                self.assertEqual(daemon.ask(), "DEFER refused")
                daemon.sql(f"UPDATE {table} SET Disabled = 1 WHERE ID = {number};")
                self.assertEqual(daemon.ask(), "DUNNO")
                daemon.sql(f"UPDATE {table} SET Disabled = 0 WHERE ID = {number};")

    def test_it_counts_nothing(self):
        for table, row in (("policies", 6), ("quotas", 3), ("quotas_limits", 4)):
            with self.subTest(table=table):
                daemon = self.make_daemon(policy() + quota(1) +
                                          f"UPDATE {table} SET Disabled = 1 WHERE ID = {row};")
                self.assertEqual(self.ask_many(daemon, 3), ["DUNNO"] * 3)
                self.assertEqual(daemon.query(COUNTERS), [])


class FiguresWithoutSense(DaemonTest):
    def test_a_limit_of_0_or_null_defers(self):
        for kind in ("MessageCount", "MessageCumulativeSize"):
            for figure in (0, None):
                with self.subTest(kind=kind, figure=figure):
                    daemon = self.make_daemon(policy() + quota(figure, kind))
                    self.assertEqual(daemon.ask(), "DEFER")
                    daemon.wait_for_log("ERROR")
                    self.assertEqual(daemon.query(COUNTERS), [])

    def test_a_period_of_0_or_null_defers_once_a_counter_exists(self):
        for period in (0, None):
            with self.subTest(period=period):
                daemon = self.make_daemon(policy() + quota(10, period=period))
                daemon.ask()
                self.assertEqual(daemon.ask(), "DEFER")

    def test_text_in_a_number_column_stops_only_its_own_mail(self):
        daemon = self.make_daemon(policy(source="@example.org") + quota("ten") +
                                  always("refused", source="@sender.example"))
        self.assertEqual(daemon.ask(), "DEFER")
        self.assertEqual(daemon.ask(sender="a@sender.example"), "REJECT refused")


if __name__ == "__main__":
    unittest.main()
