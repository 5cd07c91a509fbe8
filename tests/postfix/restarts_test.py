#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Mail flows through a real Postfix while the policy daemon's worker is killed, and while it is
restarted, again and again, three seconds apart (Postfix asks twice, a second apart): no mail is lost,
none is answered with 451, and each is counted once. FULL=1 does it twenty times, else three."""

import os
import signal
import threading
import time
import unittest
from pathlib import Path

from daemon import Daemon, free_port
from postfix_instance import PostfixInstance

TIMES = 20 if os.environ.get("FULL") else 3
APART_S = 3
SENDERS = ("alice@example.org", "carol@example.org")
LIMIT = """
INSERT INTO policies (Name, Priority, Description) VALUES ('all', 0, '');
INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (6, 'any', 'any');
INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data)
  VALUES (6, 'all', 'Sender:user@domain', 86400, 'DEFER', 'too many');
INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (3, 'MessageCount', 1000000);
"""


class Restarts(unittest.TestCase):
    def setUp(self):
        port = free_port()
        self.daemon = Daemon(options={"server": {"background": "yes"}}, port=port)
        self.addCleanup(self.daemon.remove)
        self.daemon.sql(LIMIT)
        self.daemon.command("service", "start")
        self.addCleanup(self.daemon.command, "service", "stop")
        self.postfix = PostfixInstance(f"inet:localhost:{port}")
        self.addCleanup(self.postfix.remove)
        self.postfix.start()
        self.addCleanup(self.postfix.stop)
        self.sent = {sender: [] for sender in SENDERS}
        self.stop = threading.Event()

    def supervisor(self):
        return int(self.daemon.pid_file.read_text())

    def worker(self):
        """Its pid, once there is one."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    stat = Path(f"/proc/{pid}/stat").read_text()
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                parent = int(stat.rpartition(")")[2].split()[1])
                if parent == self.supervisor() and b"--supervised" in line:
                    return int(pid)
            time.sleep(0.02)
        self.fail("the supervisor starts no worker")

    def flow(self, sender):
        while not self.stop.is_set():
            self.sent[sender].append(self.postfix.send(sender, "bob@example.com"))

    def while_mail_flows(self, disturb):
        threads = [threading.Thread(target=self.flow, args=(sender,)) for sender in SENDERS]
        for thread in threads:
            thread.start()
        try:
            for _ in range(TIMES):
                disturb()
                # Counted from when the new worker answers: two must not hit the same mail.
                self.daemon.ask(protocol_state="CONNECT")
                time.sleep(APART_S)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(120)
        total = sum(len(mails) for mails in self.sent.values())
        print(f"{total} mails during {TIMES} times", flush=True)
        self.assertGreater(total, TIMES)
        for sender, mails in self.sent.items():
            refused = [(mail.refused, mail.data) for mail in mails if not mail.passed]
            self.assertEqual(refused, [])
            self.assertEqual(self.daemon.counter(f"Sender:{sender}"), len(mails), sender)
        log = self.postfix.log()
        self.assertNotIn(" 451 ", log)
        self.assertNotIn("Connection refused", log)

    def test_kill_9_of_the_worker(self):
        supervisor = self.supervisor()
        self.while_mail_flows(lambda: os.kill(self.worker(), signal.SIGKILL))
        self.assertEqual(self.supervisor(), supervisor)

    def test_restart(self):
        supervisor = self.supervisor()
        workers = {self.worker()}

        def restart():
            self.daemon.command("service", "restart")
            workers.add(self.worker())

        self.while_mail_flows(restart)
        self.assertEqual(self.supervisor(), supervisor)
        self.assertEqual(len(workers), TIMES + 1)


if __name__ == "__main__":
    unittest.main()
