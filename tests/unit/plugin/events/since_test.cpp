// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/since.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

namespace limits {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// 2026-11-26 09:30:00 in whatever time zone the test runs.
policyd::TimePoint at(int day, int hour, int minute) {
  std::tm time{};
  time.tm_year = 126;
  time.tm_mon = 10;
  time.tm_mday = day;
  time.tm_hour = hour;
  time.tm_min = minute;
  time.tm_isdst = -1;
  return policyd::TimePoint{std::chrono::seconds{std::mktime(&time)}};
}

TEST(Since, TakesTimesAsPeopleTypeThem) {
  const auto now = at(26, 9, 30);
  const struct {
    const char* text;
    policyd::TimePoint wanted;
  } cases[] = {
      {"09:00", at(26, 9, 0)},
      {"9:00", at(26, 9, 0)},
      {"23:00", at(25, 23, 0)},
      {"00:00:01", at(26, 0, 0) + std::chrono::seconds{1}},
      {"today", at(26, 0, 0)},
      {"yesterday", at(25, 0, 0)},
      {"2026-11-25", at(25, 0, 0)},
      {"2026-11-25 09:15", at(25, 9, 15)},
      {"2026-11-25T09:15:00", at(25, 9, 15)},
      {"2h", now - hours{2}},
      {"10min", now - minutes{10}},
      {"3day", now - hours{72}},
      {"31day", now - hours{24 * 31}},
      {"1000h", now - hours{1000}},
      {"3652day", now - hours{24 * 3652}},
      {"2026-11-26 09:30", now},
  };
  for (const auto& one : cases) {
    const auto time = parse_since(one.text, now);
    ASSERT_TRUE(time) << one.text;
    EXPECT_EQ(*time, one.wanted) << one.text;
  }
}

TEST(Since, RefusesWhatIsNoTimeAndTheFuture) {
  const auto now = at(26, 9, 30);
  for (const char* text : {"", "x", "25:00", "09:60", "2026-02-30", "2026-13-01", "2026-11-25 ",
                           "-1h", "h", "1h,2h", "1/h", "2h ago", "0h", "1message",
                           "99999999999999999999h", "11-25", "2026-11-25 25:00", "09:00\n"}) {
    const auto time = parse_since(text, now);
    ASSERT_FALSE(time) << text;
    EXPECT_TRUE(time.error().message.starts_with("not a valid time: '")) << time.error().message;
  }
  EXPECT_FALSE(parse_since(std::string(100'000, '9'), now));
  EXPECT_EQ(parse_since("2026-11-27", now).error().message,
            "the time '2026-11-27' is in the future");
}

TEST(Since, ReachesBackTenYears) {
  const auto now = at(26, 9, 30);
  for (const char* text : {"3653day", "600week", "9223372036854775807week"}) {
    const auto time = parse_since(text, now);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().message,
              std::string{"the time '"} + text + "' is more than 10 years ago");
  }
}

// Central Europe, where on 2026-10-25 each minute from 02:00 to 02:59 comes twice.
class SinceInSummerTime : public testing::Test {
 protected:
  SinceInSummerTime() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~SinceInSummerTime() override {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }

 private:
  const std::string before_ = std::getenv("TZ") == nullptr ? "" : std::getenv("TZ");
};

TEST_F(SinceInSummerTime, ATimeThatComesTwiceIsTheFirst) {
  using std::chrono::sys_days;
  using std::chrono::year;
  const policyd::TimePoint day{sys_days{year{2026} / 10 / 25}};   // UTC
  const policyd::TimePoint first = day + minutes{30};             // 02:30 of summer
  const policyd::TimePoint next = day + hours{25} + minutes{30};  // 02:30 of the day after
  const auto found = [](policyd::TimePoint now) {
    const auto time = parse_since("02:30", now);
    return time ? *time : policyd::TimePoint{};
  };
  EXPECT_EQ(found(first - minutes{1}), first - hours{24});
  for (auto now = first; now < next; now += minutes{5}) EXPECT_EQ(found(now), first);
  EXPECT_EQ(found(next), next);
  // mktime() remembers, so the other way round too.
  for (auto now = next - minutes{5}; now >= first; now -= minutes{5}) EXPECT_EQ(found(now), first);
  EXPECT_EQ(parse_since("2026-10-25 02:30", next).value(), first);
  EXPECT_EQ(parse_since("2026-07-01 02:30", next).value(),
            (policyd::TimePoint{sys_days{year{2026} / 7 / 1}} + minutes{30}));
  EXPECT_EQ(parse_since("2026-01-02 02:30", next).value(),
            (policyd::TimePoint{sys_days{year{2026} / 1 / 2}} + hours{1} + minutes{30}));
}

TEST(Since, PrintsTheDateOnlyOfOtherDays) {
  const auto now = at(26, 9, 30);
  EXPECT_EQ(short_time_text(at(26, 8, 5), now), "08:05");
  EXPECT_EQ(short_time_text(at(25, 23, 59), now), "11-25 23:59");
}

}  // namespace
}  // namespace limits
