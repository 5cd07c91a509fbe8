// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: rows that the daemon does not understand. A value is replaced only by what it was
// evidently meant to be (evident_values.hpp); otherwise the admin has to say it.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "daemon/base/printable.hpp"
#include "daemon/modules/make_modules.hpp"
#include "daemon/rules/all_mail.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/evident/evident_list.hpp"
#include "plugin/doctor/rules/row_advice.hpp"

namespace limits {
namespace {

using policyd::RowProblem;
using Kind = RowProblem::Kind;

// Columns of numbers take one without quotes; it is one in both cases.
std::string value_of(const std::string& evident) {
  const bool number = evident.find_first_not_of("0123456789") == std::string::npos;
  return number ? evident : sql_literal(evident);
}

bool is_taken(const RuleRows& rows, const RowProblem& problem, const std::string& value) {
  if (problem.column != "Source") return false;  // of a whitelist, where it is unique
  return rows.tables
      .has_row(fmt::format("SELECT 1 FROM {{p}}{} WHERE Source = ?", problem.table), {value})
      .value_or(true);
}

// "<anna@example.org>" as the Data of REDIRECT.
std::optional<std::string> evident_address(const RowProblem& problem) {
  if (policyd::RowVerdict::parse(problem.other).action != policyd::Action::redirect ||
      problem.value.size() >= RowProblem::kMaxValue) {
    return std::nullopt;
  }
  auto address = evident_item(problem.value, policyd::Side::destination, {});
  if (!address || !policyd::fits(policyd::Action::redirect, *address)) return std::nullopt;
  return address;
}

// The change that makes the row valid without a guess.
std::optional<std::string> evident_change(const RuleRows& rows, const RowProblem& problem) {
  // Without the switch the row has no need of the missing column.
  if (problem.kind == Kind::missing || problem.kind == Kind::missing_for_some) {
    // NULL there is on.
    const bool greylisting = problem.other == "UseGreylisting";
    return update_of(rows, problem, problem.other, greylisting ? "0" : "NULL");
  }
  if (problem.kind == Kind::unfit_data) {
    if (const auto address = evident_address(problem)) {
      return update_of(rows, problem, problem.column, sql_literal(*address));
    }
  }
  // What is answered now; `decay` answers nothing of use.
  const bool limit = problem.table == "quotas" || problem.table == "accounting";
  const bool deferred = rows.question.daemon.config.quotas_algorithm == policyd::Algorithm::window;
  if (problem.kind == Kind::unfit_data && limit && deferred) {
    return update_of(rows, problem, "Verdict", "'DEFER', Data = NULL");
  }
  if (problem.kind == Kind::too_long) {  // as it is used now
    return update_of(rows, problem, problem.column,
                     fmt::format("substr({}, 1, {})", problem.column, problem.other));
  }
  const auto value = evident_value(problem);
  if (!value) return std::nullopt;
  if (is_taken(rows, problem, *value)) {
    return fmt::format("DELETE FROM {} WHERE ID = {}", rows.table(problem.table), problem.id);
  }
  return update_of(rows, problem, problem.column, value_of(*value));
}

// Takes the row out; a quota whose only limit were switched off would be one without a limit.
std::string switch_off(const RuleRows& rows, const RowProblem& problem) {
  if (problem.table != "quotas_limits") return update_of(rows, problem, "Disabled", "1");
  return fmt::format(
      "UPDATE {} SET Disabled = 1 WHERE ID = (SELECT QuotasID FROM {} WHERE ID = {})",
      rows.table("quotas"), rows.table("quotas_limits"), problem.id);
}

void find_row(const RuleRows& rows, const RowProblem& problem, Findings& findings) {
  const auto change = evident_change(rows, problem);
  findings.wrong(problem_of(problem), describe(problem), consequence(rows, problem),
                 change ? rows.sql({*change}) : say_what_is_meant(rows, problem));
}

// What the row of the group has besides the item that closes the circle; empty if nothing.
std::string without_item(const RuleRows& rows, const policyd::BrokenGroup& broken) {
  std::string rest;
  rows.tables.each("SELECT Member FROM {p}policy_group_members WHERE ID = ?", {broken.member},
                   [&](const policyd::sql::Statement& row) {
                     for (const std::string_view item : policyd::member_items(row.text(0))) {
                       if (item != broken.item)
                         rest += fmt::format("{}{}", rest.empty() ? "" : ",", item);
                     }
                   });
  return rest;
}

Fix fix_for_circle(const RuleRows& rows, const policyd::BrokenGroup& broken, bool of_itself) {
  const std::string rest = without_item(rows, broken);
  if (rest.empty()) {
    if (auto fix = fix_for_only_member(rows, broken.member)) return *fix;
  }
  const std::string change = rest.empty() ? delete_member(rows, broken.member)
                                          : fmt::format("UPDATE {} SET Member = {} WHERE ID = {}",
                                                        rows.table("policy_group_members"),
                                                        sql_literal(rest), broken.member);
  if (of_itself) return rows.sql({change});
  return advice(fmt::format(
      "take one of the groups of the circle out of another, such as {} out of group {}: {}",
      policyd::in_quotes(broken.item), policyd::in_quotes(broken.group),
      sqlite_command(rows.question, {change})));
}

// One finding for one cause: what else is wrong with groups that contain a broken one, or are in
// the same circle, goes with it.
void find_circle(const RuleRows& rows, const RowProblem& problem, Findings& findings) {
  for (const auto* faults : {&rows.all.faults.sources, &rows.all.faults.destinations}) {
    const auto found = faults->find(problem.value);
    if (found == faults->end()) continue;
    const policyd::BrokenGroup& broken = found->second;
    if (broken.group != problem.value || !broken.in_circle) return;
    findings.wrong(problem_of(problem), describe(problem), consequence(rows, problem),
                   fix_for_circle(rows, broken, problem.value == problem.other));
    return;
  }
}

// The rows that have all mail deferred, of modules that are on. Each needs a statement even if it
// is not evident what was meant: then the row is switched off, which changes nothing but that.
std::set<const RowProblem*> check_all_mail(const RuleRows& rows, Findings& findings) {
  const auto modules = policyd::module_names(rows.question.daemon.config);
  std::set<const RowProblem*> found;
  for (const RowProblem& problem : rows.rules.problems) {
    if (!policyd::defers_all_mail(problem, modules)) continue;
    found.insert(&problem);
    findings.wrong(problem::kAllMail, policyd::describe_all_mail(problem),
                   problem.kind == Kind::below_one
                       ? "its policy matches all mail: no one can send or receive"
                       : "its policy matches all mail, and the daemon cannot use this row: no one "
                         "can send or receive",
                   rows.sql({evident_change(rows, problem).value_or(switch_off(rows, problem))}));
  }
  return found;
}

}  // namespace

void check_problems(const RuleRows& rows, Findings& findings) {
  const auto reported = check_all_mail(rows, findings);
  for (const RowProblem& problem : rows.rules.problems) {
    if (is_list(problem) || reported.contains(&problem)) continue;
    if (problem.kind == Kind::broken_group) {
      find_circle(rows, problem, findings);
    } else {
      find_row(rows, problem, findings);
    }
  }
  check_lists(rows, findings);
  if (reported.empty()) {
    findings.well_unless_wrong("rules.rows", "the daemon understands every row");
  }
}

}  // namespace limits
