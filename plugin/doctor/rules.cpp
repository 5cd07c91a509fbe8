// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: rows without effect, or with another effect than intended.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "daemon/base/shell_words.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/row_problem.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

// A member as its two texts, to compare which mail policies match.
using MemberTexts = std::set<std::pair<std::string, std::string>>;

struct Orphan {
  const char* table;
  const char* column;
  const char* parent;
};
constexpr std::array kOrphans = {
    Orphan{"policy_members", "PolicyID", "policies"},
    Orphan{"quotas", "PolicyID", "policies"},
    Orphan{"quotas_limits", "QuotasID", "quotas"},
    Orphan{"access_control", "PolicyID", "policies"},
    Orphan{"accounting", "PolicyID", "policies"},
    Orphan{"checkhelo", "PolicyID", "policies"},
    Orphan{"checkspf", "PolicyID", "policies"},
    Orphan{"greylisting", "PolicyID", "policies"},
    Orphan{"policy_group_members", "PolicyGroupID", "policy_groups"},
};

// The only row of `parent` that no row of `table` refers to: probably the intended one.
std::optional<std::int64_t> probably_intended(const Tables& tables, const Orphan& orphan) {
  std::vector<std::int64_t> ids;
  // 5 and below are the policies of a fresh database, 2 and below its groups and quotas.
  tables.each(fmt::format("SELECT ID FROM {{p}}{0} p WHERE ID > {3} AND NOT EXISTS (SELECT 1 FROM "
                          "{{p}}{1} c WHERE c.{2} = p.ID) LIMIT 2",
                          orphan.parent, orphan.table, orphan.column,
                          std::string_view{orphan.parent} == "policies" ? 5 : 2),
              {}, [&](const Statement& row) { ids.push_back(row.integer(0)); });
  return ids.size() == 1 ? std::optional{ids.front()} : std::nullopt;
}

// Also deletes the rows that depend on it, which would become orphans.
std::string delete_statement(const Tables& tables, const Orphan& orphan, std::int64_t id) {
  std::string row = fmt::format("DELETE FROM {}{} WHERE ID = {}", tables.prefix, orphan.table, id);
  if (std::string_view{orphan.table} != "quotas") return row;
  return fmt::format("DELETE FROM {}quotas_limits WHERE QuotasID = {}; {}", tables.prefix, id, row);
}

void check_orphans(const DoctorQuestion& question, const Tables& tables, Findings& findings) {
  for (const Orphan& orphan : kOrphans) {
    const auto intended = probably_intended(tables, orphan);
    tables.each(
        fmt::format("SELECT ID, {1} FROM {{p}}{0} WHERE {1} IS NULL OR {1} NOT IN (SELECT ID "
                    "FROM {{p}}{2}) ORDER BY ID LIMIT 20",
                    orphan.table, orphan.column, orphan.parent),
        {}, [&](const Statement& row) {
          const std::string table = tables.prefix + orphan.table;
          const std::string fix = intended
                                      ? fmt::format("UPDATE {} SET {} = {} WHERE ID = {}", table,
                                                    orphan.column, *intended, row.integer(0))
                                      : delete_statement(tables, orphan, row.integer(0));
          findings.wrong("rules.orphans",
                         fmt::format("{} {} refers to {} {}, which does not exist", orphan.table,
                                     row.integer(0), orphan.parent,
                                     row.is_null(1) ? "NULL" : escaped(row.text(1))),
                         "the row has no effect: its limit is not in force",
                         sqlite_command(question, fix));
        });
  }
  findings.well_unless_wrong("rules.orphans", "every row belongs to a policy, quota or group");
}

// A change that makes the row valid, or takes it out.
std::string fixing_change(const policyd::RowProblem& problem) {
  struct Change {
    std::string_view table;
    std::string_view column;
    const char* change;
  };
  if (problem.kind == policyd::RowProblem::Kind::too_long) {
    return fmt::format("SET {0} = substr({0}, 1, {1})", problem.column, problem.other);
  }
  constexpr std::array kChanges = {
      Change{"quotas", "Track", "SET Track = 'Sender:user@domain'"},
      Change{"quotas", "Period", "SET Period = 60"},
      Change{"quotas", "Verdict", "SET Verdict = 'DEFER'"},
      Change{"quotas", "Data", "SET Verdict = 'DEFER', Data = NULL"},  // what is in force
      Change{"accounting", "Data", "SET Verdict = 'DEFER', Data = NULL"},
      Change{"quotas_limits", "Type", "SET Type = 'MessageCount'"},
      Change{"quotas_limits", "CounterLimit", "SET CounterLimit = 100"},
      Change{"accounting", "Track", "SET Track = 'Sender:user@domain'"},
      Change{"accounting", "AccountingPeriod", "SET AccountingPeriod = 0"},
      Change{"accounting", "Verdict", "SET Verdict = 'DEFER'"},
      Change{"greylisting", "Track", "SET Track = 'SenderIP:/24'"},
      // A week.
      Change{"greylisting", "AutoWhitelistPeriod", "SET AutoWhitelistPeriod = 604800"},
      Change{"greylisting", "AutoBlacklistPeriod", "SET AutoBlacklistPeriod = 604800"},
      Change{"checkhelo", "HRPPeriod", "SET HRPPeriod = 604800"},
      Change{"checkhelo", "HRPLimit", "SET HRPLimit = 5"},
  };
  const auto* change = std::find_if(kChanges.begin(), kChanges.end(), [&](const Change& each) {
    return each.table == problem.table && each.column == problem.column;
  });
  return change == kChanges.end() ? "SET Disabled = 1" : change->change;
}

