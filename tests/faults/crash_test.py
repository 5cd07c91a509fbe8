# SPDX-License-Identifier: AGPL-3.0-only
"""kill -9 at random moments under load: the sum of what was counted is never less than what was let
through, and no recipient is counted twice for Postfix's retry.

Ten times; a hundred times with FAULTS=full."""

import random
import threading
import time
import unittest

from faults_case import ATTRIBUTES, FULL, FaultsTest, format_request, policy, quota

KILLS = 100 if FULL else 10
CLIENTS = 8
SENDERS = 40
RECIPIENTS = 900


class Postfix(threading.Thread):
    """One smtpd: asks about a message, and about the same one again on a new connection where the
    one it asked on was lost, as often as it takes."""

    def __init__(self, daemon, number, distinct):
        super().__init__(daemon=True)
        self._daemon, self._number, self._distinct = daemon, number, distinct
        self.ended = threading.Event()
        self.passed, self.to, self.asked_again, self.wrong = {}, {}, 0, []

    def run(self):
        message, connection = 0, None
        while not self.ended.is_set():
            sender = f"s{random.randrange(SENDERS)}@example.org"
            recipient = ATTRIBUTES["recipient"]
            if self._distinct:
                recipient = f"r{random.randrange(RECIPIENTS)}@example.com"
            request = format_request({**ATTRIBUTES, "sender": sender, "recipient": recipient,
                                      "instance": f"{self._number}.{message}"})
            answer = None
            while answer is None:
                try:
                    connection = connection or self._daemon.connect()
                    connection.send(request)
                    answer = connection.answer()
                except OSError:
                    pass
                if answer is None:
                    if connection is not None:
                        connection.close()
                        connection = None
                        self.asked_again += 1
                    time.sleep(0.01)
            if answer != "DUNNO":
                self.wrong.append(answer)
            self.passed[sender] = self.passed.get(sender, 0) + 1
            self.to.setdefault(sender, set()).add(recipient)
            message += 1
        if connection is not None:
            connection.close()


class Crash(FaultsTest):
    def test_nothing_counted_is_lost_or_counted_twice(self):
        self.kill_under_load("MessageCount")

    def test_nor_is_a_message_that_counts_once(self):
        self.kill_under_load("Messages")

    def test_nor_is_a_distinct_recipient(self):
        self.kill_under_load("DistinctRecipients", distinct=True)

    def kill_under_load(self, kind, distinct=False):
        daemon = self.make_fast(policy() +
                                quota(1_000 if distinct else 1_000_000, kind, period=86400))
        clients = [Postfix(daemon, number, distinct) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.02, 0.4))
            daemon.kill()
            daemon.start()
        time.sleep(0.2)
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join(60)
            self.assertFalse(client.is_alive())
            self.assertEqual(client.wrong, [])
        for number in range(SENDERS):
            sender = f"s{number}@example.org"
            passed = sum(client.passed.get(sender, 0) for client in clients)
            if distinct:
                passed = len(set().union(*(client.to.get(sender, ()) for client in clients)))
            self.assertEqual(daemon.counter(f"Sender:{sender}"), passed, sender)
        self.assertEqual(daemon.sql("PRAGMA integrity_check;"), "ok\n")
        again = sum(client.asked_again for client in clients)
        self.assertGreater(again, KILLS // 2)
        messages = sum(sum(client.passed.values()) for client in clients)
        print(f"\n{messages} messages, {KILLS} kills, {again} connections lost: "
              "each is counted once")


if __name__ == "__main__":
    unittest.main()
