// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/rate_spec.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace limits {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Rate messages(std::int64_t amount, seconds period) { return {Unit::messages, amount, period}; }
Rate kib(std::int64_t amount, seconds period) { return {Unit::kib, amount, period}; }

struct Good {
  const char* text;
  std::vector<Rate> rates;
  const char* canonical;
};

TEST(LimitSpec, ReadsWhatPeopleWrite) {
  const std::vector<Good> table = {
      {"100/h", {messages(100, hours{1})}, "100/h"},
      {"10/min", {messages(10, minutes{1})}, "10/min"},
      {"10/60s", {messages(10, minutes{1})}, "10/min"},
      {"1/s", {messages(1, seconds{1})}, "1/s"},
      {"7/90s", {messages(7, seconds{90})}, "7/90s"},
      {"10/10min", {messages(10, minutes{10})}, "10/10min"},
      {"2000/day", {messages(2000, hours{24})}, "2000/day"},
      {"2000/D", {messages(2000, hours{24})}, "2000/day"},
      {"5/2Weeks", {messages(5, hours{24 * 14})}, "5/2week"},
      {"007/h", {messages(7, hours{1})}, "7/h"},
      {"50M/h", {kib(50 * 1024, hours{1})}, "50M/h"},
      {"50mb/hour", {kib(50 * 1024, hours{1})}, "50M/h"},
      {"1024k/day", {kib(1024, hours{24})}, "1M/day"},
      {"1500K/day", {kib(1500, hours{24})}, "1500K/day"},
      {"500KiB/day", {kib(500, hours{24})}, "500KiB/day"},
      {"2GiB/week", {kib(2 * 1024 * 1024, hours{24 * 7})}, "2G/week"},
      {"1000/day,20/min,200/h",
       {messages(20, minutes{1}), messages(200, hours{1}), messages(1000, hours{24})},
       "20/min,200/h,1000/day"},
      {"50M/h,100/h", {messages(100, hours{1}), kib(50 * 1024, hours{1})}, "100/h,50M/h"},
      {"1000000000/h", {messages(kMaxMessages, hours{1})}, "1000000000/h"},
      {"1048576G/h", {kib(kMaxKib, hours{1})}, "1048576G/h"},
      {"1/30day", {messages(1, kMaxPeriod)}, "1/30day"},
  };
  for (const Good& good : table) {
    const auto rates = parse_limit(good.text);
    ASSERT_TRUE(rates) << good.text << ": " << rates.error().message;
    EXPECT_EQ(*rates, good.rates) << good.text;
    EXPECT_EQ(format_limit(*rates), good.canonical) << good.text;
  }
}

