// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: limits that never apply, because a row before them decides first.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
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

// A quota with LastQuota, and the quotas after it that never apply.
struct End {
  std::int64_t policy, quota;
  MemberTexts members;
  std::vector<std::string> never;
};

void check_last_quota(const RuleRows& rows, Findings& findings) {
  std::vector<End> ends;
  for (const policyd::Policy& policy : rows.rules.policies) {
    if (policy.quotas.empty()) continue;
    const MemberTexts members = texts_of(rows.members_of(policy.id));
    for (const policyd::Quota& quota : policy.quotas) {
      const auto ended = std::find_if(ends.begin(), ends.end(), [&](const End& end) {
        return end.policy == policy.id || is_for_all(end.members) || end.members == members;
      });
      if (ended != ends.end()) {
        ended->never.push_back(
            fmt::format("quota {} of policy {} ({})", quota.id, policy.id, escaped(policy.name)));
      } else if (quota.last) {
        ends.push_back({policy.id, quota.id, members, {}});
      }
    }
  }
  for (const End& end : ends) {
    if (end.never.empty()) continue;
    findings.wrong(
        problem::kLastQuota,
        fmt::format("{} never {}: quota {} of policy {} ends the walk before (LastQuota)",
                    join_with_and(end.never), end.never.size() == 1 ? "applies" : "apply",
                    end.quota, end.policy),
        end.never.size() == 1 ? "its limit is not in force" : "their limits are not in force",
        rows.sql({fmt::format("UPDATE {} SET LastQuota = 0 WHERE ID = {}", rows.table("quotas"),
                              end.quota)}));
  }
  findings.well_unless_wrong("rules.last_quota",
                             "no limit comes after one that ends the walk (LastQuota)");
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
