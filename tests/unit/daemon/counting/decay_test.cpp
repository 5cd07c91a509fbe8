// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/decay.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace policyd {
namespace {

constexpr double kStored = 1'800'000'000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct DecayCase {
  const char* name;
  double counter;
  double elapsed;
  double period;
  double left;
};

TEST(Decay, MeltsEvenlyOverThePeriod) {
  const double nan = std::nan("");
  for (const DecayCase& c : {
           DecayCase{"at once", 10, 0, 60, 10},
           DecayCase{"a quarter", 10, 15, 60, 7.5},
           DecayCase{"a fraction of a second", 10, 0.75, 60, 9.875},
           DecayCase{"almost all", 60, 59, 60, 1},
           DecayCase{"a period", 10, 60, 60, 0},
           DecayCase{"more", 10, 60.001, 60, 0},
           DecayCase{"much more", 10, 1e9, 60, 0},
           DecayCase{"stored in the future", 10, -5, 60, 10},
           DecayCase{"nothing", 0, 10, 60, 0},
           DecayCase{"no period, at once", 10, 0, 0, 10},
           DecayCase{"no period, later", 10, 1, 0, 0},
           DecayCase{"negative period", 10, 1, -60, 0},
           DecayCase{"a counter that is no number", nan, 1, 60, 0},
           DecayCase{"an infinite counter", kInfinity, 1, 60, 0},
           DecayCase{"a time that is no number", 10, nan, 60, 0},
       }) {
    EXPECT_NEAR(decayed(c.counter, kStored, kStored + c.elapsed, c.period), c.left, 1e-9) << c.name;
  }
}

TEST(Decay, RefusesOnlyBeyondTheLimit) {
  EXPECT_FALSE(decay_exceeded(9, 10));
  EXPECT_FALSE(decay_exceeded(10, 10));
  EXPECT_TRUE(decay_exceeded(10.0001, 10));
}

int let_through(double& counter, double& stored, double now, int asked, double limit) {
  int passed = 0;
  for (int i = 0; i < asked; ++i) {
    const double current = decayed(counter, stored, now, 3600);
    if (decay_exceeded(current, limit)) continue;
    counter = current + 1;
    stored = now;
    ++passed;
  }
  return passed;
}

TEST(Decay, LetsElevenThroughAtOnceWithALimitOfTen) {
  double counter = 0;
  double stored = kStored;
  EXPECT_EQ(let_through(counter, stored, kStored, 50, 10), 11);
}

TEST(Decay, LetsNoMoreThanTwentyOneThroughWithinAPeriodWithALimitOfTen) {
  double counter = 0;
  double stored = kStored;
  int passed = 0;
  for (int s = 0; s < 3600; ++s) passed += let_through(counter, stored, kStored + s, 50, 10);
  EXPECT_GE(passed, 20);
  EXPECT_LE(passed, 21);
}

TEST(Decay, SaysWhenItIsNoLongerExceeded) {
  EXPECT_EQ(decay_free_at_s(12, kStored, 3600, 9), kStored + 900);
  EXPECT_EQ(decay_free_at_s(10, kStored, 3600, 10), kStored);
  EXPECT_EQ(decay_free_at_s(10, kStored, 3600, 0), kStored + 3600);
  EXPECT_EQ(decay_free_at_s(10, kStored, 3600, -1), std::nullopt);
  EXPECT_EQ(decay_free_at_s(10, kStored, 3600, std::nan("")), std::nullopt);
  EXPECT_EQ(decay_free_at_s(kInfinity, kStored, 3600, 10), kStored);
}

TEST(Decay, IsExceededJustBeforeTheTimeItSays) {
  const auto when = decay_free_at_s(11, kStored, 3600, 10);
  ASSERT_TRUE(when);
  EXPECT_TRUE(decay_exceeded(decayed(11, kStored, *when - 0.01, 3600), 10));
  EXPECT_FALSE(decay_exceeded(decayed(11, kStored, *when + 0.01, 3600), 10));
}

TEST(Decay, StoresAHairMoreThanTheSumAsThePerlDaemonDoes) {
  // 1.888... is what three counts leave; long after, one more is counted.
  const double counter = 1.3 * (1 - 19.0 / 60) + 1;
  EXPECT_GT(decay_stored(counter, 0, 1), 1.0);
  EXPECT_LT(decay_stored(counter, 0, 1), 1.0 + 1e-12);
  EXPECT_EQ(decay_stored(0, 0, 1), 1.0);
  EXPECT_EQ(decay_stored(5, 5, 1), 6.0);
}

}  // namespace
}  // namespace policyd
