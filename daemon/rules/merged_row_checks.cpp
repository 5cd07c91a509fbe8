// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/merged_row_checks.hpp"

#include <fmt/core.h>

#include <array>
#include <bitset>
#include <optional>
#include <string_view>

namespace policyd {
namespace {

// A switch and a column that it cannot be without.
template <typename Row>
struct Need {
  std::string_view use_name;
  OptionalInteger Row::*use;
  std::string_view needed_name;
  OptionalInteger Row::*needed;
};

constexpr std::array kHeloNeeds = {
    Need<CheckHeloRow>{"UseHRP", &CheckHeloRow::use_hrp, "HRPPeriod", &CheckHeloRow::hrp_period_s},
    Need<CheckHeloRow>{"UseHRP", &CheckHeloRow::use_hrp, "HRPLimit", &CheckHeloRow::hrp_limit},
};
constexpr std::array kGreylistingNeeds = {
    Need<GreylistingRow>{"UseAutoWhitelist", &GreylistingRow::use_auto_whitelist,
                         "AutoWhitelistPeriod", &GreylistingRow::auto_whitelist_period_s},
    Need<GreylistingRow>{"UseAutoBlacklist", &GreylistingRow::use_auto_blacklist,
                         "AutoBlacklistPeriod", &GreylistingRow::auto_blacklist_period_s},
};

// What rows say of one need; nothing where all of them have NULL.
struct Said {
  std::optional<bool> on;
  std::optional<bool> given;  // false: 0 or less

  void then(const Said& later) {
    if (later.on) on = later.on;
    if (later.given) given = later.given;
  }
  [[nodiscard]] bool lacks() const { return on == true && given != true; }
};

struct OfPolicy {
  Said said;
  std::int64_t row = 0;  // the last that switches it on, else the last that says something
  bool for_all = false;
};

template <typename Row>
OfPolicy said_by(const std::vector<Row>& rows, const Need<Row>& need) {
  OfPolicy out;
  for (const Row& row : rows) {
    Said said;
    if (row.*need.use) said.on = row.*need.use == 1;
    if (row.*need.needed) said.given = *(row.*need.needed) > 0;
    if (!said.on && !said.given) continue;
    if (said.on == true || out.said.on != true) out.row = row.id;
    out.said.then(said);
  }
  return out;
}

// All that can have been said, numbered.
constexpr std::size_t kStates = 9;
using States = std::bitset<kStates>;

Said state(std::size_t number) {
  constexpr std::array<std::optional<bool>, 3> kValues = {std::nullopt, false, true};
  return {kValues.at(number / 3), kValues.at(number % 3)};
}

std::size_t number_of(const Said& said) {
  const auto place = [](std::optional<bool> value) { return value ? (*value ? 2U : 1U) : 0U; };
  return 3 * place(said.on) + place(said.given);
}

std::size_t after(std::size_t number, const Said& later) {
  Said said = state(number);
  said.then(later);
  return number_of(said);
}

// From which states on something is lacking for some of the mails, which match all of `for_all` and
// any of the others: in front of each policy, and behind the last.
std::vector<States> states_that_end_badly(const std::vector<OfPolicy>& policies) {
  std::vector<States> out(policies.size() + 1);
  for (std::size_t number = 0; number < kStates; ++number) {
    out.back()[number] = state(number).lacks();
  }
  for (std::size_t i = policies.size(); i-- > 0;) {
    for (std::size_t number = 0; number < kStates; ++number) {
      out[i][number] = out[i + 1][after(number, policies[i].said)] ||
                       (!policies[i].for_all && out[i + 1][number]);
    }
  }
  return out;
}

// Whether for some mails that match the policy something is lacking, for each policy.
std::vector<bool> may_lack(const std::vector<OfPolicy>& policies) {
  const auto bad = states_that_end_badly(policies);
  std::vector<bool> out;
  States before;
  before.set(number_of({}));
  for (std::size_t i = 0; i < policies.size(); ++i) {
    States with;
    for (std::size_t number = 0; number < kStates; ++number) {
      if (before[number]) with.set(after(number, policies[i].said));
    }
    out.push_back((with & bad[i + 1]).any());
    before = policies[i].for_all ? with : before | with;
  }
  return out;
}

// What those that match all mail say: in front of each policy and behind it.
struct Around {
  std::vector<Said> before, behind;  // one more than policies

  explicit Around(const std::vector<OfPolicy>& policies)
      : before(policies.size() + 1), behind(policies.size() + 1) {
    for (std::size_t i = 0; i < policies.size(); ++i) {
      before[i + 1] = before[i];
      if (policies[i].for_all) before[i + 1].then(policies[i].said);
    }
    for (std::size_t i = policies.size(); i-- > 0;) {
      if (policies[i].for_all) behind[i] = policies[i].said;
      behind[i].then(behind[i + 1]);
    }
  }
  [[nodiscard]] Said with(std::size_t place, const OfPolicy& policy) const {
    Said said = before[place];
    if (!policy.for_all) said.then(policy.said);
    said.then(behind[place]);
    return said;
  }
};

template <typename Row>
void check(Rules& rules, const std::vector<OfPolicy>& policies, std::string_view table,
           const Need<Row>& need) {
  const auto report = [&](const OfPolicy& policy, std::string what) {
    rules.problems.push_back({std::string{table}, policy.row, std::move(what)});
  };
  const Around around{policies};
  const auto possible = may_lack(policies);
  std::size_t givers = 0;
  for (const OfPolicy& policy : policies) givers += policy.said.given == true ? 1 : 0;
  const bool all_mail = around.behind.front().lacks();
  bool all_mail_said = false;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const OfPolicy& policy = policies[i];
    const bool to_blame = policy.for_all == all_mail && around.with(i, policy).lacks() &&
                          (!policy.for_all || (policy.said.on == true && !all_mail_said));
    if (to_blame) {
      all_mail_said = policy.for_all;
      const bool others = givers > (policy.said.given == true ? 1U : 0U);
      report(policy, fmt::format("{} is set, but {} is not{}", need.use_name, need.needed_name,
                                 others ? ": mail is deferred where no other policy that matches "
                                          "sets it"
                                        : ""));
    } else if (!all_mail && !policy.for_all && policy.said.given == false && possible[i]) {
      report(policy, fmt::format("{} is none: mail is deferred where another policy that matches "
                                 "sets {}",
                                 need.needed_name, need.use_name));
    }
  }
}

template <typename Row, std::size_t N>
void check_all(Rules& rules, const std::vector<bool>& for_all, std::string_view table,
               std::vector<Row> Policy::*rows, const std::array<Need<Row>, N>& needs) {
  for (const Need<Row>& need : needs) {
    std::vector<OfPolicy> policies;
    for (std::size_t i = 0; i < rules.policies.size(); ++i) {
      OfPolicy policy = said_by(rules.policies[i].*rows, need);
      policy.for_all = for_all[i];
      if (policy.said.on || policy.said.given) policies.push_back(policy);
    }
    check(rules, policies, table, need);
  }
}

}  // namespace

void check_merged_rows(Rules& rules, const std::vector<bool>& for_all) {
  check_all(rules, for_all, "checkhelo", &Policy::check_helo, kHeloNeeds);
  check_all(rules, for_all, "greylisting", &Policy::greylisting, kGreylistingNeeds);
}

}  // namespace policyd