std::string_view consequence(const policyd::RowProblem& problem) {
  using Kind = policyd::RowProblem::Kind;
  switch (problem.kind) {
    case Kind::missing:
    case Kind::missing_for_some:
      return "all mail of its policy is deferred";
    case Kind::line_break:
    case Kind::empty_item:
    case Kind::invalid_network:
    case Kind::unknown_item:
    case Kind::unknown_group:
    case Kind::empty_member:
    case Kind::broken_group:
      return problem.table == "policy_members"
                 ? "the policy does not match the mail it is meant for"
                 : "the group does not contain everyone it should";
    case Kind::too_long:
      return "users see only the beginning of the text";
    case Kind::unfit_data:
      return "Postfix ignores such a verdict, so that mail it applies to is deferred instead (with "
             "algorithm=decay it passes)";
    case Kind::not_a_number:
    case Kind::not_positive:
    case Kind::invalid_value:
      break;
  }
  if (problem.table == "quotas_limits") {
    return "it limits nothing, or defers all mail of its policy";
  }
  if (problem.column == "Source") {
    const bool method = lower_cased(problem.value).rfind("senderip:", 0) == 0;
    return problem.table == "checkhelo_whitelist" && !method
               ? "CheckHelo defers all mail it checks"
               : "the client it names is not whitelisted";
  }
  return "mail it applies to is deferred, or not limited";
}

void check_problems(const DoctorQuestion& question, const Tables& tables,
                    const policyd::Rules& rules, Findings& findings) {
  for (const policyd::RowProblem& problem : rules.problems) {
    findings.wrong(
        "rules.rows", describe(problem), std::string{consequence(problem)},
        sqlite_command(question, fmt::format("UPDATE {}{} {} WHERE ID = {}", tables.prefix,
                                             problem.table, fixing_change(problem), problem.id)));
  }
  findings.well_unless_wrong("rules.rows", "the daemon understands every row");
}

// A Track that counts single clients for IPv4 only.
void check_clients(const DoctorQuestion& question, const Tables& tables, const AllLimits& all,
                   Findings& findings) {
  for (const StoredLimit& limit : all.limits) {
    if (!limit.partly_enabled() || !joins_v6_clients(limit.track, limit.what.target)) continue;
    const auto wanted = wanted_of(limit);
    findings.wrong(
        "rules.clients",
        fmt::format("limit {} counts IPv4 clients one by one, but IPv6 clients by /32 network",
                    limit.id),
        "all IPv6 customers of a provider share one counter, which one of them can use up",
        wanted ? "carbonio-limits " + line_of(*wanted)
               : sqlite_command(
                     question,
                     fmt::format("UPDATE {}quotas SET Track = 'SenderIP:/128' WHERE PolicyID = {} "
                                 "AND Track = '{}'",
                                 tables.prefix, limit.policy_id, limit.track)));
  }
}

bool is_for_all(const MemberTexts& members) { return members.contains({"any", "any"}); }

MemberTexts members_of_policy(const Tables& tables, std::int64_t policy) {
  MemberTexts texts;
  tables.each(
      fmt::format("SELECT Source, Destination FROM {{p}}policy_members WHERE Disabled = 0 AND "
                  "PolicyID = {}",
                  policy),
      {}, [&](const Statement& row) {
        const auto side = [&](int column) {
          const auto text = row.optional_text(column);
          return policyd::matches_everything(text) ? std::string{"any"} : *text;
        };
        texts.emplace(side(0), side(1));
      });
  return texts;
}

