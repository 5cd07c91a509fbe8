// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/log_stamp.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

namespace limits {
namespace {

using policyd::Millis;
using policyd::TimePoint;
using std::chrono::seconds;

class LogStamp : public testing::Test {
 protected:
  void SetUp() override {
    const char* zone = std::getenv("TZ");
    if (zone != nullptr) before_ = zone;
    set("Europe/Berlin");
  }
  void TearDown() override {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }
  static void set(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  static TimePoint utc(int year, unsigned month, unsigned day, int hour, int minute, int second) {
    using namespace std::chrono;
    return TimePoint{sys_days{year_month_day{std::chrono::year{year}, std::chrono::month{month},
                                             std::chrono::day{day}}} +
                     hours{hour} + minutes{minute} + seconds{second}};
  }
  static TimePoint now() { return utc(2027, 1, 2, 12, 0, 0); }
  static std::optional<TimePoint> parsed(const std::string& line, TimePoint end = now()) {
    const auto stamp = LogStamps{end}.parse(line);
    return stamp ? std::optional{stamp->time} : std::nullopt;
  }

 private:
  std::string before_;
};

TEST_F(LogStamp, ReadsBothForms) {
  EXPECT_EQ(parsed("2026-11-25T10:01:02.123456+01:00 mail x"),
            utc(2026, 11, 25, 9, 1, 2) + Millis{123});
  EXPECT_EQ(parsed("2026-11-25T10:01:02+01:00 mail x"), utc(2026, 11, 25, 9, 1, 2));
  EXPECT_EQ(parsed("2026-11-25T10:01:02Z mail x"), utc(2026, 11, 25, 10, 1, 2));
  EXPECT_EQ(parsed("2026-11-25T10:01:02.5-05:30 mail x"),
            utc(2026, 11, 25, 15, 31, 2) + Millis{500});
  EXPECT_EQ(parsed("Nov 25 10:01:02 mail x"), utc(2026, 11, 25, 9, 1, 2));
  EXPECT_EQ(parsed("Nov  5 10:01:02 mail x"), utc(2026, 11, 5, 9, 1, 2));
}

TEST_F(LogStamp, GuessesTheYear) {
  EXPECT_EQ(parsed("Dec 31 23:59:59 mail x"), utc(2026, 12, 31, 22, 59, 59));
  EXPECT_EQ(parsed("Jan  1 00:00:00 mail x"), utc(2026, 12, 31, 23, 0, 0));
  EXPECT_EQ(parsed("Jan  3 12:00:00 mail x"), utc(2027, 1, 3, 11, 0, 0));  // a clock that differs
  EXPECT_EQ(parsed("Jan  4 12:00:00 mail x"), utc(2026, 1, 4, 11, 0, 0));
  EXPECT_EQ(parsed("Feb 29 12:00:00 mail x"), utc(2024, 2, 29, 11, 0, 0));
  EXPECT_EQ(parsed("Dec 31 12:00:00 mail x", utc(2025, 12, 31, 23, 0, 0)),
            utc(2025, 12, 31, 11, 0, 0));
}

TEST_F(LogStamp, KnowsTheHourThatComesTwice) {
  // The C library takes one or the other, by what it was asked before.
  for (const char* before : {"Jul  1 12:00:00 m x", "Feb  1 12:00:00 m x"}) {
    EXPECT_TRUE(parsed(before));
    LogStamps stamps{now()};
    const auto at = [&](const char* line) { return stamps.parse(line)->time; };
    EXPECT_EQ(at("Oct 25 02:10:00 m x"), utc(2026, 10, 25, 0, 10, 0)) << before;
    EXPECT_EQ(at("Oct 25 02:59:00 m x"), utc(2026, 10, 25, 0, 59, 0));
    EXPECT_EQ(at("Oct 25 02:00:10 m x"), utc(2026, 10, 25, 1, 0, 10));
    EXPECT_EQ(at("Oct 25 02:30:00 m x"), utc(2026, 10, 25, 1, 30, 0));
    EXPECT_EQ(at("Oct 25 03:00:00 m x"), utc(2026, 10, 25, 2, 0, 0));
    EXPECT_EQ(at("Mar 29 03:00:00 m x"), utc(2026, 3, 29, 1, 0, 0));  // when summer begins
  }
}

TEST_F(LogStamp, RefusesWhatIsNone) {
  for (const char* line : {"",
                           "x",
                           "Nov 25",
                           "Nov 25 10:01:02",
                           "Nov 32 10:01:02 m x",
                           "Nov 25 24:01:02 m x",
                           "Nov 25 10:61:02 m x",
                           "nov 25 10:01:02 m x",
                           "ovD 25 10:01:02 m x",
                           "Feb 30 10:01:02 m x",
                           "Nov 25 10-01-02 m x",
                           "2026-11-25",
                           "2026-11-25T10:01:02",
                           "2026-11-25T10:01:02 ",
                           "2026-13-25T10:01:02Z m",
                           "2026-02-30T10:01:02Z m",
                           "2026-11-25T10:01:02+0100 m",
                           "2026-11-25T10:01:02+01:00",
                           "0026-11-25T10:01:02Z m",
                           "{\"MESSAGE\":\"x\"}",
                           "2026-11-25T10:01:02.999"}) {
    EXPECT_EQ(parsed(line), std::nullopt) << line;
  }
}

}  // namespace
}  // namespace limits
