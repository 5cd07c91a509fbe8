#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""CheckSPF and CheckHelo's lookups against a name server that the test itself runs."""

import threading
import time
import unittest

from daemon_case import PROMPT_S, DaemonTest, insert, last, policy
from dns_server import REFUSED, SERVFAIL, SILENT, DnsServer

CLIENT = "192.0.2.10"  # of ATTRIBUTES
SLACK_S = 10  # how late an answer may come on a busy machine
HELO_REFUSED = "REJECT Invalid HELO/EHLO; "

ZONES = {
    "pass.example": {"TXT": ["something else", "v=spf1 ip4:192.0.2.0/24 -all"]},
    "fail.example": {"TXT": ["v=spf1 ip4:198.51.100.1 -all exp=why.fail.example"]},
    "why.fail.example": {"TXT": ["buy our pills"]},
    "soft.example": {"TXT": ["v=spf1 ~all"]},
    "neutral.example": {"TXT": ["v=spf1 ?all"]},
    "none.example": {"TXT": ["no record of that kind"]},
    "empty.example": {},
    "broken.example": {"TXT": ["v=spf1 nonsense -all"]},
    "two.example": {"TXT": ["v=spf1 -all", "v=spf1 +all"]},
    "servfail.example": SERVFAIL,
    "refused.example": REFUSED,
    "silent.example": SILENT,
    "eleven.example": {"TXT": ["v=spf1 " + " ".join(f"a:a{i}.example" for i in range(11)) + " +all"]},
    "ten.example": {"TXT": ["v=spf1 " + " ".join(f"a:a{i}.example" for i in range(10)) + " +all"]},
    **{f"a{i}.example": {"A": ["198.51.100.7"]} for i in range(11)},
    "mx.example": {"TXT": ["v=spf1 mx -all"], "MX": ["m1.example", "m2.example"]},
    "m1.example": {"A": ["198.51.100.7"]},
    "m2.example": {"A": ["198.51.100.8", CLIENT], "AAAA": ["2001:db8::10"]},
    "include.example": {"TXT": ["v=spf1 include:fail.example include:pass.example -all"]},
    "noinclude.example": {"TXT": ["v=spf1 include:none.example -all"]},
    "redirect.example": {"TXT": ["v=spf1 redirect=pass.example"]},
    "macro.example": {"TXT": ["v=spf1 exists:%{ir}.%{v}._spf.%{D2} -all"]},
    "10.2.0.192.in-addr._spf.macro.example": {"A": ["127.0.0.2"]},
    "ptr.example": {"TXT": ["v=spf1 ptr:client.example -all"]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["liar.example", "host.client.example"]},
    "liar.example": {"A": ["203.0.113.1"]},
    "host.client.example": {"A": [CLIENT]},
    "long.example": {"TXT": ["v=spf1 " + " ".join(f"ip4:198.51.{i}.0/24" for i in range(120)) +
                             " ip4:192.0.2.10 -all"]},
    "alias.example": {"CNAME": ["pass.example"]},
    "manymacros.example": {"TXT": ["v=spf1 exists:" + "%{d}" * 60 + " -all"]},
    "hugedigits.example": {"TXT": ["v=spf1 exists:%{d99999999999}.example -all"]},
    "eight.example": {"TXT": [b"v=spf1 exists:\xff\xfe.example -all"]},
    "loop.example": {"TXT": ["v=spf1 include:loop.example -all"]},
    # HELO names
    "mail.good.example": {"A": [CLIENT]},
    "six.good.example": {"AAAA": ["2001:db8::1"]},
    "mx.good.example": {"MX": ["mail.good.example"]},
    "nothing.good.example": {},
    "dangling.good.example": {"CNAME": ["nowhere.empty.example"]},
    "nowhere.empty.example": {},
}  # fmt: skip


def spf(reject=None, header=None, sender="any"):
    return policy(sender) + insert("checkspf", PolicyID=last("policies"), Name="s", UseSPF=1,
                                   RejectFailedSPF=reject, AddSPFHeader=header)


