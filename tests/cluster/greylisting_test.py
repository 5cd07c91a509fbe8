# SPDX-License-Identifier: AGPL-3.0-only
"""Greylisting on several MTAs: mail that one of them deferred passes at another after the delay, and
the lists of hosts are common; without the engine each MTA decides by its own tables. The daemons
have the rights of the example for Redis, which must be enough."""

import signal
import subprocess
import time
import unittest
from pathlib import Path

from cluster_case import ClusterTest, eventually, policy, shows
from daemon_case import insert, last
from redis_host import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600
LATEST_S = 2.0  # promised are 100 ms; the rest is for busy machines
NETWORK = "SenderIP:192.0.2.0/24"
ADDRESSES = "17:alice@example.org:bob@example.com"
TRIPLET = f"carbonio-limits:g:t:{NETWORK}:{ADDRESSES}"
DEFERRED, REJECTED = "451 4.7.1 later", "REJECT never"


def greylist(period, auth=8 * HOUR, unauth=HOUR, **lists):
    return policy() + insert("greylisting", PolicyID=last("policies"), Name="greylist",
                             UseGreylisting=1, GreylistPeriod=period, Track="SenderIP:/24",
                             GreylistAuthValidity=auth, GreylistUnAuthValidity=unauth, **lists)


class Greylisting(ClusterTest):
    HOSTS = 2

    def setUp(self):
        super().setUp()
        [user] = [line.replace(">MTA_PASSWORD", "nopass").split()
                  for line in (EXAMPLES / "redis.conf").read_text().splitlines()
                  if line.startswith("user ")]
        self.engine = self.make_engine(options=["--user", *user[1:]])

    def tearDown(self):
        self.assertEqual(self.engine.ask("ACL", "LOG"), "")

    def make_host(self, name, url, *arguments, **options):
        return super().make_host(name, url.replace("//", "//carbonio-limits@"), *arguments, **options)

    def make_hosts(self, engine, rules, count=None, **options):
        return super().make_hosts(engine, rules, count, Quotas={"enable": "0"}, Greylisting={
            "enable": "1", "defer_message": "later", "blacklist_message": "never"}, **options)

    def ask(self, daemon, sender="alice@example.org", **attributes):
        """Answered promptly, and once."""
        with daemon.connect() as connection:
            start = time.monotonic()
            answer = connection.ask(instance=f"i{time.monotonic_ns()}", sender=sender, **attributes)
            self.assertLess(time.monotonic() - start, LATEST_S)
            self.assert_silent(connection, 0.1)
            return answer

    def row(self, daemon, sender="alice@example.org"):
        return daemon.query("SELECT Tries, Count FROM greylisting_tracking"
                            f" WHERE Sender = '{sender}'")


class Triplets(Greylisting):
    def test_a_retry_by_another_mta_passes_after_the_delay(self):
        first, second, third = self.make_hosts(self.engine, greylist(2), 3)
        self.assertEqual(self.ask(first), DEFERRED)
        time.sleep(2.1)
        self.assertEqual(self.ask(second), "DUNNO")
        self.assertEqual(self.row(second), [(1, 1)])
        second.wait_for_log("action=pass", "reason=authenticated")
        self.assertEqual(self.ask(third), "DUNNO")
        self.assertEqual(self.row(first), [(1, 0)])

    def test_a_retry_that_comes_too_early_is_deferred_by_each(self):
        first, second = self.make_hosts(self.engine, greylist(HOUR))
        for daemon in (first, second, first, second):
            self.assertEqual(self.ask(daemon), DEFERRED)
        second.wait_for_log("action=defer", "reason=greylisted, tries=2")
        for sender in ("carol@example.org", ""):
            self.assertEqual(self.ask(second, sender), DEFERRED)
        self.assertEqual(len(self.engine.ask("KEYS", "carbonio-limits:g:*").splitlines()), 3)

    def test_it_expires_as_the_row_says(self):
        first, second = self.make_hosts(self.engine, greylist(240, auth=5000, unauth=1000))
        self.assertEqual(self.ask(first), DEFERRED)
        self.assertAlmostEqual(int(self.engine.ask("TTL", TRIPLET)), 1000, delta=100)
        self.engine.ask("SET", TRIPLET, str(int(time.time()) - 300), "KEEPTTL")
        self.assertEqual(self.ask(second), "DUNNO")
        self.assertAlmostEqual(int(self.engine.ask("TTL", TRIPLET)), 5000 + 5000 / 8, delta=100)
        self.engine.ask("DEL", TRIPLET)
        self.assertEqual(self.ask(second), "DUNNO")  # has passed here

    def test_one_that_has_expired_is_new(self):
        first, second = self.make_hosts(self.engine, greylist(1, unauth=2))
        self.assertEqual(self.ask(first), DEFERRED)
        self.assertTrue(eventually(lambda: self.engine.ask("EXISTS", TRIPLET) == "0"))
        self.assertEqual(self.ask(second), DEFERRED)
        self.assertEqual(self.row(second), [(1, 0)])

    def test_what_has_passed_is_not_asked_about(self):
        [daemon] = self.make_hosts(self.engine, greylist(0), 1)
        self.assertEqual([self.ask(daemon) for _ in range(2)], [DEFERRED, "DUNNO"])
        self.engine.ask("SET", TRIPLET, "nonsense")
        self.assertEqual(self.ask(daemon), "DUNNO")
        self.assertNotIn("triplets of Greylisting", daemon.log())


