// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/engine_clock.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace policyd {
namespace {

constexpr TimePoint kHost{Millis{1'000'000}};

EngineClock clock_at(const Millis& steady) {
  return EngineClock{{[] { return kHost; }, [&steady] { return EngineClock::Steady{steady}; }}};
}

TEST(EngineClock, IsTheHostsUntilAReplyCame) {
  Millis steady{5};
  EngineClock clock = clock_at(steady);
  EXPECT_EQ(clock.now(), kHost);
  clock.heard(kHost - Millis{7'000}, Millis{1});
  EXPECT_EQ(clock.now(), kHost - Millis{7'000});
  EXPECT_EQ(clock.ahead(), Millis{7'000});
  steady += Millis{20};
  EXPECT_EQ(clock.now(), kHost - Millis{6'980});
}

TEST(EngineClock, KeepsTheReplyThatTravelledLeast) {
  Millis steady{0};
  EngineClock clock = clock_at(steady);
  clock.heard(kHost, Millis{1});
  clock.heard(kHost - Millis{30}, Millis{30});
  EXPECT_EQ(clock.now(), kHost);
  clock.heard(kHost + Millis{3}, Millis{1});
  EXPECT_EQ(clock.now(), kHost + Millis{3});
  clock.heard(kHost - Millis{3'000}, Millis{1});  // it was set back
  EXPECT_EQ(clock.now(), kHost - Millis{3'000});
}

TEST(EngineClock, TellsOtherThreadsTheTime) {
  const Millis steady{0};
  EngineClock clock = clock_at(steady);
  std::thread writer{[&clock] {
    for (int i = 0; i < 1'000; ++i) clock.heard(kHost + Millis{i}, Millis{1});
  }};
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_GE(clock.now(), kHost);
    EXPECT_LT(clock.now(), kHost + Millis{1'000});
  }
  writer.join();
  EXPECT_EQ(clock.now(), kHost + Millis{999});
}

}  // namespace
}  // namespace policyd
