#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""carbonio-limits history: what a real daemon wrote into session_tracking and limits_events about a
login, an address, a domain, a client or a network, in whatever spelling; within bounds."""

import datetime
import gzip
import json
import pathlib
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import (  # noqa: E402
    SANITIZED, DaemonTest, bin_dir, eventually, insert, policy, quota)


class Case(DaemonTest):
    rules = policy() + quota(3, period=3600)
    settings = {}

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon(self.rules, **self.settings)
        self.messages = 0

    def say(self, *words, status=0):
        done = self.daemon.command("history", *words, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
        self.assertEqual(json_keys.undocumented(("history", *words), done.stdout), set())
        return done.stdout if status == 0 else done.stderr

    def history(self, *words):
        return json.loads(self.say(*words, "--json"))

    def figures(self, *words):
        found = self.history(*words)
        return [found[key] for key in ("messages", "recipients", "size_kib", "refused")]

    def names(self, kind, *words):
        return {entry[kind]: (entry["messages"], entry["refused"])
                for entry in self.history(*words)[kind + "s"]["list"]}

    def send(self, sender, *recipients, size=2048, **attributes):
        """A message from its first RCPT to its end, as Postfix asks; its answers."""
        self.messages += 1
        attributes = {"sender": sender, "instance": f"history.{self.messages}", **attributes}
        answers = [self.daemon.ask(recipient=recipient, **attributes) for recipient in recipients]
        if any(answer == "DUNNO" for answer in answers):
            self.daemon.ask(protocol_state="END-OF-MESSAGE", size=size,
                            recipient=recipients[0] if len(recipients) == 1 else "",
                            queue_id=f"4F{self.messages:04X}", **attributes)
        return answers

    def wait_for(self, wanted, *words):
        self.assertTrue(eventually(lambda: self.figures(*words) == wanted),
                        f"{self.figures(*words)} is not {wanted}")

    def put_message(self, seconds_ago=0, **columns):
        """As a daemon of earlier days, of either kind, wrote it."""
        self.messages += 1
        self.daemon.sql(insert("session_tracking", **{
            "Instance": f"old.{self.messages}", "QueueID": "4F1A",
            "UnixTimestamp": int(time.time() - seconds_ago), "ClientAddress": "192.0.2.1",
            "Sender": "alice@example.org", "Size": 2, "RecipientData": "/<bob@example.net>#0=1;",
            **columns}))


class History(Case):
    def test_messages_recipients_sizes_clients_names_and_refusals(self):
        self.send("anna@example.org", "a@example.net", "b@example.net", size=10 * 1024 + 1,
                  sasl_username="anna@example.org", client_address="198.51.100.7",
                  client_name="pc.example.org")
        self.send("sales@example.org", "c@example.net", sasl_username="anna@example.org",
                  client_address="198.51.100.8", client_name="unknown")
        self.send("anna@example.org", "d@example.net", client_address="198.51.100.7",
                  client_name="pc.example.org")
        for recipient in ("e@example.net", "f@example.net"):
            self.assertEqual(self.send("anna@example.org", recipient, client_address="203.0.113.5"),
                             ["DEFER later"])
        self.send("bob@example.org", "a@example.net", client_address="198.51.100.9")
        self.wait_for([3, 4, 15, 2], "anna@example.org")
        out = self.say("anna@example.org")
        self.assertRegex(out.split("\n\n")[0].replace("\n", " "),
                         r"^anna@example\.org: 3 messages \(15 KiB\) to 4 recipients since 20\d\d-\d\d-\d\d "
                         r"\d\d:\d\d:\d\d, from 3 clients, under 2 sender names; 2 refused\.$")
        tables = {part.split()[0]: part for part in out.split("\n\n")[1:]}
        self.assertNotRegex(out, r" \n")
        self.assertEqual(set(tables), {"HOUR", "CLIENT", "SENDER", "LOGIN", "TIME"})
        self.assertRegex(tables["HOUR"], r"\n20\d\d-\d\d-\d\d \d\d:00 +\d+ +\d+ +\d+ KiB")
        self.assertRegex(tables["CLIENT"], r"\n198\.51\.100\.7 +pc\.example\.org +2 +3 +13 KiB +\d")
        self.assertRegex(tables["CLIENT"], r"\n203\.0\.113\.5 +0 +0 +0 KiB +2 +\d")
        self.assertRegex(tables["CLIENT"], r"\n198\.51\.100\.8 +1 +1 +2 KiB +\d")
        self.assertRegex(tables["SENDER"], r"\nanna@example\.org +2 +3 +13 KiB +2 +\d")
        self.assertRegex(tables["LOGIN"], r"\n\(without login\) +1 +1 +2 KiB +2 ")
        self.assertRegex(tables["TIME"], r"\n\d\d:\d\d +4F0003 +anna@example\.org +d@example\.net +1 +2 KiB\n")
        self.assertEqual(self.names("client", "anna@example.org"),
                         {"198.51.100.7": (2, 0), "198.51.100.8": (1, 0), "203.0.113.5": (0, 2)})
        found = self.history("anna@example.org")
        latest = found["latest"][-1]
        self.assertEqual(latest, {
            "time": latest["time"], "queue_id": "4F0001", "sender": "anna@example.org",
            "login": "anna@example.org", "client": "198.51.100.7", "recipient": "a@example.net",
            "recipients": 2, "size_kib": 11, "became": None})
        self.assertLess(abs(latest["time"] - time.time()), 300)
        self.assertEqual(sum(step["messages"] for step in found["steps"]), 3)
        self.assertEqual(sum(step["refused"] for step in found["steps"]), 2)

    def test_recipients_include_refused_ones(self):
        answers = self.send("anna@example.org", *(f"{name}@example.net" for name in "abcde"))
        self.assertEqual(answers, ["DUNNO"] * 3 + ["DEFER later"] * 2)
        self.wait_for([1, 5, 2, 2], "anna@example.org")

    def test_of_whom(self):
        self.send("Anna@Example.ORG", "carl@example.net", sasl_username="Anna",
                  client_address="198.51.100.7")
        for name in ("anna@example.org", "ANNA@example.org", "anna", " Anna", "example.org",
                     "@EXAMPLE.org", "198.51.100.7", "::ffff:198.51.100.7", "198.51.100.0/24"):
            self.wait_for([1, 1, 2, 0], name)
        for name in ("carl@example.net", "example.net", "ann", "nna@example.org", "anna@example.com",
                     "ample.org", "198.51.100.8", "198.51.101.0/24", "' OR 1=1 --", "%", "x" * 100_000):
            self.assertEqual(self.figures(name), [0, 0, 0, 0], name[:20])

    def test_refusals_of_those_who_receive_are_not_theirs(self):
        self.daemon.sql("UPDATE quotas SET Track = 'Recipient:user@domain' WHERE ID = 3")
        for number in range(5):
            self.send(f"u{number}@example.org", "carl@example.net")
        self.wait_for([3, 3, 6, 2], "example.org")
        self.assertEqual(self.figures("u3@example.org")[3] + self.figures("u4@example.org")[3], 2)
        self.assertEqual(self.figures("carl@example.net"), [0, 0, 0, 0])

    def test_bounces(self):
        self.send("", "carl@example.net", client_address="198.51.100.7")
        self.wait_for([1, 1, 2, 0], "<>")
        self.assertEqual(self.names("sender", "198.51.100.7"), {"<>": (1, 0)})
        self.assertIn("\n<> (bounces) ", self.say("198.51.100.7"))

    def test_since(self):
        for hours in (1, 23, 30, 24 * 5):
            self.put_message(hours * 3600)
        self.put_message(-3600)  # the clock was set back
        self.assertEqual(self.figures("alice@example.org"), [3, 3, 6, 0])
        self.assertEqual(self.figures("alice@example.org", "--since", "2h"), [2, 2, 4, 0])
        self.assertEqual(self.figures("alice@example.org", "--since", "31h"), [4, 4, 8, 0])
        found = self.history("alice@example.org", "--since", "30day")
        self.assertEqual((found["messages"], found["step"]), (5, "day"))
        day = datetime.datetime.fromtimestamp(time.time() - 24 * 5 * 3600)
        self.assertEqual(found["steps"][-1]["begin"],
                         day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
        out = self.say("alice@example.org", "--since", "30day")
        self.assertRegex(out, rf"\nDAY .*(\n.+)*\n{day:%Y-%m-%d} +1 +1 +2 KiB")
        self.assertRegex(out, r"\nNote: no messages before 20.* are remembered\.\n$")
        self.assertNotIn("Note:", self.say("alice@example.org"))

    def test_nothing(self):
        self.assertRegex(self.say("alice@example.org"),
                         r"^alice@example\.org: nothing was sent or refused since 20.*\n"
                         r"Note: no messages are remembered: the daemon has written none to "
                         r"session_tracking\.\n$")

    def test_wrong_use_is_one_line(self):
        for words, wanted in (
                ((), "whose history?"), (("",), "the address is empty"),
                (("a", "b"), "unexpected argument 'b'"),
                (("a", "--since", "yesteryear"), "not a valid time: 'yesteryear'; write 09:00"),
                (("a", "--since", "2999-01-01"), "the time '2999-01-01' is in the future"),
                (("a", "--top", "0"), "not a valid --top: '0'; give a whole number from 1 to 10000"),
                (("a", "--top", "10001"), "not a valid --top: '10001'"),
                (("a", "--top", "-1"), "not a valid --top: '-1'")):
            self.assertIn(wanted, self.say(*words, status=1), words)

    def test_rows_of_the_perl_daemon_and_rows_typed_by_hand(self):
        self.put_message(60, RecipientData="/<a@x>#10=7,6;0=1/<b@x>#0=1;/<a@x>#0=1;")
        self.put_message(60, QueueID="")    # never ended
        self.put_message(60, QueueID=None)
        self.put_message(60, RecipientData="nonsense", Size=-5, ClientAddress="nowhere")
        self.put_message(60, RecipientData=None, Size=None, ClientAddress=None, ClientName=None)
        self.put_message(60, UnixTimestamp="today")
        self.put_message(60, UnixTimestamp=2 ** 62)
        self.assertEqual(self.figures("alice@example.org"), [3, 2, 2, 0])
        self.assertIn("\nunknown ", self.say("alice@example.org"))

    def test_the_top_of_each_list(self):
        for number in range(12):
            self.put_message(60 * (number + 1), ClientAddress=f"192.0.2.{number}",
                             Sender=f"u{number}@example.org", SASLUsername="alice")
        out = self.say("alice")
        for title in ("CLIENT", "SENDER NAME", "TIME"):
            [table] = [part for part in out.split("\n\n") if part.startswith(title)]
            lines = table.split("\nNote: ")[0].rstrip("\n").split("\n")
            self.assertEqual((len(lines), lines[-1]), (12, "and 2 more"), table)
        self.assertNotIn("LOGIN", out)
        self.assertNotIn("more", self.say("alice", "--top", "12"))
        found = self.history("alice", "--top", "5")
        self.assertEqual([len(found["latest"]), len(found["clients"]["list"]), found["clients"]["found"]],
                         [5, 5, 12])
        self.assertEqual(found["latest"][0]["sender"], "u0@example.org")

    def test_names_are_escaped_and_fit_a_terminal(self):
        evil = "\x1b[31m\x07" + "x" * 300 + "\n\u202e@example.org"
        self.put_message(60, Sender=evil, SASLUsername="bob\x1b[0m", QueueID="4F\n1A" * 9,
                         ClientAddress="1\x1b[0m", ClientName="a\nb" * 90,
                         RecipientData=f"/<{evil}>#0=1;", Size=2 ** 50)
        for number in range(3):
            self.put_message(86400 * number, Sender=f"{'long.name' * 4}{number}@example.org",
                             ClientAddress="2001:db8:1234:5678:9abc:def0:1234:5678",
                             ClientName="a.long.name." * 5 + "example.com")
        out = self.say("example.org")
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\u202e]")
        for words in ("example.org", "example.org --since 30day", "example.com"):
            shown = subprocess.run(
                ["script", "-qec", f"stty cols 80; NO_COLOR=1 {bin_dir()}/carbonio-limits "
                 f"--zextras-home {self.daemon.folder} history {words}", "/dev/null"],
                capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout
            self.assertIn("since", shown)
            for line in shown.splitlines():
                self.assertLessEqual(len(line), 80, line)

    LOG = """\
