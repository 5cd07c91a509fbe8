// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/merged_row_checks.hpp"
#include "daemon/rules/match/rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace policyd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr OptionalInteger kNull = std::nullopt;
constexpr const char* kElsewhere = ": mail is deferred where no other policy that matches sets it";

// A policy with one row, whose ID is 1 for the first policy.
struct Given {
  OptionalInteger use;
  OptionalInteger period;
  bool for_all = false;
};

Rules rules_of(const std::vector<Given>& policies) {
  Rules rules;
  for (const Given& given : policies) {
    GreylistingRow row;
    row.id = static_cast<std::int64_t>(rules.policies.size()) + 1;
    row.use_auto_whitelist = given.use;
    row.auto_whitelist_period_s = given.period;
    rules.policies.emplace_back().greylisting.push_back(row);
  }
  return rules;
}

// "1: UseAutoWhitelist is set, ..."
std::vector<std::string> problems_of(const std::vector<Given>& policies) {
  Rules rules = rules_of(policies);
  std::vector<bool> for_all;
  for_all.reserve(policies.size());
  for (const Given& given : policies) for_all.push_back(given.for_all);
  check_merged_rows(rules, for_all);
  std::vector<std::string> out;
  for (const RowProblem& problem : rules.problems) {
    EXPECT_EQ(problem.table, "greylisting");
    out.push_back(std::to_string(problem.id) + ": " + problem.what);
  }
  return out;
}

TEST(RulesMerged, ASwitchWithoutItsPeriodIsAProblem) {
  const std::string problem = "1: UseAutoWhitelist is set, but AutoWhitelistPeriod is not";
  EXPECT_THAT(problems_of({{1, kNull}}), ElementsAre(problem));
  EXPECT_THAT(problems_of({{1, 0}}), ElementsAre(problem));
  EXPECT_THAT(problems_of({{1, -5}}), ElementsAre(problem));
  EXPECT_THAT(problems_of({{1, kNull, true}}), ElementsAre(problem));
  for (const Given& fine : {Given{1, 60}, {0, kNull}, {kNull, kNull}, {kNull, 60}, {2, kNull}}) {
    EXPECT_THAT(problems_of({fine}), IsEmpty());
  }
}

TEST(RulesMerged, WhatMatchesAllMailMendsIt) {
  EXPECT_THAT(problems_of({{kNull, 60, true}, {1, kNull}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, kNull}, {kNull, 60, true}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, kNull}, {0, kNull, true}}), IsEmpty());
  // Later values count.
  EXPECT_THAT(problems_of({{kNull, 60, true}, {1, 0}}),
              ElementsAre("2: UseAutoWhitelist is set, but AutoWhitelistPeriod is not" +
                          std::string{kElsewhere}));
}

TEST(RulesMerged, WhatMatchesSomeMailMendsItThere) {
  EXPECT_THAT(problems_of({{kNull, 60}, {1, kNull}}),
              ElementsAre("2: UseAutoWhitelist is set, but AutoWhitelistPeriod is not" +
                          std::string{kElsewhere}));
}

TEST(RulesMerged, APeriodOfNothingTakesThatOfAnotherPolicy) {
  const std::string problem =
      ": AutoWhitelistPeriod is none: mail is deferred where another policy that matches sets "
      "UseAutoWhitelist";
  EXPECT_THAT(problems_of({{1, 60}, {kNull, 0}}), ElementsAre("2" + problem));
  EXPECT_THAT(problems_of({{kNull, 0}, {1, 60}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, 60}, {0, 0}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, 60}, {kNull, 0}, {kNull, 60, true}}), IsEmpty());
}

TEST(RulesMerged, ChecksEverySwitch) {
  Rules rules;
  Policy& policy = rules.policies.emplace_back();
  CheckHeloRow& helo = policy.check_helo.emplace_back();
  helo.id = 3;
  helo.use_hrp = 1;
  GreylistingRow& grey = policy.greylisting.emplace_back();
  grey.id = 4;
  grey.use_auto_blacklist = 1;
  check_merged_rows(rules, {false});
  std::vector<std::string> what;
  for (const RowProblem& problem : rules.problems) {
    what.push_back(problem.table + " " + std::to_string(problem.id) + ": " + problem.what);
  }
  EXPECT_THAT(what,
              ElementsAre("checkhelo 3: UseHRP is set, but HRPPeriod is not",
                          "checkhelo 3: UseHRP is set, but HRPLimit is not",
                          "greylisting 4: UseAutoBlacklist is set, but AutoBlacklistPeriod is "
                          "not"));
}

TEST(RulesMerged, LaterRowsOfAPolicyOverrideItsFirst) {
  Rules rules = rules_of({{1, kNull}});
  GreylistingRow more;
  more.id = 2;
  more.auto_whitelist_period_s = 60;
  rules.policies.front().greylisting.push_back(more);
  check_merged_rows(rules, {false});
  EXPECT_THAT(rules.problems, IsEmpty());
}

// Whether any mail is deferred: one that matches these of the policies that do not match all mail.
bool defers_some(const std::vector<Given>& policies) {
  for (unsigned chosen = 0; chosen < 1U << policies.size(); ++chosen) {
    OptionalInteger use;
    OptionalInteger period;
    for (std::size_t i = 0; i < policies.size(); ++i) {
      if (!policies[i].for_all && (chosen >> i & 1U) == 0) continue;
      if (policies[i].use) use = policies[i].use;
      if (policies[i].period) period = policies[i].period;
    }
    if (use == 1 && period.value_or(0) <= 0) return true;
  }
  return false;
}

TEST(RulesMerged, FindsAProblemWhereAndOnlyWhereSomeMailIsDeferred) {
  std::mt19937 random{3};  // NOLINT: the same each time
  const std::vector<OptionalInteger> uses = {kNull, 0, 1, 1};
  const std::vector<OptionalInteger> periods = {kNull, kNull, 0, 60};
  int deferring = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<Given> policies(1 + random() % 6);
    for (Given& given : policies) {
      given = {uses[random() % 4], periods[random() % 4], random() % 3 == 0};
    }
    const bool expected = defers_some(policies);
    std::string said;
    for (const Given& given : policies) {
      said += std::to_string(given.use.value_or(-1)) + '/' +
              std::to_string(given.period.value_or(-1)) + (given.for_all ? " all " : " ");
    }
    ASSERT_EQ(!problems_of(policies).empty(), expected) << said;
    deferring += expected ? 1 : 0;
  }
  EXPECT_GT(deferring, 5'000);
  EXPECT_LT(deferring, 18'000);
}

}  // namespace
}  // namespace policyd
