#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs inside the test's system. mailer.py ask N [SENDER]: asks the policy daemon about N messages and
prints its answers. mailer.py send N SENDER: sends N messages through Postfix and prints its answers
to RCPT. mailer.py flow FILE: sends messages, each from a different sender, until FILE is gone, and
prints their number and every answer other than 250."""

import itertools
import os
import smtplib
import socket
import sys
import time


def ask(number, sender):
    request = ("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
               "client_address=127.0.0.1\nclient_name=localhost\nhelo_name=mail.example.com\n"
               f"sender={sender}\nrecipient=bob@example.com\nsize=100\nsasl_username={sender}\n")
    with socket.create_connection(("127.0.0.1", 10031), timeout=20) as connection:
        answers = connection.makefile("r")
        for i in range(number):
            connection.sendall(f"{request}instance={os.getpid()}.{time.time()}.{i}\n\n".encode())
            print(answers.readline().strip())
            answers.readline()


def send(sender):
    with smtplib.SMTP("127.0.0.1", 25, local_hostname="mail.example.com", timeout=60) as smtp:
        try:
            smtp.sendmail(sender, "bob@example.com", "Subject: test\n\ntest\n")
        except smtplib.SMTPResponseException as error:
            return f"{error.smtp_code} {error.smtp_error.decode()}"
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients["bob@example.com"]
            return f"{code} {text.decode()}"
    return "250"


def flow(file):
    sent = 0
    for number in itertools.count():
        if not os.path.exists(file):
            break
        answer = send(f"user{number}@example.com")
        sent += 1
        if answer != "250":
            print(answer)
    print(sent)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "ask":
        ask(int(rest[0]), (rest[1:] or ["alice@example.com"])[0])
    elif what == "send":
        for _ in range(int(rest[0])):
            print(send(rest[1]))
    else:
        flow(rest[0])
