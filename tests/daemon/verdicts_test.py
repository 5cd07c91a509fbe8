# SPDX-License-Identifier: AGPL-3.0-only
"""What an answer means for later modules, and how the log names clients."""

import unittest

from daemon_case import KIB, DaemonTest, insert, last, policy, quota

CLIENT = "2001:db8::1"


DATA = "smtp:ok@example.org"  # what any verdict takes


def access(verdict: str) -> str:
    return insert("access_control", PolicyID=last("policies"), Name="a", Verdict=verdict, Data=DATA)


class Final(DaemonTest):
    """AccessControl's OK, HOLD and so on are final: no later quota counts that recipient, nor its
    share of the message."""

    def mail(self, daemon, instance, size=20 * KIB, **attributes):
        rcpt = daemon.ask(instance=instance, size="0", **attributes)
        return rcpt, daemon.ask(instance=instance, size=str(size), queue_id="4F1A",
                                protocol_state="END-OF-MESSAGE", **attributes)

    def test_a_recipient_with_a_final_answer_is_not_counted_at_the_end(self):
        for verdict in ("OK", "HOLD", "DISCARD", "FILTER", "REDIRECT"):
            with self.subTest(verdict=verdict):
                daemon = self.make_daemon(
                    policy(source="boss@example.org") + access(verdict) +
                    policy() + quota(10, "MessageCumulativeSize", verdict="REJECT"),
                    modules=("AccessControl", "Quotas"))
                self.assertEqual(self.mail(daemon, "a", sender="boss@example.org"),
                                 (f"{verdict} {DATA}", "DUNNO"))
                self.assertEqual(self.mail(daemon, "b", 2 * KIB, sender="boss@example.org"),
                                 (f"{verdict} {DATA}", "DUNNO"))
                self.assertEqual(daemon.query("SELECT * FROM quotas_tracking"), [])
                self.assertEqual(self.mail(daemon, "c"), ("DUNNO", "REJECT later"))

    def test_pass_continues(self):
        daemon = self.make_daemon(
            policy() + access("PASS") + quota(10, "MessageCumulativeSize", verdict="REJECT"),
            modules=("AccessControl", "Quotas"))
        self.assertEqual(self.mail(daemon, "a"), (f"DUNNO {DATA}", "REJECT later"))


class LogLines(DaemonTest):
    def test_hosts_are_named_as_postfix_names_them(self):
        daemon = self.make_daemon(policy() + access("PASS") + quota(1),
                                  modules=("AccessControl", "Quotas"))
        for address in (CLIENT, CLIENT, "192.0.2.7"):
            daemon.ask(client_address=address)
        for words in ("module=AccessControl", "mode=create", "action=defer"):
            daemon.wait_for_log(words, f"host={CLIENT}, ")
        daemon.wait_for_log("action=defer", "host=192.0.2.7, ")
        self.assertNotIn("2001:0db8", daemon.log())

    def test_an_unknown_verdict(self):
        daemon = self.make_daemon(policy() + quota(1, verdict="Explode"))
        self.assertEqual(self.ask_many(daemon, 2), ["DUNNO", "DEFER"])
        who = "host=192.0.2.10, helo=client.example.net, from=alice@example.org, to=bob@example.com"
        daemon.wait_for_log(f"module=Quotas, action=explode, {who}, reason=quota_match, policy=6, ")
        daemon.wait_for_log(f"module=Quotas, action=none, {who}, reason=invalid_verdict")

    def test_no_verdict_under_decay_names_no_limit(self):
        daemon = self.make_daemon(policy() + quota(1, verdict=None), options={"Quotas": {"algorithm": "decay"}})
        self.ask_many(daemon, 3)
        daemon.wait_for_log("action=none", "reason=no_verdict")


class Requests(DaemonTest):
    def test_no_module_applies_to_an_empty_state(self):
        daemon = self.make_daemon(policy() + quota(1))
        self.assertEqual(self.ask_many(daemon, 3, protocol_state=""), ["DUNNO"] * 3)

    def test_bounces_have_a_key_with_any_specification(self):
        for track in ("Sender", "Sender:domain", "sender:@user"):
            with self.subTest(track=track):
                daemon = self.make_daemon(policy() + quota(1, track=track))
                self.assertEqual(self.ask_many(daemon, 2, sender=""), ["DUNNO", "DEFER later"])
                self.assertEqual(daemon.counter("Sender:<>"), 1)
                self.assertEqual(self.ask_many(daemon, 1), ["DEFER"], "others have none")


if __name__ == "__main__":
    unittest.main()
