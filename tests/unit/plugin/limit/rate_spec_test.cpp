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

Rate recipients(std::int64_t amount) { return {Unit::message_recipients, amount, seconds{0}}; }

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
      {"100 messages/h", {{Unit::whole_messages, 100, hours{1}}}, "100 messages/h"},
      {"1message/10min", {{Unit::whole_messages, 1, minutes{10}}}, "1 message/10min"},
      {"50 recipients/message", {recipients(50)}, "50 recipients/message"},
      {"1Recipient/Message", {recipients(1)}, "1 recipient/message"},
      {"10000recipients/message", {recipients(10'000)}, "10000 recipients/message"},
      {"100 recipients/h", {messages(100, hours{1})}, "100/h"},  // as a number without a word
      {"25M/message", {{Unit::message_kib, 25 * 1024, seconds{0}}}, "25M/message"},
      {"500k/message", {{Unit::message_kib, 500, seconds{0}}}, "500KiB/message"},
      {"200 distinct/day", {{Unit::distinct_recipients, 200, hours{24}}}, "200 distinct/day"},
      {"1Distinct/10min", {{Unit::distinct_recipients, 1, minutes{10}}}, "1 distinct/10min"},
      {"200 recipients/message, 5/min",
       {recipients(200), messages(5, minutes{1})},
       "200 recipients/message,5/min"},
      {"1000 distinct/h,9/h",
       {messages(9, hours{1}), {Unit::distinct_recipients, 1000, hours{1}}},
       "9/h,1000 distinct/h"},
      {"100/h,25M/message,9 messages/h,50 recipients/message,5M/h",
       {recipients(50),
        {Unit::message_kib, 25 * 1024, seconds{0}},
        messages(100, hours{1}),
        kib(5 * 1024, hours{1}),
        {Unit::whole_messages, 9, hours{1}}},
       "50 recipients/message,25M/message,100/h,5M/h,9 messages/h"},
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
      {"1,000 messages/h", "'1,000 messages/h': write 1000 messages/h, without separators"},
      {"1 000 messages/h,20/min", "'1 000 messages/h': write 1000 messages/h"},
      {"2.000 distinct/day", "write 2000 distinct/day"},
      {"5k messages/h", "'5k messages/h': did you mean '5000 messages/h'?"},
      {"5K recipients/message", "did you mean '5000 recipients/message'?"},
      {"10X/h", "'X' is not a valid size"},
      {"1e3/h", "not a valid size"},
      {"0x10/h", "amount of 0"},  // whatever follows the 0
      {"0/h", "amount of 0"},
      {"0.5G/h", "the amount is not a whole number"},
      {"100/h,", "'100/h,': it ends in a comma"},
      {"100 Mails/h", "write '100/h', in which each recipient counts, or '100 messages/h'"},
      {"100 foo/h", "'foo' is not a valid size"},
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
      {"10/h,", "it ends in a comma"},
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
      {"50/message", "write 50 recipients/message, or a size such as 25M/message"},
      {"50 messages/message", "write 50 recipients/message"},
      {"10001 recipients/message", "at most 10000 recipients"},
      {"99999999999999999999 recipients/message", "at most 10000 recipients"},
      {"1048577G/message", "1048576G"},
      {"5 recipients/2message", "not a valid period"},
      {"5 recipients/messages", "not a valid period"},
      {"5  messages/h", "not a valid size"},
      {"5 M/h", "not a valid size"},
      {"5 mails/h", "write '5/h'"},
      {"0 messages/h", "amount of 0"},
      {"0 distinct/day", "amount of 0"},
      {"1001 distinct/day", "at most 1000 distinct recipients can be counted"},
      {"99999999999999999999 distinct/day", "at most 1000 distinct recipients"},
      {"5 distinct", "the period is missing"},
      {"5 different/day", "did you mean '5 distinct/day'?"},
      {"5/h,  6/day", "whole number"},
      {"5/h, ", "it ends in a comma"},
      {"5 distinct/message", "write 5 recipients/message"},
      {"5 distinct/day,6 distinct/day", "same period twice"},
      {"5 recipients/message,6 recipients/message", "same period twice"},
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

TEST(LimitSpec, ExplainsTheNotationOnlyWhereItIsWrong) {
  for (const char* text : {"2000 distinct/day", "0/h", "1/31day", "1048577G/h", "9 different/h"}) {
    EXPECT_EQ(parse_limit(text).error().message.find("AMOUNT/PERIOD"), std::string::npos) << text;
  }
}

TEST(LimitSpec, ReadsBackWhatItWrites) {
  std::mt19937 random{1};  // NOLINT: the same numbers each time
  const auto below = [&](std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>{1, n}(random);
  };
  for (int i = 0; i < 20'000; ++i) {
    Rate rate;
    rate.unit = static_cast<Unit>(i % static_cast<int>(kUnits));
    const std::int64_t most = rate.unit == Unit::message_recipients    ? kMaxMessageRecipients
                              : rate.unit == Unit::distinct_recipients ? kMaxDistinct
                              : is_size(rate.unit)                     ? kMaxKib
                                                                       : kMaxMessages;
    rate.amount = below(below(most));
    if (!is_of_each_message(rate.unit)) rate.period = seconds{below(below(kMaxPeriod.count()))};
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

TEST(LimitSpec, MayBeSeveralWords) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(limit_of_words(Words{"20/min", "200/h"}), "20/min,200/h");
  EXPECT_EQ(limit_of_words(Words{"100", "messages/h"}), "100 messages/h");
  EXPECT_EQ(limit_of_words(Words{"50", "recipients/message,9", "messages/h", "5M/h"}),
            "50 recipients/message,9 messages/h,5M/h");
  EXPECT_EQ(limit_of_words(Words{"200", "distinct/day", "100/h"}), "200 distinct/day,100/h");
  EXPECT_EQ(limit_of_words(Words{"100/h", "abc"}), "100/h,abc");
  EXPECT_EQ(limit_of_words(Words{"9/h", "5k", "messages/h"}), "9/h,5k messages/h");
  EXPECT_EQ(limit_of_words(Words{"200", "distinct/day,", "5/min"}), "200 distinct/day,5/min");
  EXPECT_EQ(limit_of_words(Words{}), "");
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
  EXPECT_EQ(rates_text(*parse_limit("50 recipients/message,25M/message,100/h")),
            "messages of up to 50 recipients, messages of up to 25 MiB and 100 messages an hour");
  EXPECT_EQ(rates_text(*parse_limit("1 message/h")),
            "1 message an hour, to however many recipients each");
  EXPECT_EQ(rates_text(*parse_limit("9 messages/h,5M/day")),
            "9 messages an hour, to however many recipients each, and 5 MiB a day");
  EXPECT_EQ(rates_text(*parse_limit("200 distinct/day,1 distinct/h")),
            "messages to 1 different recipient an hour and messages to 200 different recipients a "
            "day");
  EXPECT_EQ(period_text(seconds{0}), "message");
  EXPECT_EQ(period_text(seconds{60}), "60 seconds");
  EXPECT_EQ(period_text(hours{1}), "hour");
  EXPECT_EQ(period_text(seconds{90}), "90 seconds");
  EXPECT_EQ(period_text(minutes{10}), "10 minutes");
}

}  // namespace
}  // namespace limits