class Trouble(Greylisting):
    def test_the_engine_is_killed_between_the_tries(self):
        first, second = self.make_hosts(self.engine, greylist(2))
        self.assertEqual(self.ask(first), DEFERRED)
        self.engine.kill()
        time.sleep(2.1)
        self.assertEqual(self.ask(second), DEFERRED)
        self.assertEqual(self.ask(first), "DUNNO")
        time.sleep(2.1)
        self.assertEqual(self.ask(second), "DUNNO")
        self.assertEqual(self.row(second), [(1, 1)])
        self.engine.start()
        for daemon in (first, second):
            self.wait_until_shared(daemon, 2)
        self.assertEqual(self.ask(first, "carol@example.org"), DEFERRED)
        time.sleep(2.1)
        self.assertEqual(self.ask(second, "carol@example.org"), "DUNNO")

    @shows("Redis loses its data between two tries of a mail that Greylisting deferred")
    def test_the_engine_is_emptied_between_the_tries(self):
        first, second = self.make_hosts(self.engine, greylist(2))
        self.assertEqual(self.ask(first), DEFERRED)
        self.engine.ask("FLUSHALL")
        time.sleep(2.5)
        for daemon in (first, second):
            self.wait_until_shared(daemon, 2)
        self.assertEqual(self.ask(second), DEFERRED)
        self.assertEqual(self.ask(first), "DUNNO")
        self.assertEqual(self.ask(second), "DUNNO")  # the first one has told it

    def test_the_engine_stops_while_a_question_waits(self):
        first, second = self.make_hosts(self.engine, greylist(HOUR))
        self.assertEqual(self.ask(first), DEFERRED)
        time.sleep(1.1)
        self.engine.signal(signal.SIGSTOP)
        for count in (1, 2, 3):
            self.assertEqual(self.ask(second), DEFERRED)
            self.assertEqual(self.row(second), [(count, 0)])
        second.wait_for_log(f"not shared: no answer within {self.TIMEOUT} ms")
        self.engine.signal(signal.SIGCONT)
        # As soon as it is asked again, the time at which the other saw it holds.
        first_seen = "SELECT FirstSeen FROM greylisting_tracking"
        self.assertTrue(eventually(lambda: self.ask(second) == DEFERRED and
                                   second.query(first_seen) == first.query(first_seen)))

    def test_a_key_of_another_type(self):
        [daemon] = self.make_hosts(self.engine, greylist(0), 1)
        self.engine.ask("LPUSH", TRIPLET, "theirs")
        self.assertEqual([self.ask(daemon) for _ in range(3)], [DEFERRED, "DUNNO", "DUNNO"])
        [line] = daemon.wait_for_log("triplets of Greylisting are not shared")
        self.assertIn(f"the key '{TRIPLET}' is not one of ours; delete it", line)
        self.assertEqual(self.engine.ask("LRANGE", TRIPLET, "0", "-1"), "theirs")

    def test_garbage(self):
        [daemon] = self.make_hosts(self.engine, greylist(HOUR), 1)
        for value in ("", "nonsense", "9" * 400, "-1", str(int(time.time()) + HOUR)):
            self.engine.ask("SET", TRIPLET, value)
            self.assertEqual(self.ask(daemon), DEFERRED)
        self.assertEqual(len(daemon.wait_for_log("triplets of Greylisting are not shared")), 1)

    def test_the_engine_is_full(self):
        [daemon] = self.make_hosts(self.engine, greylist(0), 1)
        self.engine.ask("CONFIG", "SET", "maxmemory", "1")
        self.engine.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.assertEqual([self.ask(daemon) for _ in range(3)], [DEFERRED, "DUNNO", "DUNNO"])


