// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the rules as a whole; the checks are in files of their own.
#include <fmt/core.h>
#include <fmt/format.h>

#include "daemon/base/shell_words.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "hooks/service/service.hpp"
#include "plugin/doctor/checks.hpp"

namespace limits {

std::string sqlite_command(const DoctorQuestion& question,
                           const std::vector<std::string>& statements) {
  const std::string sql = statements.size() == 1
                              ? statements.front()
                              : fmt::format("BEGIN; {}; COMMIT", fmt::join(statements, "; "));
  return fmt::format("sqlite3 {} {}", policyd::shell_word(question.daemon.config.database.string()),
                     policyd::shell_word(sql));
}

std::string sql_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string{"''"} : std::string{c};
  return out + "'";
}

bool is_carbonio(const DoctorQuestion& question) {
  return carbonio::is_carbonio(question.zextras_home);
}

RuleRows::RuleRows(const DoctorQuestion& asked, const Tables& in, const policyd::Rules& read,
                   const AllLimits& listed)
    : question(asked), tables(in), rules(read), all(listed) {
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) limits.emplace(rate.quota_id, &limit);
  }
  tables.each(
      "SELECT PolicyID, ID, Source, Destination FROM {p}policy_members WHERE Disabled = 0 ORDER BY "
      "ID",
      {}, [&](const policyd::sql::Statement& row) {
        members[row.integer(0)].push_back(
            {row.integer(1), row.optional_text(2), row.optional_text(3)});
      });
}

const std::vector<PolicyMember>& RuleRows::members_of(std::int64_t policy) const {
  const auto found = members.find(policy);
  return found == members.end() ? none : found->second;
}

std::int64_t RuleRows::listed_id(std::int64_t quota) const {
  const auto found = limits.find(quota);
  return found == limits.end() ? quota : found->second->id;
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
  const RuleRows rows{question, tables, *checked.rules, all};
  check_problems(rows, findings);
  check_orphans(rows, findings);
  check_empty(rows, findings);
  check_order(rows, findings);
  check_columns(rows, findings);
  check_duplicates(rows, findings);
  check_doubtful(rows, findings);
  check_samples(rows, findings);
  check_clients(rows, findings);
  check_names(rows, findings);
  check_blocks(rows, findings);
  check_steps(rows, findings);
  check_senders(rows, checked, findings);
  check_groups(rows, findings);
  return checked;
}

}  // namespace limits
