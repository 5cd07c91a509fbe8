// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: Sources, Destinations and members of groups that do not match what they are meant for.
#include <fmt/core.h>

#include <map>
#include <set>
#include <tuple>

#include "plugin/doctor/evident/evident_list.hpp"
#include "plugin/doctor/rules/row_advice.hpp"

namespace limits {
namespace {

using policyd::RowProblem;
using policyd::Side;
using policyd::sql::Statement;
using Kind = RowProblem::Kind;

std::set<std::string> group_names(const Tables& tables) {
  std::set<std::string> out;
  tables.each("SELECT Name FROM {p}policy_groups", {},
              [&](const Statement& row) { out.emplace(row.text(0)); });
  return out;
}

std::optional<std::string> text_of(const RuleRows& rows, const RowProblem& problem) {
  std::optional<std::string> text;
  rows.tables.each(
      fmt::format("SELECT {} FROM {{p}}{} WHERE ID = ?", problem.column, problem.table),
      {problem.id}, [&](const Statement& row) { text = row.optional_text(0); });
  return text;
}

// Alternatives need a row each.
std::vector<std::string> rows_for(const RuleRows& rows, const RowProblem& problem,
                                  const std::vector<std::string>& lists) {
  std::vector<std::string> out = {
      update_of(rows, problem, problem.column, sql_literal(lists.front()))};
  const bool source = problem.column == "Source";
  for (std::size_t i = 1; i < lists.size(); ++i) {
    out.push_back(
        fmt::format("INSERT INTO {0} (PolicyID, Source, Destination, Comment) SELECT PolicyID, "
                    "{1}, {2}, Comment "
                    "FROM {0} WHERE ID = {3}",
                    rows.table("policy_members"), source ? sql_literal(lists[i]) : "Source",
                    source ? "Destination" : sql_literal(lists[i]), problem.id));
  }
  return out;
}

std::string group_of_row(const RuleRows& rows, std::int64_t id) {
  std::string name;
  rows.tables.each(
      "SELECT g.Name FROM {p}policy_groups g JOIN {p}policy_group_members m ON m.PolicyGroupID = "
      "g.ID WHERE m.ID = ?",
      {id}, [&](const Statement& row) { name = row.text(0); });
  return name;
}

// Whether a group with this member would contain itself.
bool closes_circle(const RuleRows& rows, std::int64_t id, const std::string& member) {
  const std::string own = group_of_row(rows, id);
  const GroupMembers groups = read_group_members(rows.tables);
  std::set<std::string> seen;
  std::vector<std::string> ahead = {member};
  while (!ahead.empty()) {
    const std::string list = std::move(ahead.back());
    ahead.pop_back();
    for (const std::string_view text : policyd::member_items(list)) {
      const auto item = policyd::parse_item(text, Side::source);
      if (item.kind != policyd::ItemKind::group || !seen.insert(item.text).second) continue;
      if (item.text == own) return true;
      const auto found = groups.find(item.text);
      if (found == groups.end()) continue;
      ahead.insert(ahead.end(), found->second.begin(), found->second.end());
    }
  }
  return false;
}

Fix fix_for_list(const RuleRows& rows, const RowProblem& problem,
                 const std::set<std::string>& groups) {
  const auto text = text_of(rows, problem);
  if (problem.kind == Kind::empty_member) {
    return fix_for_only_member(rows, problem.id)
        .value_or(rows.sql({delete_member(rows, problem.id)}));
  }
  if (!text || problem.kind == Kind::line_break) return say_what_is_meant(rows, problem);
  if (problem.column == "Member") {
    const auto member = evident_member(*text, groups);
    if (!member || closes_circle(rows, problem.id, *member)) {
      return say_what_is_meant(rows, problem);
    }
    return rows.sql({update_of(rows, problem, problem.column, sql_literal(*member))});
  }
  const Side side = problem.column == "Source" ? Side::source : Side::destination;
  const auto lists = evident_lists(*text, side, groups);
  if (!lists) return say_what_is_meant(rows, problem);
  return rows.sql(rows_for(rows, problem, *lists));
}

}  // namespace

void check_lists(const RuleRows& rows, Findings& findings) {
  std::map<std::tuple<std::string, std::int64_t, std::string>, std::vector<const RowProblem*>>
      lists;
  for (const RowProblem& problem : rows.rules.problems) {
    if (!is_list(problem)) continue;
    // check_groups says how to make these two.
    const bool own = problem.value == "%internal_ips" || problem.value == "!%internal_ips" ||
                     problem.value == "%internal_domains" || problem.value == "!%internal_domains";
    if (problem.kind == Kind::unknown_group && own) continue;
    lists[{problem.table, problem.id, problem.column}].push_back(&problem);
  }
  if (lists.empty()) return;
  const std::set<std::string> groups = group_names(rows.tables);
  for (const auto& [key, problems] : lists) {
    std::string what = describe(*problems.front());
    for (std::size_t i = 1; i < problems.size(); ++i) {
      what += "; " + describe_without_row(*problems[i]);
    }
    findings.wrong(problem_of(*problems.front()), what, consequence(rows, *problems.front()),
                   fix_for_list(rows, *problems.front(), groups));
  }
}

}  // namespace limits
