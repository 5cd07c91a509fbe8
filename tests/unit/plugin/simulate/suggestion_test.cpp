// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/suggestion.hpp"

#include <gtest/gtest.h>

#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

std::vector<AccountPeaks> many(std::size_t count, std::uint64_t peak) {
  std::vector<AccountPeaks> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back({"Sender:u" + std::to_string(i) + "@example.org", {peak, peak * 3, peak * 9}, 1});
  }
  return out;
}

TEST(Suggestion, RoundsUpByAFifth) {
  EXPECT_EQ(round_figure(0, 10), 10);
  EXPECT_EQ(round_figure(10, 1), 12);
  EXPECT_EQ(round_figure(11, 1), 15);
  EXPECT_EQ(round_figure(100, 1), 120);
  EXPECT_EQ(round_figure(850, 1), 1200);
  EXPECT_EQ(round_figure(1'000'000'000'000, 1), 600'000'000);
}

TEST(Suggestion, LeavesOutWhatAShorterRateImplies) {
  EXPECT_EQ(line_of(suggest(many(10, 1), 0, Direction::send, Per::user).common),
            "send 10/min,30/h,100/day --everyone");
  std::vector<AccountPeaks> even = {{"Sender:a@example.org", {10, 600, 14'400}, 1}};
  EXPECT_EQ(line_of(suggest(even, 0, Direction::send, Per::user).common), "send 12/min --everyone");
}

TEST(Suggestion, GivesAtMostTheShareLimitsOfTheirOwn) {
  auto accounts = many(200, 10);
  accounts[0].peaks = {100, 1000, 5000};
  accounts[1].peaks = {50, 500, 900};
  for (const double share : {0.0, 0.005, 0.01, 1.0}) {
    const Suggestion made = suggest(accounts, share, Direction::send, Per::user);
    EXPECT_LE(static_cast<double>(made.own.size()), share * 200 + 0.5) << share;
  }
  const Suggestion one = suggest(accounts, 0.005, Direction::send, Per::user);
  ASSERT_EQ(one.own.size(), 1U);
  EXPECT_EQ(line_of(one.common), "send 60/min,600/h,1200/day --everyone");
  EXPECT_EQ(line_of(one.own[0].limit), "send 120/min,1200/h,6000/day --user u0@example.org");
  EXPECT_TRUE(suggest({}, 0.5, Direction::send, Per::user).own.empty());
}

TEST(Suggestion, NamesWhatAnOptionCanName) {
  auto accounts = many(9, 1);
  accounts.push_back({"Sender:<>", {100, 1000, 9000}, 1});
  EXPECT_EQ(suggest(accounts, 0.1, Direction::send, Per::user).not_nameable.size(), 1U);
  accounts.back().key = "SASLUsername:scanner";
  const Suggestion login = suggest(accounts, 0.1, Direction::send, Per::account);
  ASSERT_EQ(login.own.size(), 1U);
  EXPECT_TRUE(line_of(login.own[0].limit).ends_with(" --login scanner"));
  for (const char* key : {"SASLUsername:$scanner", "SASLUsername:-"}) {
    accounts.back().key = key;
    const Suggestion other = suggest(accounts, 0.1, Direction::send, Per::account);
    EXPECT_TRUE(other.own.empty()) << key;
    EXPECT_EQ(other.not_nameable.size(), 1U) << key;
  }
}

TEST(Suggestion, KnowsWhatADayHolds) {
  const auto window = [](const std::vector<Rate>& rates) {
    return most_in_a_day(rates, policyd::Algorithm::window);
  };
  const auto decay = [](const std::vector<Rate>& rates) {
    return most_in_a_day(rates, policyd::Algorithm::decay);
  };
  EXPECT_EQ(window({{Unit::messages, 10, std::chrono::minutes{1}}}), 14'400);
  EXPECT_EQ(window({{Unit::messages, 10, std::chrono::minutes{1}},
                    {Unit::messages, 200, std::chrono::hours{24}}}),
            200);
  EXPECT_EQ(window({{Unit::messages, 500, std::chrono::hours{24 * 7}}}), 500);
  EXPECT_EQ(window({{Unit::messages, 10, std::chrono::hours{10}}}), 30);
  EXPECT_EQ(decay({{Unit::messages, 10, std::chrono::minutes{1}}}), 14'410);
  EXPECT_EQ(decay({{Unit::messages, 200, std::chrono::hours{24}}}), 400);
  EXPECT_EQ(decay({{Unit::messages, 700, std::chrono::hours{24 * 7}}}), 800);
  EXPECT_EQ(decay({}), window({}));
}

}  // namespace
}  // namespace limits