// Limits that never apply: after a LastQuota, or if an access_control decides on all mail first.
void check_walk(const DoctorQuestion& question, const Tables& tables, const policyd::Rules& rules,
                Findings& findings) {
  struct End {
    std::int64_t policy, quota;
    MemberTexts members;
  };
  std::vector<End> ends;
  const policyd::Policy* answers = nullptr;
  for (const policyd::Policy& policy : rules.policies) {
    const bool relevant = !policy.quotas.empty() || !policy.access_control.empty();
    const MemberTexts members = relevant ? members_of_policy(tables, policy.id) : MemberTexts{};
    if (question.daemon.config.access_control && answers == nullptr && is_for_all(members)) {
      const bool final =
          !policy.access_control.empty() &&
          policy.access_control.front().verdict.kind == policyd::RowVerdict::Kind::action &&
          policy.access_control.front().verdict.action != policyd::Action::pass;
      if (final) answers = &policy;
    }
    for (const policyd::Quota& quota : policy.quotas) {
      const auto ended = std::find_if(ends.begin(), ends.end(), [&](const End& end) {
        return end.policy == policy.id || is_for_all(end.members) || end.members == members;
      });
      if (ended != ends.end()) {
        findings.wrong(
            "rules.last_quota",
            fmt::format("quota {} of policy {} ({}) never applies: quota {} of policy {} ends the "
                        "walk before it (LastQuota)",
                        quota.id, policy.id, escaped(policy.name), ended->quota, ended->policy),
            "its limit is not in force",
            sqlite_command(question, fmt::format("UPDATE {}quotas SET LastQuota = 0 WHERE ID = {}",
                                                 tables.prefix, ended->quota)));
      } else if (quota.last) {
        ends.push_back({policy.id, quota.id, members});
      }
    }
  }
  findings.well_unless_wrong("rules.last_quota",
                             "no limit comes after one that ends the walk (LastQuota)");
  if (answers == nullptr) return;
  findings.wrong(
      "rules.access_control",
      fmt::format("access_control {} of policy {} ({}) decides on all mail",
                  answers->access_control.front().id, answers->id, escaped(answers->name)),
      "its verdict is final, so Quotas never runs and no limit is in force",
      sqlite_command(question, fmt::format("UPDATE {}access_control SET Disabled = 1 WHERE ID = {}",
                                           tables.prefix, answers->access_control.front().id)));
}

void check_policies(const DoctorQuestion& question, const Tables& tables,
                    const policyd::Rules& rules, Findings& findings) {
  std::size_t limits = 0;
  for (const policyd::Policy& policy : rules.policies) {
    for (const policyd::Quota& quota : policy.quotas) {
      limits += quota.limits.size();
      if (!quota.limits.empty()) continue;
      findings.wrong("rules.empty",
                     fmt::format("quota {} ({}) has no limit that is switched on", quota.id,
                                 escaped(quota.name)),
                     "it counts nothing and refuses nothing",
                     fmt::format("carbonio-limits remove {}", quota.id));
    }
    if (policy.quotas.empty() || !members_of_policy(tables, policy.id).empty()) continue;
    findings.wrong(
        "rules.empty",
        fmt::format("policy {} ({}) has limits but no members", policy.id, escaped(policy.name)),
        "it matches no mail, so its limits are not in force",
        sqlite_command(question, fmt::format("INSERT INTO {}policy_members (PolicyID, Source, "
                                             "Destination) VALUES ({}, '%internal_domains', 'any')",
                                             tables.prefix, policy.id)));
  }
  findings.well_unless_wrong(
      "rules.empty",
      fmt::format("{} policies with {} limits are switched on", rules.policies.size(), limits));
}

}  // namespace

std::string sqlite_command(const DoctorQuestion& question, const std::string& sql) {
  return fmt::format("sqlite3 {} {}", policyd::shell_word(question.daemon.config.database.string()),
                     policyd::shell_word(sql));
}

bool is_carbonio(const DoctorQuestion& question) {
  std::error_code code;
  return std::filesystem::exists(question.zextras_home / "bin" / "carbonio", code);
}

RulesChecked check_rules(const DoctorQuestion& question, const Tables& tables, Findings& findings) {
  RulesChecked checked;
  auto rules = policyd::load_rules(tables.db, tables.prefix, std::nullopt);
  if (!rules) {
    findings.not_checked("rules.rows", "the rules cannot be read: " + rules.error().message);
    return checked;
  }
  checked.rules = std::move(*rules);
  // The daemon can read the rules, so this can; if not, the checks of limits find nothing.
  const AllLimits all = read_limits(tables).value_or(AllLimits{});
  check_problems(question, tables, *checked.rules, findings);
  check_orphans(question, tables, findings);
  check_policies(question, tables, *checked.rules, findings);
  check_walk(question, tables, *checked.rules, findings);
  check_clients(question, tables, all, findings);
  check_names(question, tables, findings);
  check_senders(question, tables, all, checked, findings);
  return checked;
}

}  // namespace limits
