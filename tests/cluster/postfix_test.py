#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Three Postfix, each with its daemon, and one Redis: of more mail than a limit allows, sent over all
three at once by users who log in, exactly the limit passes."""

import random
import threading
import time
import unittest

from cluster_case import ClusterTest, eventually, free_port
from postfix_instance import PostfixInstance, send_on

DOMAINS = [f"d{number}.test" for number in range(3)]
USERS = [f"u{number}@{domain}" for domain in DOMAINS for number in range(4)]
ATTEMPTS = 3


class Mail:
    def __init__(self, sender, before, after, passed):
        self.sender, self.before, self.after, self.passed = sender, before, after, passed


class ThreePostfix(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.ports = [free_port() for _ in range(cls.HOSTS)]
        cls.postfix = []
        for port in cls.ports:
            instance = PostfixInstance(f"inet:localhost:{port}")
            cls.addClassCleanup(instance.remove)
            instance.start()
            cls.addClassCleanup(instance.stop)
            cls.postfix.append(instance)

    def start_hosts(self, limits):
        """As an admin does it: what is typed on the first host holds on all."""
        engine = self.make_engine()
        hosts = []
        for number, port in enumerate(self.ports):
            hosts.append(self.make_daemon(start=False, port=port, options={
                "cluster": {"url": engine.url, "node": f"mta{number + 1}"}}))
            hosts[-1].start()
        for daemon in hosts:
            self.wait_until_shared(daemon, len(hosts))
        for domain in DOMAINS:
            hosts[0].command("hook", "domain-created", domain)
        for words in limits:
            hosts[0].command("send", *words.split())
        version = "SELECT count(*), total(CounterLimit) FROM quotas_limits"
        for daemon in hosts[1:]:
            self.assertTrue(eventually(lambda: daemon.query(version) == hosts[0].query(version)))
        for daemon in hosts:
            self.wait_until_shared(daemon, len(hosts))
        return hosts

    def send_by_all(self, senders):
        """The mails of each host's lists of senders, a session for each list. A list may never end."""
        mails, failures = [], []

        def send(instance, list_of_senders):
            try:
                for sender in list_of_senders:
                    session = instance.connect("submission", f"ADDR=192.0.2.7 LOGIN={sender}")
                    before = time.monotonic()
                    sent = send_on(session, sender, "bob@example.com")
                    mails.append(Mail(sender, before, time.monotonic(), sent.passed))
                    session.quit()
                    if not sent.passed:
                        self.assertIn("Too many messages sent", str(sent.refused))
            except Exception as error:  # reported below, in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=send, args=(instance, one))
                   for instance, lists in zip(self.postfix, senders) for one in lists]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return mails

    def played(self, limits, senders):
        """The mails, where Redis answered each question in time: on a busy machine it may not, and
        then a host lets its share pass (see engine_faults_test.py), so it is done again."""
        for _ in range(ATTEMPTS):
            hosts = self.start_hosts(limits)
            mails = self.send_by_all(senders())
            # The status is written once a second.
            eventually(lambda: sum(self.cluster_status(d)["questions"] for d in hosts) > 0)
            time.sleep(1.1)
            alone = [self.cluster_status(daemon)["alone"] for daemon in hosts]
            if not any(alone):
                return mails
            for daemon in hosts:
                daemon.stop()
        self.fail(f"Redis was too slow {ATTEMPTS} times; the last time for {alone} questions")

    def passed(self, limits, senders):
        """How many passed, by user, by domain and in all."""
        users, domains, everyone = {}, {}, 0
        for mail in self.played(limits, senders):
            if mail.passed:
                domain = mail.sender.partition("@")[2]
                users[mail.sender] = users.get(mail.sender, 0) + 1
                domains[domain] = domains.get(domain, 0) + 1
                everyone += 1
        return users, domains, everyone

    def times_each(self, senders, times):
        """On each host two sessions, each with every sender this often, in an order of its own."""
        def lists():
            generator = random.Random(1)
            return [[generator.sample(senders * times, len(senders) * times) for _ in range(2)]
                    for _ in self.postfix]
        return lists

    def test_per_user(self):
        users, _, _ = self.passed(["10/h --per user"], self.times_each(USERS[:3], 3))
        self.assertEqual(users, dict.fromkeys(USERS[:3], 10))

    def test_per_domain(self):
        _, domains, _ = self.passed(["20/h --per domain"], self.times_each(USERS[:8], 1))
        self.assertEqual(domains, {"d0.test": 20, "d1.test": 20})

    def test_per_everyone(self):
        *_, everyone = self.passed(["40/h --per everyone"], self.times_each(USERS, 1))
        self.assertEqual(everyone, 40)

    def test_several_limits_at_once(self):
        """More is sent than each of them allows: all of a user's, domain's and everyone's."""
        limits = ["10/h --per user", "25/h --per domain", "60/h --per everyone"]
        users, domains, everyone = self.passed(limits, self.times_each(USERS, 2))
        self.assertEqual(everyone, 60)
        self.assertEqual([n for n in domains.values() if n > 25], [])
        self.assertEqual([n for n in users.values() if n > 10], [])

    def test_no_more_within_any_stretch_of_a_period(self):
        most, period = 12, 4
        ends = [0.0]

        def lists():
            ends[0] = time.monotonic() + 2.5 * period

            def endless():
                while time.monotonic() < ends[0]:
                    yield USERS[0]
                    time.sleep(0.02)
            return [[endless()] for _ in self.postfix]

        mails = sorted((m for m in self.played([f"{most}/{period}s"], lists) if m.passed),
                       key=lambda mail: mail.after)
        self.assertGreaterEqual(len(mails), 2 * most)
        for first in range(len(mails) - most):
            stretch = mails[first : first + most + 1]
            self.assertGreaterEqual(stretch[-1].after - min(m.before for m in stretch), period)


if __name__ == "__main__":
    unittest.main()
