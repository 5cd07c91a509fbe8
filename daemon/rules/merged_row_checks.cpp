// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/merged_row_checks.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace policyd {
namespace {

// A switch and a column that it needs.
template <typename Row, typename Value = OptionalInteger>
struct Need {
  std::string_view switch_name;
  OptionalInteger Row::*switch_column;
  std::string_view needed_name;
  Value Row::*needed_column;
};

bool is_given(std::int64_t value) { return value > 0; }
bool is_given(const Result<Track>&) { return true; }  // one that is invalid is reported as such

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
constexpr std::array kTrackNeeds = {
    Need<GreylistingRow, std::optional<Result<Track>>>{
        "UseGreylisting", &GreylistingRow::use_greylisting, "Track", &GreylistingRow::track},
};

// The values of one need in some rows; nullopt if all of them have NULL.
struct Setting {
  std::optional<bool> on;
  std::optional<bool> given;  // false: 0 or less

  void override_with(const Setting& later) {
    if (later.on) on = later.on;
    if (later.given) given = later.given;
  }
  [[nodiscard]] bool lacks() const { return on == true && given != true; }
};

struct PolicySetting {
  Setting setting;
  std::int64_t row = 0;  // the last that turns the switch on, else the last with a value
  bool for_all = false;
};

template <typename Row, typename Value>
PolicySetting setting_of(const std::vector<Row>& rows, const Need<Row, Value>& need) {
  PolicySetting out;
  for (const Row& row : rows) {
    Setting setting;
    if (row.*need.switch_column) setting.on = row.*need.switch_column == 1;
    if (row.*need.needed_column) setting.given = is_given(*(row.*need.needed_column));
    if (!setting.on && !setting.given) continue;
    if (setting.on == true || out.setting.on != true) out.row = row.id;
    out.setting.override_with(setting);
  }
  return out;
}

// The values of the policies that match all mail, before and after each policy.
struct Around {
  std::vector<Setting> before, after;  // one more than policies

  explicit Around(const std::vector<PolicySetting>& policies)
      : before(policies.size() + 1), after(policies.size() + 1) {
    for (std::size_t i = 0; i < policies.size(); ++i) {
      before[i + 1] = before[i];
      if (policies[i].for_all) before[i + 1].override_with(policies[i].setting);
    }
    for (std::size_t i = policies.size(); i-- > 0;) {
      if (policies[i].for_all) after[i] = policies[i].setting;
      after[i].override_with(after[i + 1]);
    }
  }

  // For mail that matches the policy and none besides those.
  [[nodiscard]] Setting with(std::size_t index, const PolicySetting& policy) const {
    Setting setting = before[index];
    if (!policy.for_all) setting.override_with(policy.setting);
    setting.override_with(after[index]);
    return setting;
  }
};

template <typename Row, typename Value>
void check(Rules& rules, const std::vector<PolicySetting>& policies, std::string_view table,
           const Need<Row, Value>& need) {
  const Around around{policies};
  const auto givers = std::count_if(policies.begin(), policies.end(), [](const auto& policy) {
    return policy.setting.given == true;
  });
  const bool all_mail = around.after.front().lacks();
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const PolicySetting& policy = policies[i];
    if (policy.for_all != all_mail || !around.with(i, policy).lacks()) continue;
    if (policy.for_all && policy.setting.on != true) continue;
    const bool others = givers > (policy.setting.given == true ? 1 : 0);
    rules.problems.push_back(
        {others ? RowProblem::Kind::missing_for_some : RowProblem::Kind::missing,
         std::string{table},
         policy.row,
         std::string{need.needed_name},
         {},
         std::string{need.switch_name}});
    if (policy.for_all) return;  // once for all mail
  }
}

template <typename Row, typename Value, std::size_t N>
void check_all(Rules& rules, const std::vector<bool>& for_all, std::string_view table,
               std::vector<Row> Policy::*rows, const std::array<Need<Row, Value>, N>& needs) {
  for (const Need<Row, Value>& need : needs) {
    std::vector<PolicySetting> policies;
    for (std::size_t i = 0; i < rules.policies.size(); ++i) {
      PolicySetting policy = setting_of(rules.policies[i].*rows, need);
      policy.for_all = for_all[i];
      if (policy.setting.on || policy.setting.given) policies.push_back(policy);
    }
    check(rules, policies, table, need);
  }
}

}  // namespace

void check_merged_rows(Rules& rules, const std::vector<bool>& for_all) {
  check_all(rules, for_all, "checkhelo", &Policy::check_helo, kHeloNeeds);
  check_all(rules, for_all, "greylisting", &Policy::greylisting, kGreylistingNeeds);
  check_all(rules, for_all, "greylisting", &Policy::greylisting, kTrackNeeds);
}

}  // namespace policyd
