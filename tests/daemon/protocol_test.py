# SPDX-License-Identifier: AGPL-3.0-only
"""SMTPD_POLICY_README as cbpolicyd speaks it: how requests are found in the stream, what they must
contain, and how invalid ones are handled."""

import json
import random
import time
import unittest

from daemon_case import (
    ALICE, ATTRIBUTES, DaemonTest, always, eventually, format_request, policy, quota)

BOUND = 16 * 1024
THREE = "".join(always(f"{name} text", destination=f"{name}@example.com")
                for name in ("first", "second", "third"))


class Framing(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(THREE)
        self.connection = self.daemon.connect()
        self.addCleanup(self.connection.close)

    def refused(self, name):
        return self.request(recipient=f"{name}@example.com")

    def test_a_request_may_come_byte_by_byte(self):
        request = self.refused("first")
        for at in range(len(request) - 1):
            self.connection.send(request[at:at + 1])
        self.assert_silent(self.connection)
        self.connection.send(request[-1:])
        self.assertEqual(self.connection.answer(), "REJECT first text")

    def test_several_requests_in_one_packet_are_answered_in_order(self):
        names = ["second", "first", "third", "first", "second", "third"] * 8
        self.connection.send(b"".join(self.refused(name) for name in names))
        for name in names:
            self.assertEqual(self.connection.answer(), f"REJECT {name} text")
        self.assert_silent(self.connection)

    def test_bytes_after_the_empty_line_belong_to_the_next_request(self):
        both = self.refused("first") + self.refused("second")
        self.connection.send(both[:-20])
        self.assertEqual(self.connection.answer(), "REJECT first text")
        self.assert_silent(self.connection)
        self.connection.send(both[-20:])
        self.assertEqual(self.connection.answer(), "REJECT second text")

    def test_lines_may_end_in_crlf(self):
        self.connection.send(self.refused("first").replace(b"\n", b"\r\n"))
        self.assertEqual(self.connection.answer(), "REJECT first text")

    def test_lf_and_crlf_may_be_mixed(self):
        lines = self.refused("second").split(b"\n")
        ends = [b"\r\n" if number % 2 else b"\n" for number in range(len(lines) - 1)]
        for last in (b"\n", b"\r\n"):
            with self.subTest(last=last):
                ends[-1] = last
                request = b"".join(line + end for line, end in zip(lines, ends))
                self.connection.send(request + self.refused("third"))
                self.assertEqual(self.connection.answer(), "REJECT second text")
                self.assertEqual(self.connection.answer(), "REJECT third text")

    def test_crlf_is_not_part_of_the_value(self):
        self.daemon.sql(policy() + quota(5))
        self.connection.send(self.request().replace(b"\n", b"\r\n"))
        self.assertEqual(self.connection.answer(), "DUNNO")
        self.assertEqual(self.daemon.counter(ALICE), 1)

    def test_the_order_of_names_is_free(self):
        lines = self.refused("first").split(b"\n")[:-2]
        random.Random(1).shuffle(lines)
        self.connection.send(b"\n".join(lines) + b"\n\n")
        self.assertEqual(self.connection.answer(), "REJECT first text")

    def test_unknown_names_are_ignored(self):
        self.connection.send(b"colour=green\nRecipient=x\n" + self.refused("first")[:-1] +
                             b"new_in_postfix_4=a=b=c\nempty=\n\n")
        self.assertEqual(self.connection.answer(), "REJECT first text")

    def test_a_line_is_split_at_its_first_equals_sign(self):
        self.daemon.sql(policy() + quota(5))
        self.connection.send(self.request(sender="a=b=c@example.org"))
        self.assertEqual(self.connection.answer(), "DUNNO")
        self.assertEqual(self.daemon.counter("Sender:a=b=c@example.org"), 1)


class Bounds(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon()

    def padded(self, size):
        request = self.request()
        padding = b"padding=" + b"x" * (size - len(request) - len(b"padding=\n")) + b"\n"
        padded = padding + request
        self.assertEqual(len(padded), size)
        return padded

    def assert_refused(self, data, *words):
        with self.daemon.connect() as connection:
            try:
                connection.send(data)
            except ConnectionError:
                pass  # closed before it had all of it
            self.assert_closed(connection)
        self.daemon.wait_for_log("WARNING", *words)
        self.assert_serving(self.daemon)

    def test_the_largest_request_is_16_kib(self):
        for size in (BOUND - 1, BOUND):
            with self.subTest(size=size), self.daemon.connect() as connection:
                connection.send(self.padded(size) + self.padded(size))
                self.assertEqual(connection.answer(), "DUNNO")
                self.assertEqual(connection.answer(), "DUNNO")

    def test_a_larger_request_closes_the_connection(self):
        self.assert_refused(self.padded(BOUND + 2))

    def test_a_line_without_an_end_closes_the_connection(self):
        self.assert_refused(b"sender=" + b"x" * (BOUND + 2))

    def test_a_megabyte_closes_the_connection(self):
        self.assert_refused(b"sender=" + b"x" * 1_000_000)

    def test_thousands_of_attributes_within_the_bound_are_read(self):
        with self.daemon.connect() as connection:
            connection.send(b"a=\n" * 5_000 + self.request())
            self.assertEqual(connection.answer(), "DUNNO")

    def test_ten_thousand_attributes_are_over_the_bound(self):
        self.assert_refused(b"a=\n" * 10_000 + self.request())

    def test_a_line_without_equals_sign_closes_before_the_request_ends(self):
        self.assert_refused(b"request=smtpd_access_policy\nnonsense\n")

    def test_another_protocol_closes_the_connection(self):
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def test_garbage_never_stops_the_daemon(self):
        chance = random.Random(2)
        for _ in range(100):
            with self.daemon.connect() as connection:
                connection.send(chance.randbytes(chance.randrange(1, 600)))
        for _ in range(100):  # a good request with some bytes changed
            request = bytearray(self.request())
            for _ in range(chance.randrange(1, 6)):
                request[chance.randrange(len(request))] = chance.randrange(256)
            with self.daemon.connect() as connection:
                connection.send(bytes(request))
        self.assert_serving(self.daemon)

    def test_nul_bytes_and_invalid_utf8_are_only_bytes(self):
        for name in ("sender", "recipient", "helo_name", "sasl_username", "instance",
                     "client_address", "protocol_state", "size", "queue_id"):
            for bytes_ in (b"\0", b"a\0b@example.org", b"\xff\xfe@example.org", b"\xc3(@x.org",
                           b"\x1b[2J@example.org", b"x\ry@example.org"):
                with self.subTest(name=name, bytes=bytes_), self.daemon.connect() as connection:
                    request = self.request(**{name: "MARK"}).replace(b"MARK", bytes_)
                    connection.send(request)
                    self.assertIn(connection.answer(), ("DUNNO", "DEFER", None))
        self.assert_serving(self.daemon)
        log = self.daemon.log_file.read_bytes()
        for control in (b"\0", b"\x1b", b"\r"):
            self.assertNotIn(control, log, "control characters are escaped in the log")


class Attributes(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(policy() + quota(100))

    def counted(self):
        return self.daemon.query("SELECT TrackKey, Counter FROM quotas_tracking")

    def test_missing_or_malformed_is_deferred_logged_and_closed(self):
        wrong = [
            {"protocol_state": None},
            {"client_address": None}, {"client_address": ""}, {"client_address": "unknown"},
            {"client_address": "300.1.1.1"}, {"client_address": "192.0.2"},
            {"client_address": "2001:db8::zz"}, {"client_address": "192.0.2.1 "},
            {"sender": None}, {"sender": "@example.org"}, {"sender": "@"},
            {"sender": "alice@example .org"}, {"sender": "alice@example.org\t"},
            {"instance": None}, {"instance": ""},
            {"recipient": None}, {"recipient": ""}, {"recipient": "@example.com"},
        ]
        for number, attributes in enumerate(wrong, start=1):
            with self.subTest(**attributes), self.daemon.connect() as connection:
                connection.send(self.request(**attributes))
                self.assertEqual(connection.answer(), "DEFER")
                self.assert_closed(connection)
                self.daemon.wait_for_log("ERROR", count=number)
        self.assertEqual(self.counted(), [])
        self.assert_serving(self.daemon)

    def test_requests_that_cannot_be_used_are_told(self):
        with self.daemon.connect() as connection:
            connection.send(self.request(sender="alice@example .org"))
            self.assertEqual(connection.answer(), "DEFER")
        with self.daemon.connect() as connection:
            connection.send(b"GET / HTTP/1.1\r\n")
            self.assert_closed(connection)
        done = None

        def told():
            nonlocal done
            done = self.daemon.command("service", "status", "--json", check=False)
            return json.loads(done.stdout).get("refused_requests", {}).get("count") == 2

        self.assertTrue(eventually(told), done and done.stdout)
        told = json.loads(done.stdout)["refused_requests"]
        self.assertRegex(told["last"], r"127\.0\.0\.1:\d+: closed: not a valid name=value line: "
                                       r"'GET / HTTP/1.1\\x0d\\x0a'")
        self.assertAlmostEqual(told["last_at"], time.time(), delta=60)
        text = self.daemon.command("service", "status", check=False).stdout
        self.assertIn("2 more requests that could not be used", text)
        findings = json.loads(self.daemon.command("doctor", "--json", check=False).stdout)
        [finding] = [f for f in findings["findings"] if f["check"] == "daemon.requests"]
        self.assertEqual(finding["state"], "wrong", finding)
        self.assertIn("name=value", finding["what"])

    def test_the_last_request_that_cannot_be_used_is_told_with_its_mail(self):
        with self.daemon.connect() as connection:
            connection.send(self.request(sender="alice@example .org"))
            self.assertEqual(connection.answer(), "DEFER")
        self.daemon.wait_for_log("request refused: sender is not a mail address (client "
                                 "'192.0.2.10', sender 'alice@example .org', recipient "
                                 "'bob@example.com')")

    def test_names_without_a_domain_or_with_a_blank_are_addresses(self):
        """Which addresses are addresses is Postfix's matter: it passes root, MAILER-DAEMON and
        "max mustermann"@example.org."""
        with self.daemon.connect() as connection:
            for attributes in ({"sender": "root"}, {"sender": "MAILER-DAEMON"},
                               {"sender": "max mustermann@example.org"}, {"sender": "max m"},
                               {"sender": "alice\t@example.org"}, {"recipient": "bob"},
                               {"recipient": "bob b@example.com"},
                               {"sender": "root", "protocol_state": "END-OF-MESSAGE"}):
                with self.subTest(**attributes):
                    connection.send(self.request(**attributes))
                    self.assertEqual(connection.answer(), "DUNNO")
        self.assertEqual(dict(self.counted()), {
            "Sender:root": 1, "Sender:mailer-daemon": 1, "Sender:max mustermann@example.org": 1,
            "Sender:max m": 1, "Sender:alice\t@example.org": 1, ALICE: 2})

    def test_end_of_message_needs_the_same_but_a_recipient(self):
        with self.daemon.connect() as connection:
            for recipient in ("", None):
                connection.send(self.request(protocol_state="END-OF-MESSAGE", recipient=recipient))
                self.assertEqual(connection.answer(), "DUNNO")
            connection.send(self.request(protocol_state="END-OF-MESSAGE", sender="@x"))
            self.assertEqual(connection.answer(), "DEFER")
            self.assert_closed(connection)

    def test_the_empty_sender_is_an_address(self):
        self.assertEqual(self.daemon.ask(sender=""), "DUNNO")
        self.assertEqual(self.counted(), [("Sender:<>", 1)])

    def test_few_attributes_are_enough(self):
        needed = {name: ATTRIBUTES[name] for name in
                  ("protocol_state", "client_address", "sender", "recipient", "instance")}
        with self.daemon.connect() as connection:
            connection.send(format_request(needed))
            self.assertEqual(connection.answer(), "DUNNO")
        self.assertEqual(self.counted(), [(ALICE, 1)])

    def test_a_size_that_is_no_number_is_0(self):
        self.daemon.sql(always("too large"))
        self.assertEqual(self.daemon.ask(size="1025"), "REJECT too large")
        for size in (None, "", "many", "-1", "0x800", "2048x", "2e6"):
            with self.subTest(size=size):
                self.assertEqual(self.daemon.ask(size=size), "DUNNO")

    def test_states_before_rcpt_are_dunno_unchecked(self):
        with self.daemon.connect() as connection:
            for state in ("CONNECT", "EHLO", "HELO", "MAIL", "VRFY", "ETRN"):
                for attributes in ({}, {"instance": "", "sender": "", "recipient": ""},
                                   {"client_address": "unknown", "sender": "alice"}):
                    with self.subTest(state=state, **attributes):
                        connection.send(self.request(protocol_state=state, **attributes))
                        self.assertEqual(connection.answer(), "DUNNO")
        self.assertEqual(self.counted(), [])

    def test_other_states_are_dunno(self):
        for state in ("DATA", "rcpt", "SOMETHING-NEW"):
            with self.subTest(state=state):
                self.assertEqual(self.daemon.ask(protocol_state=state), "DUNNO")
        self.assertEqual(self.counted(), [])

    def test_addresses_are_lower_cased_on_arrival(self):
        self.daemon.sql("UPDATE quotas SET Track = 'Recipient:user@domain' WHERE ID = 3;" + policy() +
                        quota(100, track="SASLUsername") + quota(100))
        self.daemon.ask(sender="ALICE@Example.ORG", recipient="Bob@EXAMPLE.com",
                        sasl_username="Alice.Smith")
        self.assertEqual(sorted(self.counted()),
                         [("Recipient:bob@example.com", 1), ("SASLUsername:alice.smith", 1),
                          (ALICE, 1)])

    def test_mapped_addresses_are_ipv4(self):
        self.daemon.sql(always("mapped", source="198.51.100.0/24") +
                        "UPDATE quotas SET Track = 'SenderIP:/24' WHERE ID = 3;")
        self.assertEqual(self.daemon.ask(client_address="::ffff:192.0.2.1"), "DUNNO")
        self.assertEqual(self.daemon.ask(client_address="192.0.2.2"), "DUNNO")
        self.assertEqual(self.counted(), [("SenderIP:192.0.2.0/24", 2)])
        self.assertEqual(self.daemon.ask(client_address="::FFFF:198.51.100.7"), "REJECT mapped")


if __name__ == "__main__":
    unittest.main()
