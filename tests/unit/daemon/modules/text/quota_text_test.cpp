// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/text/quota_text.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

using std::chrono::seconds;

Quota hourly(std::string data) {
  Quota quota;
  quota.period_s = 3600;
  quota.data = std::move(data);
  return quota;
}

std::string answer(std::string data, double used = 100, seconds wait = seconds{700}) {
  return quota_answer(hourly(std::move(data)), {4, LimitType::message_count, 100}, used, wait);
}

TEST(QuotaText, ReplacesPlaceholders) {
  EXPECT_EQ(answer("You sent {used} of {limit} mails per {period}; try again in {retry_after}"),
            "You sent 100 of 100 mails per hour; try again in 12 minutes");
  EXPECT_EQ(answer("{limit}{limit}"), "100100");
}

TEST(QuotaText, KeepsOtherBraces) {
  for (const char* text : {"plain", "{", "}", "{}", "{unknown} {", "{Used}", "{ used }", "{{x}}",
                           "{retry_after", "{retry_after_}", "a } b { c"}) {
    EXPECT_EQ(answer(text), text);
  }
  EXPECT_EQ(answer("{{used}}"), "{100}");
  EXPECT_EQ(answer("{used{limit}"), "{used100");
}

TEST(QuotaText, IsBoundedForAnyData) {
  std::string data;
  for (int i = 0; i < 100'000; ++i) data += "{retry_after}";
  EXPECT_LT(answer(data).size(), 10'000U);
}

TEST(QuotaText, UsesCBPolicyDsTextsForEmptyData) {
  EXPECT_EQ(quota_answer(hourly(""), {4, LimitType::message_count, 1}),
            "Policy rejection; Message count quota exceeded");
  EXPECT_EQ(quota_answer(hourly(""), {4, LimitType::message_cumulative_size, 1}),
            "Policy rejection; Cumulative message size quota exceeded");
  EXPECT_FALSE(has_placeholders(hourly("later")));
  EXPECT_TRUE(has_placeholders(hourly("in {retry_after}")));
}

TEST(QuotaText, PrintsAmountsInTheUnitsOfTheLimit) {
  struct Row {
    LimitType type;
    double amount;
    const char* text;
  };
  constexpr auto kCount = LimitType::message_count;
  constexpr auto kSize = LimitType::message_cumulative_size;
  for (const Row& row :
       {Row{kCount, 0, "0"}, Row{kCount, 10.99, "10"}, Row{kCount, 2e6, "2000000"},
        Row{kSize, 0, "0 KiB"}, Row{kSize, 1023, "1023 KiB"}, Row{kSize, 1024, "1 MiB"},
        Row{kSize, 8000, "7.8 MiB"}, Row{kSize, 51200, "50 MiB"},
        Row{kSize, 1024 * 1024 - 1, "1023.9 MiB"}, Row{kSize, 1024 * 1024, "1 GiB"},
        Row{kSize, 1.5 * 1024 * 1024, "1.5 GiB"}}) {
    EXPECT_EQ(amount_in_words(row.type, row.amount), row.text);
  }
}

TEST(QuotaText, PrintsPeriodsInTheLargestUnitThatFits) {
  struct Row {
    int period_s;
    const char* text;
  };
  for (const Row& row : {Row{1, "second"}, Row{10, "10 seconds"}, Row{60, "minute"},
                         Row{90, "90 seconds"}, Row{600, "10 minutes"}, Row{3600, "hour"},
                         Row{5400, "90 minutes"}, Row{86400, "day"}, Row{7 * 86400, "7 days"}}) {
    EXPECT_EQ(period_in_words(seconds{row.period_s}), row.text);
  }
}

TEST(QuotaText, RoundsWaitsUpToAtLeastASecond) {
  struct Row {
    int wait_ms;
    const char* text;
  };
  for (const Row& row :
       {Row{-5, "1 second"}, Row{0, "1 second"}, Row{1, "1 second"}, Row{1001, "2 seconds"},
        Row{60'000, "1 minute"}, Row{61'000, "61 seconds"}, Row{119'999, "2 minutes"},
        Row{120'001, "3 minutes"}, Row{700'000, "12 minutes"}, Row{3'600'000, "1 hour"},
        Row{3'600'001, "61 minutes"}, Row{7'200'000, "2 hours"}, Row{86'400'000, "1 day"},
        Row{100'000'000, "28 hours"}, Row{200'000'000, "3 days"}}) {
    EXPECT_EQ(wait_in_words(Millis{row.wait_ms}), row.text);
  }
}

}  // namespace
}  // namespace policyd