TEST(LimitSpec, RefusesWithOneClearLine) {
  struct Bad {
    std::string text;
    const char* because;
  };
  const std::vector<Bad> table = {
      {"", "period is missing"},
      {"100", "period is missing"},
      {"ten/min", "whole number"},
      {"/h", "whole number"},
      {"-1/h", "whole number"},
      {"+1/h", "whole number"},
      {" 1/h", "whole number"},
      {"1.5/h", "the amount is not a whole number"},
      {"100/1.5h", "the period is not a whole number"},
      {"5k/day", "did you mean 5000/day? For a size of 5 KiB write 5KiB/day"},
      {"1023K/h", "did you mean 1023000/h?"},
      {"1,000/h", "'1,000/h': write 1000/h, without separators"},
      {"1.000/h", "write 1000/h"},
      {"1'000/h", "write 1000/h"},
      {"1 000/h", "write 1000/h"},
      {"20/min,1,000,000/day", "'1,000,000/day': write 1000000/day"},
      {"1,000/h,20/min", "'1,000/h': write 1000/h, without"},
      {"10,000", "write 10000"},
      {"10X/h", "'X' is not a valid size"},
      {"1e3/h", "not a valid size"},
      {"0x10/h", "amount of 0"},  // whatever follows the 0
      {"0/h", "amount of 0"},
      {"0M/h", "amount of 0"},
      {"10/0s", "at least 1 s"},
      {"10/0h", "at least 1 s"},
      {"10/", "has no unit"},
      {"10/60", "has no unit"},
      {"10/m", "not a valid period"},  // a minute or a month?
      {"10/month", "not a valid period"},
      {"10/h ", "not a valid period"},
      {"10/h/h", "not a valid period"},
      {"10T/h", "not a valid size"},
      {"10 /h", "not a valid size"},
      {"1000000001/h", "1000000000 messages"},
      {"99999999999999999999999/h", "1000000000 messages"},
      {"1048577G/h", "1048576G"},
      {"9223372036854775807G/h", "1048576G"},
      {"1/31day", "30 days"},
      {"1/99999999999999999999s", "30 days"},
      {"10/h,", "period is missing"},
      {",10/h", "period is missing"},
      {"10/h,,5/day", "period is missing"},
      {"10/h,20/60min", "same period twice"},
      {"1/s,1/2s,1/3s,1/4s,1/5s,1/6s,1/7s,1/8s,1/9s", "at most"},
      {"10/h\n", "\\x0a"},
      {"10/\x1b[2J", "\\x1b"},
      {std::string{"10/h\0", 5}, "\\x00"},
      {std::string(100'000, '9'), "..."},
      {"10/h'; DROP TABLE quotas; --", "not a valid period"},
      {"１0/h", "whole number"},
  };
  for (const Bad& bad : table) {
    const auto rates = parse_limit(bad.text);
    ASSERT_FALSE(rates) << bad.text;
    const std::string& message = rates.error().message;
    EXPECT_NE(message.find(bad.because), std::string::npos) << bad.text << " gave: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << bad.text;
    EXPECT_LT(message.size(), 300U) << bad.text;
  }
}

TEST(LimitSpec, ReadsBackWhatItWrites) {
  std::mt19937 random{1};  // NOLINT: the same numbers each time
  const auto below = [&](std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>{1, n}(random);
  };
  for (int i = 0; i < 20'000; ++i) {
    Rate rate;
    rate.unit = i % 2 == 0 ? Unit::messages : Unit::kib;
    rate.amount = below(below(rate.unit == Unit::messages ? kMaxMessages : kMaxKib));
    rate.period = seconds{below(below(kMaxPeriod.count()))};
    const auto read = parse_limit(format_rate(rate));
    ASSERT_TRUE(read) << format_rate(rate);
    EXPECT_EQ(*read, std::vector<Rate>{rate}) << format_rate(rate);
  }
}

TEST(LimitSpec, SurvivesRandomText) {
  std::mt19937 random{2};  // NOLINT: the same texts each time
  const std::string alphabet = "0123456789/,KMGhsmindayweek \n\xff\x01-";
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += alphabet[random() % alphabet.size()];
    if (const auto rates = parse_limit(text)) {
      const auto again = parse_limit(format_limit(*rates));
      ASSERT_TRUE(again) << text;
      EXPECT_EQ(*again, *rates) << text;
    }
  }
}

TEST(LimitSpec, FormatsUse) {
  EXPECT_EQ(format_used(8, messages(10, hours{1})), "8/10");
  EXPECT_EQ(format_used(0, kib(100, hours{1})), "0K/100K");
  EXPECT_EQ(format_used(29'000, kib(30 * 1024, hours{1})), "28.3M/30M");
  EXPECT_EQ(format_used(1024 * 1024, kib(2 * 1024 * 1024, hours{1})), "1.0G/2G");
}

TEST(LimitSpec, SaysIt) {
  EXPECT_EQ(rates_text(*parse_limit("1/s")), "1 message a second");
  EXPECT_EQ(rates_text(*parse_limit("100/h")), "100 messages an hour");
  EXPECT_EQ(rates_text(*parse_limit("100/h,50M/day")), "100 messages an hour and 50 MiB a day");
  EXPECT_EQ(rates_text(*parse_limit("20/10min,200/h,1000/2day")),
            "20 messages in 10 minutes, 200 messages an hour and 1000 messages in 2 days");
  EXPECT_EQ(period_text(seconds{60}), "60 seconds");
  EXPECT_EQ(period_text(hours{1}), "hour");
  EXPECT_EQ(period_text(seconds{90}), "90 seconds");
  EXPECT_EQ(period_text(minutes{10}), "10 minutes");
}

}  // namespace
}  // namespace limits