class DnsTest(DaemonTest):
    def start(self, sql, zones=ZONES, modules=("CheckSPF",)):
        self.dns = DnsServer(zones)
        self.dns.__enter__()
        self.addCleanup(self.dns.__exit__)
        return self.make_daemon(sql=sql, modules=modules,
                                options={"server": {"nameservers": self.dns.address}})


class SpfTest(DnsTest):
    def test_results_with_rejection(self):
        daemon = self.start(spf(reject=1))
        cases = {
            "pass": ("DUNNO", "action=pass", "spf_pass"),
            "fail": ("REJECT Failed SPF check; fail.example does not let 192.0.2.10 send for it",
                     "action=reject", "spf_fail"),
            "soft": ("DUNNO", "action=pass", "spf_softfail"),
            "neutral": ("DUNNO", "action=pass", "spf_neutral"),
            "none": ("DUNNO", "action=none", "no_spf_record"),
            "empty": ("DUNNO", "action=none", "no_spf_record"),
            "nowhere": ("DUNNO", "action=none", "no_spf_record"),
            "broken": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "two": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "eleven": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "ten": ("DUNNO", "action=pass", "spf_pass"),
            "servfail": ("DEFER Failed SPF check; ", "action=defer", "spf_temperror"),
            "refused": ("DEFER Failed SPF check; ", "action=defer", "spf_temperror"),
            "mx": ("DUNNO", "action=pass", "spf_pass"),
            "include": ("DUNNO", "action=pass", "spf_pass"),
            "noinclude": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "redirect": ("DUNNO", "action=pass", "spf_pass"),
            "macro": ("DUNNO", "action=pass", "spf_pass"),
            "ptr": ("DUNNO", "action=pass", "spf_pass"),
            "long": ("DUNNO", "action=pass", "spf_pass"),
            "alias": ("DUNNO", "action=pass", "spf_pass"),
            "manymacros": ("REJECT Failed SPF check; ", "action=reject", "spf_fail"),
            "hugedigits": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "eight": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
            "loop": ("REJECT Failed SPF check; ", "action=reject", "spf_permerror"),
        }
        for name, (answer, action, reason) in cases.items():
            with self.subTest(name):
                sender = f"alice@{name}.example"
                received = daemon.ask(sender=sender)
                self.assertTrue(received == answer or (answer[-1] == " " and received.startswith(answer)), received)
                daemon.wait_for_log("module=CheckSPF", action, f"from={sender}",
                                    "to=bob@example.com", f"reason={reason}")

    def test_explanations_are_not_looked_up(self):
        daemon = self.start(spf(reject=1))
        daemon.ask(sender="alice@fail.example")
        self.assertNotIn(("why.fail.example", "TXT"), self.dns.questions)

    def test_results_with_a_header(self):
        daemon = self.start(spf(header=1))
        self.assertEqual(daemon.ask(sender="alice@pass.example"), "DUNNO")
        for name, result in {"fail": "fail", "soft": "softfail", "neutral": "neutral", "none": "none",
                             "broken": "permerror", "servfail": "temperror"}.items():
            with self.subTest(name):
                received = daemon.ask(sender=f"alice@{name}.example")
                self.assertRegex(received, rf"^PREPEND Received-SPF: {result} \([^()]*\) receiver=\S+; "
                                 rf'identity=mailfrom; envelope-from="alice@{name}.example"; '
                                 r'helo="client.example.net"; client-ip=192.0.2.10$')

    def test_results_without_either(self):
        daemon = self.start(spf())
        for name in ("pass", "fail", "soft", "none", "broken", "servfail"):
            self.assertEqual(daemon.ask(sender=f"alice@{name}.example"), "DUNNO", name)

    def test_ipv6_client(self):
        daemon = self.start(spf(reject=1))
        self.assertEqual(daemon.ask(sender="a@mx.example", client_address="2001:db8::10"), "DUNNO")
        self.assertTrue(daemon.ask(sender="a@mx.example",
                                   client_address="2001:db8::11").startswith("REJECT"))

    def test_no_lookup_without_a_sender(self):
        daemon = self.start(spf(reject=1))
        self.assertEqual(daemon.ask(sender=""), "DUNNO")
        self.assertEqual(self.dns.questions, [])

    def test_unusual_senders(self):
        daemon = self.start(spf(reject=1))
        for sender in ("x" * 3000 + "@fail.example", "%{d}%{l}@fail.example", "é\x7f@fail.example"):
            self.assertTrue(daemon.ask(sender=sender).startswith("REJECT Failed SPF"), sender[:20])
        for sender in ("a@" + "x" * 3000, "a@x..y", "a@[192.0.2.1]", "a@local", "a@" + "b." * 200 + "c"):
            self.assertEqual(daemon.ask(sender=sender), "DUNNO", sender[:20])

    def test_a_repeated_question_gets_no_second_header(self):
        daemon = self.start(spf(header=1))
        self.assertTrue(daemon.ask(sender="a@soft.example", instance="1.1").startswith("PREPEND"))
        self.assertEqual(daemon.ask(sender="a@soft.example", instance="1.1"), "DUNNO")

    def test_a_silent_server_delays_only_its_own_request(self):
        daemon = self.start(spf(reject=1))
        answers = []

        def ask():
            with daemon.connect() as connection:
                answers.append(connection.ask(sender="a@silent.example", instance="silent.1"))

        began = time.monotonic()
        waiting = [threading.Thread(target=ask) for _ in range(30)]  # one message, asked again
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        for _ in range(20):
            if time.monotonic() - began > 8:
                break  # a slow machine has shown enough
            asked = time.monotonic()
            self.assertTrue(daemon.ask(sender="a@fail.example").startswith("REJECT"))
            self.assertEqual(daemon.ask(sender=""), "DUNNO")
            self.assertLess(time.monotonic() - asked, PROMPT_S)
        if time.monotonic() - began < 13:  # after 15 they are given up
            self.assertEqual(answers, [])
        for thread in waiting:
            thread.join()
        self.assertEqual(answers, ["DUNNO"] * 30)
        self.assertLess(self.dns.questions.count(("silent.example", "TXT")), 5)
        self.assertGreater(time.monotonic() - began, 14)
        self.assertLess(time.monotonic() - began, 15 + SLACK_S)
        daemon.wait_for_log("module=CheckSPF", "skipped")


