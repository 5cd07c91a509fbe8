# SPDX-License-Identifier: AGPL-3.0-only
"""Writes logs as Postfix 3.7 does on a Carbonio host: mail that is received with SASL or from a host,
passes a content filter (10024 and 10025) and is delivered; refusals; other programs between."""

import datetime

TEXT = ("Too many messages sent: the limit is 10 per hour. Please try again in 12 minutes.")


class MailLog:
    def __init__(self, days_ago=6, rfc3339=True, host="mail"):
        today = datetime.datetime.now(datetime.timezone.utc)
        self.time = today.replace(hour=8, minute=0, second=0, microsecond=0)
        self.wait(-86_400 * days_ago)
        self.rfc3339 = rfc3339
        self.host = host
        self.lines = []
        self.number = 0

    def wait(self, seconds):
        self.time += datetime.timedelta(seconds=seconds)
        return self

    def stamp(self):
        if self.rfc3339:
            return self.time.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
        return self.time.strftime("%b %e %H:%M:%S")

    def line(self, program, text):
        self.lines.append(f"{self.stamp()} {self.host} {program}[4711]: {text}")

    def queue_id(self):
        self.number += 1
        return f"{self.number + 0xA00000:X}"

    def received(self, sender, client, login, size, message_id, recipients):
        queue_id = self.queue_id()
        sasl = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
        self.line("postfix/smtpd", f"{queue_id}: client=pc[{client}]{sasl}")
        self.line("postfix/cleanup", f"{queue_id}: message-id=<{message_id}>")
        self.line("postfix/qmgr", f"{queue_id}: from=<{sender}>, size={size}, "
                  f"nrcpt={len(recipients)} (queue active)")
        return queue_id

    def mail(self, sender="anna@example.org", *recipients, client="10.0.0.9", login="", size=2000,
             filtered=False, status="sent (250 2.0.0 Ok)"):
        recipients = recipients or ("bob@example.com",)
        message_id = f"{self.number}@example.org"
        queue_id = self.received(sender, client, login, size, message_id, recipients)
        if filtered:
            again = self.received(sender, "127.0.0.1", "", size + 500, message_id, recipients)
            for to in recipients:
                self.line("postfix/smtp", f"{queue_id}: to=<{to}>, relay=127.0.0.1[127.0.0.1]:10024, "
                          "delay=0.3, delays=0.1/0/0/0.2, dsn=2.0.0, status=sent (250 2.0.0 from "
                          f"MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {again})")
            self.line("postfix/qmgr", f"{queue_id}: removed")
            queue_id = again
        for to in recipients:
            self.line("postfix/smtp", f"{queue_id}: to=<{to}>, relay=mx.example.com[192.0.2.25]:25, "
                      f"delay=0.5, delays=0.1/0/0.2/0.2, dsn=2.0.0, status={status}")
        self.line("postfix/qmgr", f"{queue_id}: removed")
        return self

    def refused(self, sender="anna@example.org", to="bob@example.com", client="10.0.0.9", login="",
                text=TEXT):
        sasl = f" sasl_method=PLAIN sasl_username={login}" if login else ""
        self.line("postfix/smtpd", f"NOQUEUE: reject: RCPT from pc[{client}]: 450 4.7.1 <{to}>: "
                  f"Recipient address rejected: {text}; from=<{sender}> to=<{to}> proto=ESMTP "
                  f"helo=<pc>{sasl}")
        return self

    def unknown(self, to, sender="anna@example.org", client="10.0.0.9", login=""):
        """A recipient whom Postfix refuses, because there is no such one."""
        sasl = f" sasl_method=PLAIN sasl_username={login}" if login else ""
        self.line("postfix/smtpd", f"NOQUEUE: reject: RCPT from pc[{client}]: 550 5.1.1 <{to}>: "
                  f"Recipient address rejected: User unknown in virtual mailbox table; "
                  f"from=<{sender}> to=<{to}> proto=ESMTP helo=<pc>{sasl}")
        return self

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def write(self, path):
        path.write_text(self.text())
        return path
