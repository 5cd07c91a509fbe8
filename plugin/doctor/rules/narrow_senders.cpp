// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the statements that let limits by sender count only mail that is authenticated or comes
// from this server's networks. Target, Track, figures, verdict and text stay; what else the policy
// has stays as it is, so then the limits move to a policy of their own.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/rows/example_groups.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

constexpr std::array<std::string_view, 6> kPolicyTables = {
    "access_control", "accounting", "checkhelo", "checkspf", "greylisting", "amavis_rules"};

std::string with_item(const std::optional<std::string>& list, std::string_view item) {
  if (policyd::matches_everything(list)) return std::string{item};
  std::string out;
  for (const std::string_view each : policyd::list_items(*list)) out += std::string{each} + ",";
  return out + std::string{item};
}

bool refuses_logins(const std::optional<std::string>& list) {
  if (policyd::matches_everything(list)) return false;
  const auto items = policyd::list_items(*list);
  return std::find(items.begin(), items.end(), "$-") != items.end();
}

// What the member's Source becomes: a row each.
std::vector<std::string> narrowed(const PolicyMember& member) {
  std::vector<std::string> out;
  if (!refuses_logins(member.source)) out.push_back(with_item(member.source, "$*"));
  out.push_back(with_item(member.source, "%internal_ips"));
  return out;
}

std::string insert_into_policy(const RuleRows& rows, const std::string& policy,
                               const std::string& source, std::int64_t like) {
  return fmt::format(
      "INSERT INTO {0} (PolicyID, Source, Destination, Comment) SELECT {1}, {2}, Destination, "
      "Comment FROM {0} WHERE ID = {3}",
      rows.table("policy_members"), policy, source, like);
}

// Rows of the policy, switched on or not, that are not among the quotas.
bool has_other_rows(const RuleRows& rows, std::int64_t policy,
                    const std::vector<std::int64_t>& quotas) {
  std::int64_t count = 0;
  const auto add = [&](const Statement& row) { count += row.integer(0); };
  rows.tables.each(fmt::format("SELECT count(*) FROM {{p}}quotas WHERE PolicyID = ? AND ID NOT IN "
                               "({})",
                               fmt::join(quotas, ", ")),
                   {policy}, add);
  for (const std::string_view table : kPolicyTables) {
    rows.tables.each(fmt::format("SELECT count(*) FROM {{p}}{} WHERE PolicyID = ?", table),
                     {policy}, add);
  }
  return count != 0;
}

// An ID that no row refers to, not even one whose policy is gone.
std::int64_t free_policy_id(const RuleRows& rows) {
  std::int64_t id = 0;
  const auto take = [&](const Statement& row) { id = std::max(id, row.integer(0)); };
  rows.tables.each("SELECT max(ID) FROM {p}policies", {}, take);
  rows.tables.each("SELECT seq FROM sqlite_sequence WHERE name = ?", {rows.table("policies")},
                   take);
  rows.tables.each("SELECT max(PolicyID) FROM {p}quotas", {}, take);
  rows.tables.each("SELECT max(PolicyID) FROM {p}policy_members", {}, take);
  for (const std::string_view table : kPolicyTables) {
    rows.tables.each(fmt::format("SELECT max(PolicyID) FROM {{p}}{}", table), {}, take);
  }
  return id + 1;
}

std::vector<std::string> narrow_in_place(const RuleRows& rows,
                                         const std::vector<PolicyMember>& outside) {
  std::vector<std::string> out;
  for (const PolicyMember& member : outside) {
    const auto sources = narrowed(member);
    for (std::size_t i = 1; i < sources.size(); ++i) {
      out.push_back(insert_into_policy(rows, "PolicyID", sql_literal(sources[i]), member.id));
    }
    out.push_back(fmt::format("UPDATE {} SET Source = {} WHERE ID = {}",
                              rows.table("policy_members"), sql_literal(sources.front()),
                              member.id));
  }
  return out;
}

std::vector<std::string> move_and_narrow(const RuleRows& rows, std::int64_t policy,
                                         const std::vector<std::int64_t>& quotas,
                                         const std::vector<PolicyMember>& outside) {
  const std::int64_t id = free_policy_id(rows);
  std::vector<std::string> out = {
      fmt::format("INSERT INTO {0} (ID, Name, Priority, Description) SELECT {1}, Name, Priority, "
                  "Description FROM {0} WHERE ID = {2}",
                  rows.table("policies"), id, policy)};
  for (const PolicyMember& member : rows.members_of(policy)) {
    const bool changes = std::any_of(outside.begin(), outside.end(), [&](const PolicyMember& each) {
      return each.id == member.id;
    });
    std::vector<std::string> sources = {"Source"};
    if (changes) {
      sources = narrowed(member);
      for (std::string& source : sources) source = sql_literal(source);
    }
    for (const std::string& source : sources) {
      out.push_back(insert_into_policy(rows, fmt::format("{}", id), source, member.id));
    }
  }
  out.push_back(fmt::format("UPDATE {} SET PolicyID = {} WHERE ID IN ({})", rows.table("quotas"),
                            id, fmt::join(quotas, ", ")));
  return out;
}

bool any_ends_the_walk(const policyd::Rules& rules) {
  return std::any_of(rules.policies.begin(), rules.policies.end(), [](const auto& policy) {
    return std::any_of(policy.quotas.begin(), policy.quotas.end(),
                       [](const policyd::Quota& quota) { return quota.last; });
  });
}

}  // namespace

Fix fix_for_outside(const RuleRows& rows, const policyd::Policy& policy,
                    const std::vector<std::int64_t>& quotas,
                    const std::vector<PolicyMember>& outside) {
  if (!is_filled(rows.tables, "internal_ips")) {
    // With logins alone the limit would lose web mail, which has none.
    return advice(
        (is_carbonio(rows.question) ? std::string{"'carbonio-limits sync'"}
                                    : how_to_fill("internal_ips")) +
        "; then 'carbonio-limits doctor' shows the command that leaves out mail from outside");
  }
  const bool others = has_other_rows(rows, policy.id, quotas);
  // In a policy of their own the limits come later than before.
  if (others && any_ends_the_walk(rows.rules)) {
    return advice(
        "let the Source of its members name mail that is authenticated (Source,$*), and in a row "
        "of its own mail from your networks (Source,%internal_ips)");
  }
  return rows.sql(others ? move_and_narrow(rows, policy.id, quotas, outside)
                         : narrow_in_place(rows, outside));
}

}  // namespace limits
