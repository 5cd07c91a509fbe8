// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/signals.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace limits {
namespace {

TEST(Signals, AreReadBackFromTheNamesOfTheirPolicies) {
  for (const char* name : {"carbonio-limits signal networks 5 then notify",
                           "carbonio-limits signal senders 1000000 then notify,block:1h,lock",
                           "carbonio-limits signal rate 100 x5 then block:1h",
                           "carbonio-limits signal night 50 22:00-06:00 then hold:1h",
                           "carbonio-limits signal countries 3 then block:1h",
                           "carbonio-limits signal bounces 20 then block:1h"}) {
    const auto signal = parse_signal(name);
    ASSERT_TRUE(signal) << name;
    EXPECT_EQ(policy_name_of(*signal), name);
  }
  const auto night = parse_signal("carbonio-limits signal night 50 23:30-05:15 then lock");
  ASSERT_TRUE(night);
  EXPECT_EQ(night->from, 23 * 60 + 30);
  EXPECT_EQ(night->to, 5 * 60 + 15);
}

TEST(Signals, AreNoOtherNames) {
  for (const char* rest : {"",
                           "networks",
                           "networks 5",
                           "networks 5 then",
                           "networks 5 then x",
                           "networks 0 then lock",
                           "networks 1000001 then lock",
                           "networks x then lock",
                           "networks 5 6 then lock",
                           "rate 5 then lock",
                           "rate 5 x0 then lock",
                           "rate 5 x1001 then lock",
                           "rate 5 7 then lock",
                           "night 5 then lock",
                           "night 5 22:00 then lock",
                           "night 5 22:00-22:00 then lock",
                           "night 5 25:00-06:00 then lock",
                           "night 5 22:0-06:00 then lock",
                           "Networks 5 then lock",
                           "networks  5 then lock",
                           "bounces 5 x5 then lock",
                           "networks 5 then lock x"}) {
    EXPECT_FALSE(parse_signal(std::string{"carbonio-limits signal "} + rest)) << rest;
  }
  EXPECT_FALSE(parse_signal("carbonio-limits block anna"));
}

// Central Europe, where summer time begins on 2026-03-29 at 02:00 and ends on 2026-10-25 at 03:00.
class Night : public testing::Test {
 protected:
  Night() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~Night() override {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }
  // Hours and minutes of UTC.
  static policyd::TimePoint utc(std::chrono::sys_days day, int hour, int minute) {
    return day + std::chrono::hours{hour} + std::chrono::minutes{minute};
  }

 private:
  const std::string before_ = std::getenv("TZ") == nullptr ? "" : std::getenv("TZ");
};

TEST_F(Night, BeginsByTheClockOnTheWall) {
  using namespace std::chrono;
  constexpr sys_days kWinter = year{2026} / 1 / 15;
  constexpr sys_days kSpring = year{2026} / 3 / 29;
  constexpr sys_days kAutumn = year{2026} / 10 / 25;
  const auto night = parse_signal("carbonio-limits signal night 50 22:00-06:00 then lock");
  ASSERT_TRUE(night);
  EXPECT_EQ(night_began(*night, utc(kWinter, 20, 59)), std::nullopt);
  EXPECT_EQ(night_began(*night, utc(kWinter, 21, 0) + seconds{7}), utc(kWinter, 21, 0));
  EXPECT_EQ(night_began(*night, utc(kWinter, 4, 59)), utc(kWinter - days{1}, 21, 0));
  EXPECT_EQ(night_began(*night, utc(kWinter, 5, 0)), std::nullopt);
  EXPECT_EQ(night_began(*night, utc(kSpring, 3, 30)), utc(kSpring - days{1}, 21, 0));
  EXPECT_EQ(night_began(*night, utc(kAutumn, 4, 30)), utc(kAutumn - days{1}, 20, 0));
  const auto gone = parse_signal("carbonio-limits signal night 50 02:30-06:00 then lock");
  ASSERT_TRUE(gone);
  EXPECT_EQ(night_began(*gone, utc(kSpring, 1, 10)), utc(kSpring, 1, 10)) << "02:30 does not exist";
  EXPECT_EQ(night_began(*gone, utc(kSpring, 2, 0)), utc(kSpring, 1, 30));
}

}  // namespace
}  // namespace limits
