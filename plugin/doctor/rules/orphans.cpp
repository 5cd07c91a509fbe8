// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: rows that refer to others that do not exist, policies without members or limits, and
// quotas without limits: what is left of statements that failed or were never typed.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

constexpr std::int64_t kLastExample = 5;  // of a fresh database's policies

struct Reference {
  std::string_view table;
  std::string_view column;
  std::string_view parent;
};
constexpr std::array kReferences = {
    Reference{"policy_members", "PolicyID", "policies"},
    Reference{"quotas", "PolicyID", "policies"},
    Reference{"quotas_limits", "QuotasID", "quotas"},
    Reference{"access_control", "PolicyID", "policies"},
    Reference{"accounting", "PolicyID", "policies"},
    Reference{"checkhelo", "PolicyID", "policies"},
    Reference{"checkspf", "PolicyID", "policies"},
    Reference{"greylisting", "PolicyID", "policies"},
    Reference{"amavis_rules", "PolicyID", "policies"},
    Reference{"policy_group_members", "PolicyGroupID", "policy_groups"},
};

// The rows of a table where `condition` holds, with the rows that depend on them.
std::vector<std::string> deletions(const RuleRows& rows, std::string_view table,
                                   const std::string& condition) {
  std::vector<std::string> out;
  std::string limits;
  if (table == "quotas") {
    limits =
        fmt::format("QuotasID IN (SELECT ID FROM {} WHERE {})", rows.table("quotas"), condition);
  } else if (table == "quotas_limits") {
    limits = condition;
  }
  if (!limits.empty()) {
    out.push_back(fmt::format("DELETE FROM {} WHERE QuotasLimitsID IN (SELECT ID FROM {} WHERE {})",
                              rows.table("quotas_tracking"), rows.table("quotas_limits"), limits));
  }
  if (table == "quotas") {
    out.push_back(fmt::format("DELETE FROM {} WHERE {}", rows.table("quotas_limits"), limits));
  }
  out.push_back(fmt::format("DELETE FROM {} WHERE {}", rows.table(table), condition));
  return out;
}

std::vector<std::string> delete_policy(const RuleRows& rows, std::int64_t id) {
  std::vector<std::string> out = deletions(rows, "quotas", fmt::format("PolicyID = {}", id));
  out.push_back(
      fmt::format("DELETE FROM {} WHERE PolicyID = {}", rows.table("policy_members"), id));
  out.push_back(fmt::format("DELETE FROM {} WHERE ID = {}", rows.table("policies"), id));
  return out;
}

// "policy" of "policies".
std::string one_of(std::string_view table) {
  if (table == "policies") return "policy";
  return table == "policy_groups" ? "group" : "quota";
}

struct Orphans {
  std::string who;  // "quotas 3 and 4 and policy_members 7"
  std::vector<std::string> statements;
  std::size_t count = 0;
};

// By what they refer to, so that a policy with all its rows is one finding.
using ByParent = std::map<std::pair<std::string_view, std::string>, Orphans>;

void find_orphans(const RuleRows& rows, const Reference& reference, ByParent& found) {
  constexpr std::size_t kMaxNamed = 5;
  std::map<std::string, std::vector<std::string>> ids;  // by the missing parent
  rows.tables.each(
      fmt::format(
          "SELECT ID, {1}, typeof({1}) FROM {{p}}{0} WHERE {1} IS NULL OR {1} NOT IN (SELECT "
          "ID FROM {{p}}{2} WHERE ID IS NOT NULL) ORDER BY ID LIMIT 1000",
          reference.table, reference.column, reference.parent),
      {}, [&](const Statement& row) {
        const bool number = row.text(2) == "integer";
        ids[row.is_null(1) ? ""
            : number       ? std::string{row.text(1)}
                           : sql_literal(row.text(1))]
            .emplace_back(row.text(0));
      });
  for (auto& [parent, children] : ids) {
    Orphans& orphans = found[{reference.parent, parent}];
    orphans.count += children.size();
    const std::size_t others = children.size() - std::min(children.size(), kMaxNamed);
    children.resize(children.size() - others);
    if (others != 0) children.push_back(fmt::format("{} more", others));
    orphans.who += fmt::format("{}{} {}", orphans.who.empty() ? "" : " and ", reference.table,
                               join_with_and(children));
    const std::string condition = parent.empty() ? fmt::format("{} IS NULL", reference.column)
                                                 : fmt::format("{} = {}", reference.column, parent);
    for (std::string& statement : deletions(rows, reference.table, condition)) {
      orphans.statements.push_back(std::move(statement));
    }
  }
}

// Policies that any module has a row of, switched on or not.
std::set<std::int64_t> policies_with_rows(const Tables& tables) {
  std::set<std::int64_t> out;
  for (const Reference& reference : kReferences) {
    if (reference.column != "PolicyID" || reference.table == "policy_members") continue;
    tables.each(fmt::format("SELECT DISTINCT PolicyID FROM {{p}}{}", reference.table), {},
                [&](const Statement& row) { out.insert(row.integer(0)); });
  }
  return out;
}

struct QuotaRows {
  std::int64_t rows = 0;
  std::int64_t enabled = 0;
};