Nov 26 09:00:01 mta1 postfix/qmgr[7]: {0}: from=<anna@example.org>, size=1, nrcpt=3 (queue active)
Nov 26 09:00:02 mta1 postfix/smtp[8]: {0}: to=<a@example.net>, relay=mx.example.net[192.0.2.9]:25, delay=1, \
delays=0/0/1/0, dsn=4.0.0, status=deferred (450 later)
2026-11-26T09:10:02.1+00:00 mta1 postfix/smtp[8]: {0}: to=<a@example.net>, relay=mx.example.net[192.0.2.9]:25, \
delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {1})
Nov 26 09:00:02 mta1 postfix/smtp[8]: {0}: to=<b@example.net>, relay=none, dsn=5.4.4, status=bounced (no host)
Nov 26 09:00:03 mta1 postfix/smtp[8]: 4F9901: to=<c@example.net>, relay=mx.example.net[192.0.2.9]:25, \
dsn=4.0.0, status=deferred (450 later)
Nov 26 09:00:02 mta1 postfix/smtp[8]: {1}: to=<c@example.net>, relay=127.0.0.1[127.0.0.1]:10024, dsn=2.0.0, \
status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4F9901)
"""

    def test_what_became_of_messages_is_in_the_mail_log(self):
        self.put_message(60, QueueID="4F8801", RecipientData="/<a@example.net>#0=1;/<b@example.net>#0=1;")
        self.put_message(50, QueueID="4F8802")
        self.put_message(40, QueueID="4F8803")
        log = self.daemon.folder / "mail.log"
        log.write_text(self.LOG.format("4F8801", "4F8802"))
        out = self.say("alice@example.org", "--mail-log", str(log))
        self.assertRegex(out, r"SIZE  BECAME\n")
        self.assertRegex(out, r" 4F8801 .* KiB  1 sent, 1 bounced\n")
        self.assertRegex(out, r" 4F8802 .* KiB  deferred\n")  # as the filter gave it back
        self.assertRegex(out, r" 4F8803 .* KiB  unknown\n")
        found = self.history("alice@example.org", "--mail-log", str(log))
        self.assertEqual(found["mail_log"], str(log))
        self.assertEqual([each["became"] for each in found["latest"]],
                         [None, {"sent": 0, "deferred": 1, "bounced": 0},
                          {"sent": 1, "deferred": 0, "bounced": 1}])
        shown = subprocess.run(
            ["script", "-qec", f"stty cols 80; NO_COLOR=1 {bin_dir()}/carbonio-limits --zextras-home "
             f"{self.daemon.folder} history example.org --mail-log {log}", "/dev/null"],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout
        self.assertIn("1 sent, 1 bounced", shown)
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)

    def test_a_compressed_mail_log_and_one_that_ends_in_its_middle(self):
        self.put_message(60, QueueID="4F8801")
        log = self.daemon.folder / "mail.log.gz"
        text = self.LOG.format("4F8801", "4F8802").encode()
        more = b"".join(b"Nov 26 09:00:04 mta1 postfix/qmgr[7]: %X: removed\n" % (number * 7919)
                        for number in range(100_000, 200_000))
        log.write_bytes(gzip.compress(text + more))
        words = ("alice@example.org", "--mail-log", str(log))
        self.assertRegex(self.say(*words), r" 4F8801 .* KiB  1 sent, 1 bounced\n")
        self.assertNotIn("middle", " ".join(self.history(*words)["warnings"]))
        log.write_bytes(gzip.compress(text + more)[:-5000])
        out = self.say(*words)
        self.assertRegex(out, r" 4F8801 .* KiB  1 sent, 1 bounced\n")
        wanted = "it ends in the middle of compressed data; what comes before that was read."
        self.assertIn(wanted, " ".join(out.split()))
        self.assertIn(wanted, " ".join(self.history(*words)["warnings"]))

    def test_a_mail_log_that_cannot_be_read_and_one_that_is_nonsense(self):
        self.put_message(60, QueueID="4F8801")
        log = self.daemon.folder / "mail.log"
        for name, why in ((log, "No such file"), (log.parent, "it is not a file"), ("/dev/zero", "it is not a file"),
                          ("a\x1b[1m", "a\\x1b[1m: No such file")):
            with self.subTest(name=name):
                self.assertIn(why, self.say("alice@example.org", "--mail-log", str(name), status=2))
        line = self.LOG.format("4F8801", "4F8802").splitlines()[3]
        other = line.replace("4F8801", "4F9999").encode() + b"\n"
        wanted = f"{log}: it has no line of Postfix, so what became of the messages is not known."
        for text, became in ((b"", None), (b"\0" * 5_000_000 + b"\n", None), (b"\xff]: : to=<\n" * 1000, None),
                             (line[:40].encode(), None), (line.encode(), None),  # without its end
                             (other.replace(b"postfix/smtp", b"sshd"), None), (other, None),
                             (b"x" * (3 << 20) + b"\n" + line.encode() + b"\n", 1)):
            with self.subTest(text=text[:80]):
                log.write_bytes(text)
                out = self.history("alice@example.org", "--mail-log", str(log))
                [found] = out["latest"]
                self.assertEqual(found["became"] and found["became"]["bounced"], became)
                self.assertEqual(wanted in out["warnings"], became is None and text != other)
        log.write_bytes(b"")
        words = ("--mail-log", str(log))
        self.assertIn(f"Note: {wanted}", " ".join(self.say("alice@example.org", *words).split()))
        self.assertNotIn(wanted, self.say("nobody@example.org", *words))  # nothing was looked for

    def test_of_a_large_mail_log_the_end_is_read(self):
        self.put_message(60, QueueID="4F8801")
        self.put_message(50, QueueID="4F8802")
        log = self.daemon.folder / "mail.log"
        line = "Nov 26 09:00:02 mta1 postfix/smtp[8]: {}: to=<a@example.net>, relay=none, status=sent (Ok)\n"
        with log.open("w") as file:
            file.write(line.format("4F8801"))
            file.writelines(line.format("4F0000") * 1000 for _ in range((64 << 20) // len(line) // 1000 + 1))
            file.write(line.format("4F8802"))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        out = self.say("alice@example.org", "--mail-log", str(log))
        self.assertRegex(out, r" 4F8802 .* KiB  sent\n")
        self.assertRegex(out, r" 4F8801 .* KiB  unknown\n")
        self.assertIn(f"only the last 64 MiB of {log} were read.", " ".join(out.split()))
        if not SANITIZED:
            after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            self.assertLess(after, max(before, 60 * 1024), "KiB")

    def test_a_hundred_thousand_messages_take_bounded_time_and_memory(self):
        self.daemon.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
            "INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, "
            "SASLUsername, Size, RecipientData) SELECT 'many.' || i, '4F1A', "
            "strftime('%s', 'now') - 3600 - i / 4, '10.0.' || (i / 200 % 200) || '.' || (i % 200), "
            "'u' || i || '@example.org', CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END, 3, "
            "'/<a@example.net>#0=1;/<b@example.net>#0=1;' FROM n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        start = time.monotonic()
        found = self.history("alice")
        took = time.monotonic() - start
        self.assertEqual([found[key] for key in ("messages", "recipients", "size_kib")],
                         [100_000, 200_000, 300_000])
        self.assertEqual((found["senders"]["found"], found["senders"]["more"]), (10_000, True))
        self.assertEqual((found["clients"]["found"], found["clients"]["more"]), (10_000, True))
        self.assertEqual(found["logins"]["found"], 1)
        self.assertIn("under more than 10000 sender names", self.say("alice").replace("\n", " "))
        self.assertIn("\nand more than 9990 more\n", self.say("alice"))
        if not SANITIZED:
            self.assertLess(took, 20)
            after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            self.assertLess(after, max(before, 100 * 1024), "KiB")

    def test_of_a_database_that_no_daemon_of_this_version_has_opened(self):
        self.put_message(60)
        self.daemon.stop()
        self.daemon.sql("DROP TABLE limits_events")
        self.assertEqual(self.figures("alice@example.org"), [1, 1, 2, 0])


class Extensions(Case):
    rules = policy() + quota(3, period=3600) + insert(
        "policy_group_members", PolicyGroupID=2, Member="@example.org")
    settings = {"options": {"server": {"recipient_delimiter": "+"}}}

    def test_extensions_of_an_own_address_are_one_name(self):
        self.send("anna+1@example.org", "a@example.net")
        self.send("Anna+2@example.org", "a@example.net")
        self.send("anna+3@elsewhere.example", "a@example.net")
        for name in ("anna@example.org", "anna+news@example.org"):
            self.wait_for([2, 2, 4, 0], name)
        self.assertEqual(self.names("sender", "anna@example.org"), {"anna@example.org": (2, 0)})
        self.assertEqual(self.figures("anna@elsewhere.example"), [0, 0, 0, 0])


if __name__ == "__main__":
    unittest.main()
