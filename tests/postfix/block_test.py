#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`block` with a real Postfix: a login is refused at RCPT with 5xx and nobody else is; what it has in
the queue is held, also what came under other names, and delivered or deleted afterwards."""

import os
import re
import shlex
import subprocess
import time
import unittest

from postfix_case import PostfixTest
from postfix_instance import PATH

LOGIN = "ADDR=198.51.100.7 LOGIN={}"
CARL = LOGIN.format("carl@example.org")
BOB = LOGIN.format("bob@example.org")


class Block(PostfixTest):
    def say(self, *words, status=0, typed=""):
        done = subprocess.run(
            [self.daemon.programs / "carbonio-limits", *words], input=typed, text=True, timeout=120,
            capture_output=True,
            env={**os.environ, "PATH": PATH, "ZEXTRAS_HOME": str(self.daemon.folder),
                 "MAIL_CONFIG": str(self.postfix.folder / "conf")})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def queue(self):
        """Sender -> names of the queues that its messages are in."""
        out = {}
        for line in self.postfix_program("postqueue", "-j").splitlines():
            sender = re.search(r'"sender": "([^"]*)"', line)[1]
            out.setdefault(sender, []).append(re.search(r'"queue_name": "([^"]*)"', line)[1])
        return out

    def wait_for_queue(self, wanted):
        deadline = time.monotonic() + 60
        while (found := self.queue()) != wanted:
            if time.monotonic() > deadline:
                self.assertEqual(found, wanted)
            time.sleep(0.1)

    def test_a_login_is_refused_at_rcpt_and_nobody_else(self):
        for listener in ("smtp", "submission"):
            session = self.postfix.connect(listener, CARL)  # it has logged in before
            said = self.say("block", "carl@example.org")
            self.assertEqual(session.mail("x@example.net")[0], 250)
            code, text = session.rcpt("someone@example.com")
            self.assertEqual((code, text[:5]), (554, b"5.7.1"))
            self.assertIn(b"Sending is blocked for this account", text)
            session.close()
            for sender in ("carl@example.org", "anything@example.net"):
                refused = self.send(sender, ["a@example.com", "b@example.com"], listener=listener,
                                    xclient=CARL).refused
                self.assertEqual(len(refused), 2)
                self.assertTrue(all(each.startswith("554 5.7.1 ") for each in refused.values()))
            self.assertTrue(self.send("bob@example.org", listener=listener, xclient=BOB).passed)
            self.assertTrue(self.send("x@example.net", "carl@example.org", listener=listener,
                                      xclient="ADDR=203.0.113.9").passed)
            [line] = re.findall(r"'(carbonio-limits unblock [^']*)'", said)
            self.say(*shlex.split(line)[1:])
            self.assertTrue(self.send("carl@example.org", listener=listener, xclient=CARL).passed)

    def test_its_mail_in_the_queue_is_held_and_released_or_deleted(self):
        self.addCleanup(self.deliver, True)
        self.addCleanup(self.postfix_program, "postsuper", "-d", "ALL")
        for end, typed, left in (("--release", "", {}), ("--delete", "2\n", {})):
            with self.subTest(end):
                self.deliver(False)
                for sender in ("carl@example.org", "spam@example.net"):
                    self.assertTrue(self.send(sender, xclient=CARL).passed)
                for _ in range(2):
                    self.assertTrue(self.send("bob@example.org", xclient=BOB).passed)
                self.wait_for_queue({"carl@example.org": ["deferred"],
                                     "spam@example.net": ["deferred"],
                                     "bob@example.org": ["deferred"] * 2})
                said = self.say("block", "carl@example.org", "--hold")
                self.assertIn("Held in the queue of this host: 2 messages.", said)
                self.wait_for_queue({"carl@example.org": ["hold"], "spam@example.net": ["hold"],
                                     "bob@example.org": ["deferred"] * 2})
                self.assertIn("Still held in the queue of this host: 2 messages",
                              self.say("unblock", "carl@example.org"))
                if end == "--delete":
                    for wrong in ("", "y\n", "3\n", "2x\n"):
                        self.assertIn("nothing was deleted", self.say("unblock", "carl@example.org",
                                                                      end, status=2, typed=wrong))
                self.deliver(True)
                said = self.say("unblock", "carl@example.org", end, typed=typed)
                self.assertIn("2 messages of carl@example.org.\n", said)
                self.wait_for_queue(left)
                sent = [line for line in self.postfix.log().splitlines()
                        if "from=<spam@example.net>" in line and "queue active" in line]
                self.assertGreaterEqual(len(sent), 1)

    def test_nothing_in_the_queue(self):
        self.assertIn("None of its mail waits in the queue", self.say("block", "carl", "--hold"))
        self.assertIn("No mail of carl is held", self.say("unblock", "carl", "--release"))


if __name__ == "__main__":
    unittest.main()
