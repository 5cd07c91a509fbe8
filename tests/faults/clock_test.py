# SPDX-License-Identifier: AGPL-3.0-only
"""The clock jumps back an hour, forward a day, and stands still: limits never let more than twice
through, and never block longer than a period after it is right again."""

import sys
import unittest
from pathlib import Path

from faults_case import ALICE, FaultsTest, policy, quota

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))

from replay_test import Clock  # noqa: E402

HOUR, DAY = 3600, 86400
LIMIT, PERIOD = 10, 60
# The Perl daemon's way of counting lets one more pass, and twice as many within a period.
MOST = {"window": LIMIT, "decay": LIMIT + 1}


class ClockTest(FaultsTest):
    def both(self):
        for algorithm in MOST:
            with self.subTest(algorithm=algorithm):
                daemon = self.make_fast(policy() + quota(LIMIT, period=PERIOD), start=False,
                                        options={"Quotas": {"algorithm": algorithm}})
                clock = Clock(daemon.folder / "clock")
                daemon.environment.update(clock.environment())
                daemon.start()
                yield daemon, clock, MOST[algorithm]

    def passed(self, daemon, count=15):
        return self.ask_many(daemon, count).count("DUNNO")

    def assert_free_within_a_period(self, daemon, clock, now):
        """Though it is asked about all the time, others change rows, and it is restarted."""
        for second in range(now, now + PERIOD, 20):
            clock.set(second)
            self.passed(daemon, 2)
            daemon.sql("UPDATE quotas_tracking SET Counter = Counter WHERE 0;"
                       "UPDATE policies SET Description = 'again' WHERE ID = 6;")
        daemon.restart()
        clock.set(now + PERIOD + 1)
        self.assertGreaterEqual(self.passed(daemon), 1, "it blocks longer than a period")

    def test_it_jumps_back_an_hour(self):
        for daemon, clock, most in self.both():
            self.assertEqual(self.passed(daemon), most)
            clock.set(-HOUR)
            self.assertLessEqual(self.passed(daemon), most)
            self.assert_free_within_a_period(daemon, clock, -HOUR)

    def test_it_jumps_forward_a_day_and_is_right_again(self):
        for daemon, clock, most in self.both():
            self.assertEqual(self.passed(daemon), most)
            clock.set(DAY)
            self.assertLessEqual(self.passed(daemon), most)
            clock.set(20)
            self.assertEqual(self.passed(daemon), 0, "more than twice pass within a period")
            self.assert_free_within_a_period(daemon, clock, 20)

    def test_it_is_right_again_only_after_a_restart(self):
        for daemon, clock, most in self.both():
            clock.set(DAY)
            self.assertEqual(self.passed(daemon), most)
            daemon.stop()
            clock.set(0)
            daemon.start()
            self.assertEqual(self.passed(daemon), 0)
            self.assert_free_within_a_period(daemon, clock, 0)

    def test_it_stands_still(self):
        for daemon, clock, most in self.both():
            self.assertEqual(self.passed(daemon, 60), most)
            self.assertGreaterEqual(daemon.counter(ALICE), LIMIT)
            clock.set(PERIOD + 1)
            self.assertGreaterEqual(self.passed(daemon), 1)


if __name__ == "__main__":
    unittest.main()
