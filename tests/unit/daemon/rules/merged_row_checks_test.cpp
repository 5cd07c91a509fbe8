// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/merged_row_checks.hpp"
#include "daemon/rules/match/rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr OptionalInteger kNull = std::nullopt;
constexpr const char* kElsewhere = ": mail is deferred unless another matching policy sets it";

std::string missing(int row) {
  return "greylisting " + std::to_string(row) +
         ": UseAutoWhitelist is set, but AutoWhitelistPeriod is not";
}

// A policy with one row of greylisting; the first has ID 1.
struct PolicyRow {
  OptionalInteger use;
  OptionalInteger period;
  bool for_all = false;
};

Rules rules_of(const std::vector<PolicyRow>& policies) {
  Rules rules;
  for (const PolicyRow& policy : policies) {
    GreylistingRow row;
    row.id = static_cast<std::int64_t>(rules.policies.size()) + 1;
    row.use_auto_whitelist = policy.use;
    row.auto_whitelist_period_s = policy.period;
    rules.policies.emplace_back().greylisting.push_back(row);
  }
  return rules;
}

// "greylisting 1: UseAutoWhitelist is set, ..."
std::vector<std::string> problems_of(const std::vector<PolicyRow>& policies) {
  Rules rules = rules_of(policies);
  std::vector<bool> for_all;
  for_all.reserve(policies.size());
  for (const PolicyRow& policy : policies) for_all.push_back(policy.for_all);
  check_merged_rows(rules, for_all);
  std::vector<std::string> out;
  for (const RowProblem& problem : rules.problems) out.push_back(describe(problem));
  return out;
}

TEST(MergedRowChecks, ASwitchWithoutItsPeriodIsAProblem) {
  EXPECT_THAT(problems_of({{1, kNull}}), ElementsAre(missing(1)));
  EXPECT_THAT(problems_of({{1, 0}}), ElementsAre(missing(1)));
  EXPECT_THAT(problems_of({{1, -5}}), ElementsAre(missing(1)));
  EXPECT_THAT(problems_of({{1, kNull, true}}), ElementsAre(missing(1)));
  for (const PolicyRow& valid :
       {PolicyRow{1, 60}, {0, kNull}, {kNull, kNull}, {kNull, 60}, {2, kNull}}) {
    EXPECT_THAT(problems_of({valid}), IsEmpty());
  }
}

TEST(MergedRowChecks, APolicyForAllMailCanSetThePeriod) {
  EXPECT_THAT(problems_of({{kNull, 60, true}, {1, kNull}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, kNull}, {kNull, 60, true}}), IsEmpty());
  EXPECT_THAT(problems_of({{1, kNull}, {0, kNull, true}}), IsEmpty());
  // Later values count.
  EXPECT_THAT(problems_of({{kNull, 60, true}, {1, 0}}), ElementsAre(missing(2) + kElsewhere));
}

TEST(MergedRowChecks, APolicyForSomeMailCanSetItThere) {
  EXPECT_THAT(problems_of({{kNull, 60}, {1, kNull}}), ElementsAre(missing(2) + kElsewhere));
}

TEST(MergedRowChecks, ChecksEverySwitch) {
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
    what.push_back(describe(problem));
  }
  EXPECT_THAT(what,
              ElementsAre("checkhelo 3: UseHRP is set, but HRPPeriod is not",
                          "checkhelo 3: UseHRP is set, but HRPLimit is not",
                          "greylisting 4: UseAutoBlacklist is set, but AutoBlacklistPeriod is "
                          "not"));
}

TEST(MergedRowChecks, GreylistingNeedsATrack) {
  const auto problems = [](OptionalInteger use, std::optional<Result<Track>> track) {
    Rules rules;
    GreylistingRow& row = rules.policies.emplace_back().greylisting.emplace_back();
    row.id = 5;
    row.use_greylisting = use;
    row.track = std::move(track);
    check_merged_rows(rules, {true});
    std::vector<std::string> out;
    for (const RowProblem& problem : rules.problems) out.push_back(describe(problem));
    return out;
  };
  EXPECT_THAT(problems(1, std::nullopt),
              ElementsAre("greylisting 5: UseGreylisting is set, but Track is not"));
  EXPECT_THAT(problems(0, std::nullopt), IsEmpty());
  EXPECT_THAT(problems(kNull, std::nullopt), IsEmpty());  // another row switches it on, if any
  EXPECT_THAT(problems(1, Track::parse("SenderIP:/24")), IsEmpty());
  EXPECT_THAT(problems(1, Track::parse("Client")), IsEmpty());
}

TEST(MergedRowChecks, LaterRowsOfAPolicyOverrideItsFirst) {
  Rules rules = rules_of({{1, kNull}});
  GreylistingRow more;
  more.id = 2;
  more.auto_whitelist_period_s = 60;
  rules.policies.front().greylisting.push_back(more);
  check_merged_rows(rules, {false});
  EXPECT_THAT(rules.problems, IsEmpty());
}

}  // namespace
}  // namespace policyd
