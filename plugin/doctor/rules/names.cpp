// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: names with letters that look like others (look_alike.hpp).
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/evident/look_alike.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::RowProblem;
using policyd::sql::Statement;

struct NameColumn {
  std::string_view table;
  std::string_view column;
};
constexpr std::array kNameColumns = {NameColumn{"policies", "Name"},
                                     NameColumn{"policy_groups", "Name"},
                                     NameColumn{"quotas", "Name"},
                                     NameColumn{"policy_members", "Source"},
                                     NameColumn{"policy_members", "Destination"},
                                     NameColumn{"policy_group_members", "Member"}};

// Lists that name the group: it is renamed there too.
std::vector<std::string> renamed_group(const RuleRows& rows, std::int64_t id,
                                       const std::string& from, const std::string& to) {
  std::vector<std::string> out = {fmt::format("UPDATE {} SET Name = {} WHERE ID = {}",
                                              rows.table("policy_groups"), sql_literal(to), id)};
  for (const NameColumn& each : kNameColumns) {
    if (each.column == "Name") continue;
    rows.tables.each(
        fmt::format("SELECT ID, {} FROM {{p}}{}", each.column, each.table), {},
        [&](const Statement& row) {
          std::string list;
          bool found = false;
          for (const std::string_view item : split(row.text(1), ',')) {
            const bool negated = item.starts_with('!');
            const bool is_it = item.substr(negated ? 1 : 0) == "%" + from;
            found = found || is_it;
            list += (list.empty() ? "" : ",") +
                    (is_it ? (negated ? "!%" : "%") + to : std::string{item});
          }
          if (!found) return;
          out.push_back(fmt::format("UPDATE {} SET {} = {} WHERE ID = {}", rows.table(each.table),
                                    each.column, sql_literal(list), row.integer(0)));
        });
  }
  return out;
}

// Without its items that name groups, whose names are examined by themselves.
std::string without_groups(std::string_view list) {
  std::string out;
  for (const std::string_view item : split(list, ',')) {
    if (item.starts_with('%') || item.starts_with("!%")) continue;
    out += (out.empty() ? "" : ",") + std::string{item};
  }
  return out;
}

bool has_problem(const RuleRows& rows, const NameColumn& column, std::int64_t id) {
  return std::any_of(
      rows.rules.problems.begin(), rows.rules.problems.end(), [&](const RowProblem& problem) {
        return problem.table == column.table && problem.id == id && problem.column == column.column;
      });
}

Fix fix_for_name(const RuleRows& rows, const NameColumn& column, std::int64_t id,
                 const std::string& text) {
  const auto whole = look_alike(text);
  const std::string plain = whole ? whole->plain : std::string{};
  const bool group = column.table == "policy_groups";
  const bool taken =
      group &&
      rows.tables.has_row("SELECT 1 FROM {p}policy_groups WHERE Name = ?", {plain}).value_or(true);
  if (plain.empty() || taken) {
    return advice(fmt::format(
        "retype it in place of VALUE: {}",
        sqlite_command(rows.question, {fmt::format("UPDATE {} SET {} = 'VALUE' WHERE ID = {}",
                                                   rows.table(column.table), column.column, id)})));
  }
  if (group) return rows.sql(renamed_group(rows, id, text, plain));
  return rows.sql({fmt::format("UPDATE {} SET {} = {} WHERE ID = {}", rows.table(column.table),
                               column.column, sql_literal(plain), id)});
}

}  // namespace

void check_names(const RuleRows& rows, Findings& findings) {
  for (const NameColumn& each : kNameColumns) {
    const bool list = each.column != "Name";
    rows.tables.each(fmt::format("SELECT ID, {} FROM {{p}}{}", each.column, each.table), {},
                     [&](const Statement& row) {
                       const std::string text{row.text(1)};
                       const std::int64_t id = row.integer(0);
                       const auto found = look_alike(list ? without_groups(text) : text);
                       // A list that is not valid is corrected as a whole by check_problems.
                       if (!found || (list && has_problem(rows, each, id))) return;
                       findings.wrong(
                           problem::kNames,
                           fmt::format("{} {}: {} '{}' looks Latin but {}", each.table, id,
                                       each.column, shown(text), found->what),
                           "searching for the name as it reads, or typing it, gives another name",
                           fix_for_name(rows, each, id, text));
                     });
  }
  findings.well_unless_wrong("rules.names", "no name contains look-alike letters");
}

}  // namespace limits
