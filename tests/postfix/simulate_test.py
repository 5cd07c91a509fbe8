# SPDX-License-Identifier: AGPL-3.0-only
"""`simulate` on the log of a real Postfix with a content filter that hands mail back, as Carbonio's
does: it names exactly those mails that the daemon refuses when it runs with that limit."""

import json
import smtplib
import socketserver
import threading
import unittest

from daemon import Daemon, free_port
from postfix_instance import PostfixInstance

ANNA = "ADDR=198.51.100.7 LOGIN=anna@example.org"
WEB_MAIL = "ADDR=10.0.0.20"
OUTSIDE = "ADDR=203.0.113.9"
LIMIT = "10/h"
RECIPIENTS = 13 + 13 + 12 + 1 + 3


class Filter(socketserver.ThreadingTCPServer):
    """Port 10024 of Carbonio: takes mail and hands it to Postfix again, on another port."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, back_to):
        super().__init__(("127.0.0.1", 0), Session)
        self.back_to = back_to
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 filter ESMTP")
        sender, recipients = "", []
        while line := self.rfile.readline():
            word, _, rest = line.decode().strip().partition(" ")
            word = word.upper()
            if word == "MAIL":
                sender, recipients = rest[5:].split()[0].strip("<>"), []
            if word == "RCPT":
                recipients.append(rest[3:].split()[0].strip("<>"))
            if word == "DATA":
                self.say("354 go on")
                data = b""
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    data += line[1:] if line.startswith(b".") else line
                self.say(f"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 "
                         f"{self.hand_back(sender, recipients, data)}")
            elif word == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")

    def hand_back(self, sender, recipients, data):
        with smtplib.SMTP("127.0.0.1", self.server.back_to) as session:
            session.ehlo()
            session.mail(sender)
            for recipient in recipients:
                session.rcpt(recipient)
            return session.data(data)[1].decode()


class WithAFilter(PostfixInstance):
    """`back` is Carbonio's port 10025: it asks nobody, and filters no more."""

    def __init__(self, policy_service):
        super().__init__(policy_service)
        self.ports["back"] = free_port()
        self.filter = Filter(self.ports["back"])
        port = self.filter.server_address[1]
        with (self._conf / "main.cf").open("a") as file:
            file.write(f"content_filter = smtp:[127.0.0.1]:{port}\n"
                       "transport_maps = inline:{ bounce.test=gone:, slow.test=slow: }\n"
                       "default_process_limit = 20\n")
        with (self._conf / "master.cf").open("a") as file:
            file.write(f"127.0.0.1:{self.ports['back']} inet n - n - - smtpd\n"
                       "  -o syslog_name=postfix/back -o content_filter=\n"
                       "  -o smtpd_sender_restrictions= -o smtpd_end_of_data_restrictions=\n"
                       "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"
                       "gone unix - n n - - pipe user=nobody argv=/bin/sh -c {exit 67}\n"
                       "slow unix - n n - - pipe user=nobody argv=/bin/sh -c {exit 75}\n")

    def remove(self):
        self.filter.shutdown()
        self.filter.server_close()
        super().remove()


class Simulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.postfix = WithAFilter(f"inet:localhost:{cls.port}")
        cls.addClassCleanup(cls.postfix.remove)
        cls.postfix.start()
        cls.addClassCleanup(cls.postfix.stop)

    def daemon_with(self, *limit):
        daemon = Daemon(("Quotas",), port=self.port)
        self.addCleanup(daemon.remove)
        daemon.start()
        self.addCleanup(daemon.stop)
        daemon.sql("INSERT INTO policy_group_members (PolicyGroupID, Member) VALUES "
                   "(2, '@example.org');")
        if limit:
            daemon.command("send", *limit)
        return daemon

    def play(self):
        """The same mail each time; returns what was refused, as (sender, recipient)."""
        refused = set()

        def send(sender, *recipients, **more):
            sent = self.postfix.send(sender, recipients, **more)
            refused.update((sender, recipient) for recipient in sent.refused)

        for number in range(13):
            send("anna@example.org", f"a{number}@example.com", listener="submission", xclient=ANNA)
            send("outside@elsewhere.test", f"o{number}@example.org", xclient=OUTSIDE)
        for number in range(4):
            send("carl@example.org", *(f"c{number}-{to}@example.com" for to in range(3)),
                 xclient=WEB_MAIL)
        send("dora@example.org", "d@example.com", xclient=WEB_MAIL, size_bytes=20_000)
        send("emil@example.org", "gone@bounce.test", "e@slow.test", "e@example.com", xclient=WEB_MAIL)
        return refused

    def simulated(self, daemon, log):
        path = self.postfix.folder / "part.log"
        path.write_text(log)
        path.chmod(0o644)
        done = daemon.command("simulate", LIMIT, "--mails", "--json", str(path))
        return json.loads(done.stdout)

    def names(self, result):
        return {(mail["sender"], mail["recipient"]) for mail in result["mails"]}

    def played_log(self, recipients):
        """Once the filter has handed back what Postfix took, and emil was told what bounced."""
        self.postfix.wait_for_log("postfix/smtp[", "status=sent", count=recipients)
        self.postfix.wait_for_log("postfix/discard", "status=sent", count=recipients - 2 + 1)
        self.postfix.wait_for_log("to=<gone@bounce.test>", "status=bounced")
        self.postfix.wait_for_log("to=<e@slow.test>", "status=deferred")
        return self.postfix.log()

    def test_names_the_mails_that_the_daemon_refuses(self):
        self.postfix.forget_log()
        daemon = self.daemon_with()
        self.assertEqual(self.play(), set())
        free = self.played_log(RECIPIENTS)
        result = self.simulated(daemon, free)
        expected = self.names(result)
        self.assertEqual(result["messages"], 13 + 13 + 4 + 1 + 1, "none counts twice, no bounce")
        self.assertEqual(result["recipients"], RECIPIENTS)
        daemon.stop()

        self.postfix.forget_log()
        daemon = self.daemon_with(LIMIT)
        refused = self.play()
        self.assertEqual(len(refused), 5)
        self.assertEqual(expected, refused)
        # The log of the days with the limit says the same, since refused mail was wanted, too.
        limited = self.played_log(RECIPIENTS - 5)
        result = self.simulated(daemon, limited)
        self.assertEqual(self.names(result), refused)
        self.assertEqual(result["recipients"], RECIPIENTS)
        # `history` reads the same log.
        history = daemon.command("history", "emil@example.org", "--json", "--mail-log",
                                 str(self.postfix.folder / "part.log"))
        self.assertEqual([sent["became"] for sent in json.loads(history.stdout)["latest"]],
                         [{"sent": 1, "deferred": 1, "bounced": 1}])


if __name__ == "__main__":
    unittest.main()