class HeloTest(DnsTest):
    def start_helo(self):
        row = insert("checkhelo", PolicyID=last("policies"), Name="h", RejectInvalid=1,
                     RejectUnresolvable=1)
        return self.start(policy() + row, modules=("CheckHelo",))

    def test_names_are_looked_up(self):
        daemon = self.start_helo()
        cases = {
            "mail.good.example": ("DUNNO", None),
            "six.good.example": ("DUNNO", None),
            "mx.good.example": ("DUNNO", None),
            "dangling.good.example": ("No A or MX records found for '{}'", "resolve_notfound"),
            "no.such.domain": ("Cannot resolve '{}', no such domain", "resolve_nxdomain"),
            "nothing.good.example": ("Cannot resolve '{}', no records found", "resolve_noerror"),
            "servfail.example": ("Failure while trying to resolve '{}'", "resolve_servfail"),
            "refused.example": ("DEFER", None),
        }
        for helo, (answer, reason) in cases.items():
            with self.subTest(helo):
                expected = HELO_REFUSED + answer.format(helo) if reason else answer
                self.assertEqual(daemon.ask(helo_name=helo), expected)
                if reason:
                    daemon.wait_for_log("module=CheckHelo, action=reject", f"helo={helo}",
                                        f"reason={reason}")

    def test_other_forms_are_not_looked_up(self):
        daemon = self.start_helo()
        for helo in ("[192.0.2.1]", "192.0.2.1", "", "bad"):
            daemon.ask(helo_name=helo)
        self.assertEqual(self.dns.questions, [])

    def test_a_silent_server_defers(self):
        daemon = self.start_helo()
        began = time.monotonic()
        self.assertEqual(daemon.ask(helo_name="silent.example"), "DEFER")
        self.assertLess(time.monotonic() - began, 10 + SLACK_S)


if __name__ == "__main__":
    unittest.main()
