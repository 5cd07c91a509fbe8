// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: limits that never apply, because a row before them decides first.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/rows/last_quota.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// A policy's members as texts, to compare which mail policies match.
using MemberTexts = std::set<std::pair<std::string, std::string>>;

MemberTexts texts_of(const std::vector<PolicyMember>& members) {
  const auto side = [](const std::optional<std::string>& text) {
    return policyd::matches_everything(text) ? std::string{"any"} : *text;
  };
  MemberTexts out;
  for (const PolicyMember& member : members) {
    out.emplace(side(member.source), side(member.destination));
  }
  return out;
}

bool is_for_all(const MemberTexts& members) { return members.contains({"any", "any"}); }

// Whether a policy with these members matches all mail that one with `others` matches: each of the
// others is one of these with further items.
bool covers(const MemberTexts& members, const MemberTexts& others) {
  constexpr std::size_t kMaxPairs = 10'000;  // beyond it only equal lists are compared
  if (is_for_all(members) || members == others) return true;
  if (members.size() * others.size() > kMaxPairs) return false;
  const auto side = [](const std::string& wide, const std::string& narrow) {
    if (wide == "any" || wide == narrow) return true;
    const auto items = policyd::list_items(narrow);
    const auto wanted = policyd::list_items(wide);
    return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view item) {
      return std::find(items.begin(), items.end(), item) != items.end();
    });
  };
  return std::all_of(others.begin(), others.end(), [&](const auto& other) {
    return std::any_of(members.begin(), members.end(), [&](const auto& member) {
      return side(member.first, other.first) && side(member.second, other.second);
    });
  });
}

// A quota with LastQuota, and the quotas after it that never apply.
struct End {
  std::size_t at;  // in the order
  MemberTexts members;
  std::vector<std::string> never;
};

constexpr std::size_t kMaxEnds = 20;
constexpr std::size_t kMaxNever = 10;

std::string name_of(const RuleRows& rows, const AskedQuota& quota) {
  const auto policy = rows.rules.policy_by_id.find(quota.policy_id);
  return fmt::format("quota {} of policy {} ({})", quota.id, quota.policy_id,
                     policy == rows.rules.policy_by_id.end()
                         ? std::string{}
                         : escaped(rows.rules.policies[policy->second].name));
}

void check_last_quota(const RuleRows& rows, Findings& findings) {
  const auto order = read_order_of_quotas(rows.tables).value_or(std::vector<AskedQuota>{});
  std::vector<End> ends;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const MemberTexts members = texts_of(rows.members_of(order[i].policy_id));
    if (members.empty()) continue;  // see check_empty
    const auto ended = std::find_if(ends.begin(), ends.end(),
                                    [&](const End& end) { return covers(end.members, members); });
    if (ended != ends.end()) {
      ended->never.push_back(name_of(rows, order[i]));
    } else if (order[i].last && i + 1 < order.size() && ends.size() < kMaxEnds) {
      ends.push_back({i, members, {}});
    }
  }
  for (const End& end : ends) {
    const AskedQuota& quota = order[end.at];
    if (end.never.empty()) {  // an exception from those after it, which may be meant
      findings.well("rules.last_quota", end_text(order, end.at, rows.all));
      continue;
    }
    std::vector<std::string> never(
        end.never.begin(),
        end.never.begin() + static_cast<std::ptrdiff_t>(std::min(end.never.size(), kMaxNever)));
    const std::size_t others = end.never.size() - never.size();
    if (others != 0) never.push_back(fmt::format("{} more", others));
    findings.wrong(
        problem::kLastQuota,
        fmt::format("{} never {}: quota {} of policy {} ends the check before (LastQuota)",
                    join_with_and(never), of_number(end.never.size(), "applies", "apply"), quota.id,
                    quota.policy_id),
        std::string{of_number(end.never.size(), "its limit is not in force",
                              "their limits are not in force")},
        rows.sql({fmt::format("UPDATE {} SET LastQuota = 0 WHERE ID = {}", rows.table("quotas"),
                              quota.id)}));
  }
  if (ends.empty()) {
    findings.well("rules.last_quota", "no limit comes after one that ends the check (LastQuota)");
  }
}

void check_access_control(const RuleRows& rows, Findings& findings) {
  if (!rows.question.daemon.config.access_control) return;
  for (const policyd::Policy& policy : rows.rules.policies) {
    if (policy.access_control.empty() || !is_for_all(texts_of(rows.members_of(policy.id))))
      continue;
    const policyd::AccessControlRow& row = policy.access_control.front();
    if (row.verdict.kind == policyd::RowVerdict::Kind::none) continue;
    if (!row.verdict.is_for_access_control()) return;  // see check_problems
    if (row.verdict.action == policyd::Action::pass) return;
    findings.wrong(problem::kAccessControl,
                   fmt::format("access_control {} of policy {} ({}) decides on all mail", row.id,
                               policy.id, escaped(policy.name)),
                   "its verdict is final, so Quotas never runs and no limit is in force",
                   rows.sql({fmt::format("UPDATE {} SET Disabled = 1 WHERE ID = {}",
                                         rows.table("access_control"), row.id)}));
    return;
  }
}

}  // namespace

void check_order(const RuleRows& rows, Findings& findings) {
  check_last_quota(rows, findings);
  check_access_control(rows, findings);
}

}  // namespace limits