QuotaRows limits_of(const RuleRows& rows, std::int64_t quota) {
  QuotaRows out;
  rows.tables.each(
      "SELECT count(*), ifnull(sum(Disabled = 0), 0) FROM {p}quotas_limits WHERE QuotasID = ?",
      {quota}, [&](const Statement& row) {
        out = {row.integer(0), row.integer(1)};
      });
  return out;
}

// How many rows of modules a policy has.
std::int64_t rows_of_policy(const RuleRows& rows, std::int64_t policy) {
  std::int64_t count = 0;
  for (const Reference& reference : kReferences) {
    if (reference.column != "PolicyID" || reference.table == "policy_members") continue;
    rows.tables.each(
        fmt::format("SELECT count(*) FROM {{p}}{} WHERE PolicyID = ?", reference.table), {policy},
        [&](const Statement& row) { count += row.integer(0); });
  }
  return count;
}

void check_quota(const RuleRows& rows, const policyd::Policy& policy, const policyd::Quota& quota,
                 Findings& findings) {
  if (!quota.limits.empty()) return;
  const QuotaRows limits = limits_of(rows, quota.id);
  if (limits.enabled != 0) return;  // of another Type, which check_problems reports
  if (rows.has_odd_switch("quotas_limits", "QuotasID", quota.id)) return;
  const std::string what =
      fmt::format("quota {} of policy {} ({})", quota.id, policy.id, escaped(policy.name));
  const std::string why =
      quota.track ? "it counts nothing and refuses nothing"
                  : "it counts nothing, and has the mail of its policy deferred by its Track";
  if (limits.rows != 0) {
    findings.wrong(problem::kLimitsOff, what + " is switched on, but all its limits are off", why,
                   rows.sql({fmt::format("UPDATE {} SET Disabled = 1 WHERE ID = {}",
                                         rows.table("quotas"), quota.id)}));
    return;
  }
  // A policy that has nothing else goes with it, since it would be empty.
  const bool alone = policy.id > kLastExample && rows_of_policy(rows, policy.id) == 1;
  findings.wrong(problem::kNoLimit, what + " has no limit", why,
                 rows.sql(alone ? delete_policy(rows, policy.id)
                                : deletions(rows, "quotas", fmt::format("ID = {}", quota.id))));
}

void check_policy(const RuleRows& rows, const policyd::Policy& policy, bool has_rows,
                  Findings& findings) {
  const std::string what = fmt::format("policy {} ({})", policy.id, escaped(policy.name));
  const bool members = !rows.members_of(policy.id).empty();
  if (!has_rows) {
    if (policy.id <= kLastExample) return;
    findings.wrong(problem::kEmptyPolicy,
                   fmt::format("{} has {}", what,
                               members ? "members, but no limit and no other rule"
                                       : "neither members nor limits"),
                   "it has no effect; a statement may have failed after it was created",
                   rows.sql(delete_policy(rows, policy.id)));
    return;
  }
  if (policy.quotas.empty() || members) return;
  if (rows.has_odd_switch("policy_members", "PolicyID", policy.id)) return;
  findings.wrong(
      problem::kNoMembers, what + " has limits, but no member that is switched on",
      "it matches no mail, so its limits are not in force",
      advice("say whose mail it is for, in place of SOURCE and DESTINATION: " +
             sqlite_command(rows.question,
                            {fmt::format("INSERT INTO {} (PolicyID, Source, Destination) VALUES "
                                         "({}, 'SOURCE', 'DESTINATION')",
                                         rows.table("policy_members"), policy.id)})));
}

}  // namespace

void check_orphans(const RuleRows& rows, Findings& findings) {
  ByParent found;
  for (const Reference& reference : kReferences) find_orphans(rows, reference, found);
  for (const auto& [parent, orphans] : found) {
    const std::string_view refer = of_number(orphans.count, "refers", "refer");
    findings.wrong(problem::kOrphan,
                   parent.second.empty()
                       ? fmt::format("{} {} to no row of {}", orphans.who, refer, parent.first)
                       : fmt::format("{} {} to {} {}, which does not exist", orphans.who, refer,
                                     one_of(parent.first), escaped(parent.second)),
                   "that is not in force, and a later row with the ID would get it",
                   rows.sql(orphans.statements));
  }
  findings.well_unless_wrong("rules.orphans", "every row belongs to a policy, quota or group");
}

void check_empty(const RuleRows& rows, Findings& findings) {
  const auto with_rows = policies_with_rows(rows.tables);
  for (const policyd::Policy& policy : rows.rules.policies) {
    for (const policyd::Quota& quota : policy.quotas) {
      check_quota(rows, policy, quota, findings);
    }
    check_policy(rows, policy, with_rows.contains(policy.id), findings);
  }
  // As `list` shows them.
  const auto& all = rows.all.limits;
  const auto on = static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const StoredLimit& limit) { return limit.partly_enabled(); }));
  findings.well_unless_wrong(
      "rules.empty", fmt::format("{} of {} {} switched on", on, counted(all.size(), "limit"),
                                 of_number(on, "is", "are")));
}

}  // namespace limits