class Lists(Greylisting):
    WHITE = dict(UseAutoWhitelist=1, AutoWhitelistPeriod=HOUR, AutoWhitelistCount=2)
    BLACK = dict(UseAutoBlacklist=1, AutoBlacklistPeriod=HOUR, AutoBlacklistCount=2)

    def listed(self, daemon, color):
        return daemon.query(f"SELECT TrackKey, Comment FROM greylisting_auto{color}list")

    def test_who_retries_at_any_mta_is_whitelisted_at_all(self):
        first, second = self.make_hosts(self.engine, greylist(0, **self.WHITE))
        # One mail passes at each.
        self.assertEqual(self.ask(first, "a@example.org"), DEFERRED)
        self.assertEqual(self.ask(second, "a@example.org"), "DUNNO")
        self.assertEqual(self.ask(second, "b@example.org"), DEFERRED)
        self.assertEqual(self.listed(first, "white"), [])
        self.assertEqual(self.ask(first, "b@example.org"), "DUNNO")
        self.assertEqual(self.listed(first, "white"),
                         [(NETWORK, "Auto-whitelisted: Count/Required = 2/2")])
        self.assertEqual(self.ask(second, "c@example.org"), "DUNNO")
        second.wait_for_log("from=c@example.org", "reason=auto-whitelisted")
        self.assertEqual(self.listed(second, "white"),
                         [(NETWORK, "Auto-whitelisted by another MTA of the cluster")])
        self.assertEqual(self.ask(second, "d@example.org", client_address="198.51.100.1"), DEFERRED)

    def test_who_never_retries_is_blacklisted_at_all(self):
        first, second = self.make_hosts(self.engine, greylist(0, **self.BLACK))
        self.assertEqual(self.ask(first, "a@example.org"), DEFERRED)
        self.assertEqual(self.ask(second, "b@example.org"), DEFERRED)
        self.assertEqual(self.ask(first, "c@example.org"), REJECTED)
        self.assertEqual(self.ask(second, "d@example.org"), REJECTED)
        self.assertEqual(self.listed(second, "black"),
                         [(NETWORK, "Auto-blacklisted by another MTA of the cluster")])

    def test_a_retry_at_another_mta_is_one(self):
        """Each mail is deferred by the first and passes at the second."""
        first, second = self.make_hosts(self.engine, greylist(0, **self.BLACK))
        for sender in ("a@example.org", "b@example.org", "c@example.org", "d@example.org"):
            self.assertEqual(self.ask(first, sender), DEFERRED)
            self.assertEqual(self.ask(second, sender), "DUNNO")

    def test_a_host_is_taken_off_a_list_as_the_readme_says(self):
        hosts = self.make_hosts(self.engine, greylist(0, **self.BLACK))
        for sender in ("a@example.org", "b@example.org"):
            self.assertEqual(self.ask(hosts[0], sender), DEFERRED)
        for daemon in hosts:
            self.assertEqual(self.ask(daemon, "c@example.org"), REJECTED)
        [command] = [line for line in (ROOT / "README.md").read_text().splitlines()
                     if line.startswith("redis-cli --askpass DEL")]
        self.engine.ask("CONFIG", "SET", "requirepass", "secret")
        done = subprocess.run(command.replace("redis-cli", f"redis-cli -p {self.engine.port}"),
                              shell=True, input="secret\n", capture_output=True, text=True)
        self.assertEqual(done.stdout.split()[-1:], ["2"], done)
        self.engine.ask("--no-auth-warning", "-a", "secret", "CONFIG", "SET", "requirepass", "")
        for daemon in hosts:
            daemon.sql(f"DELETE FROM greylisting_autoblacklist WHERE TrackKey = '{NETWORK}';")
        self.assertEqual([self.ask(daemon, "d@example.org") for daemon in hosts],
                         [DEFERRED, "DUNNO"])


if __name__ == "__main__":
    unittest.main()
