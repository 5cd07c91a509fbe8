// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: what moving tables about leaves behind: references to tables that are gone, and tables
// without their primary key.
#include <fmt/core.h>
#include <fmt/format.h>

#include <array>
#include <map>

#include "daemon/base/shell_words.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"
#include "schema_sql.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

// Each reference of a fresh database: (table, column) -> referenced table.
using References = std::map<std::pair<std::string, std::string>, std::string>;

References references_in(const Tables& tables) {
  References out;
  tables.each(
      "SELECT m.name, f.\"from\", f.\"table\" FROM sqlite_master m, "
      "pragma_foreign_key_list(m.name) f "
      "WHERE m.type = 'table'",
      {}, [&](const Statement& row) {
        out[{std::string{row.text(0)}, std::string{row.text(1)}}] = row.text(2);
      });
  return out;
}

// SQLite's own way to change a constraint in place: rows, indexes and triggers stay.
std::vector<std::string> renamed_reference(const Tables& tables, const std::string& table,
                                           const std::string& from, const std::string& to) {
  std::int64_t version = 0;
  tables.each("PRAGMA schema_version", {}, [&](const Statement& row) { version = row.integer(0); });
  return {
      "PRAGMA writable_schema = ON",
      fmt::format("UPDATE sqlite_master SET sql = replace(sql, {}, {}) WHERE type = 'table' AND "
                  "name = {}",
                  sql_literal(from), sql_literal(to), sql_literal(table)),
      fmt::format("PRAGMA schema_version = {}", version + 1), "PRAGMA writable_schema = OFF"};
}

// "CREATE TABLE {p}quotas (...)" of a fresh database, for a table with another name.
std::string fresh_table(const std::string& prefix, const std::string& table,
                        const std::string& name) {
  const std::string schema = policyd::sql::with_prefix(policyd::kSchemaSql, prefix);
  const std::string begin = fmt::format("CREATE TABLE {} (", prefix + table);
  const std::size_t at = schema.find(begin);
  if (at == std::string::npos) return {};
  const std::size_t end = schema.find(';', at);
  std::string out = fmt::format("CREATE TABLE {} (", name) +
                    schema.substr(at + begin.size(), end - at - begin.size());
  std::string line;
  for (const char c : out) {
    if (c != '\n' && !(c == ' ' && !line.empty() && line.back() == ' ')) line += c;
  }
  return line;
}

// Copies the rows into a table with the key; what lacks an ID gets one.
std::vector<std::string> rebuilt_table(const Tables& tables, const std::string& table) {
  const std::string old = tables.prefix + table;
  const std::string made = "new_" + old;
  const std::string create = fresh_table(tables.prefix, table, made);
  if (create.empty()) return {};
  std::vector<std::string> columns;
  tables.each(fmt::format("SELECT name FROM pragma_table_info({})", sql_literal(old)), {},
              [&](const Statement& row) { columns.emplace_back(row.text(0)); });
  const auto known = [&](const std::string& column) {
    return create.find(" " + column + " ") != std::string::npos ||
           create.find("(" + column + " ") != std::string::npos;
  };
  std::erase_if(columns, [&](const std::string& column) { return !known(column); });
  return {
      create,
      fmt::format("INSERT INTO {0} ({1}) SELECT {1} FROM {2}", made, fmt::join(columns, ", "), old),
      fmt::format("DROP TABLE {}", old), fmt::format("ALTER TABLE {} RENAME TO {}", made, old)};
}

constexpr std::array<std::string_view, 10> kWithKey = {
    "policies",  "policy_members", "policy_groups",  "policy_group_members",
    "quotas",    "quotas_limits",  "access_control", "accounting",
    "checkhelo", "greylisting"};

bool lacks_key(const Tables& tables, std::string_view table) {
  bool exists = false;
  bool key = false;
  tables.each(fmt::format("SELECT lower(name), pk FROM pragma_table_info({})",
                          sql_literal(tables.prefix + std::string{table})),
              {}, [&](const Statement& row) {
                exists = true;
                key = key || (row.text(0) == "id" && row.integer(1) != 0);
              });
  return exists && !key;
}

}  // namespace

void check_references(const DoctorQuestion& question, const Tables& tables, Findings& findings) {
  for (const auto& [from, to] : references_in(tables)) {
    const bool exists =
        tables
            .has_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
                     {to})
            .value_or(true);
    if (exists) continue;
    const bool policy = from.second == "PolicyID";
    const std::string parent = tables.prefix + (policy                           ? "policies"
                                                : from.second == "QuotasID"      ? "quotas"
                                                : from.second == "PolicyGroupID" ? "policy_groups"
                                                : from.second == "AccountingID"  ? "accounting"
                                                                                 : "quotas_limits");
    if (to == parent) continue;  // the table is missing, which is a problem of its own
    findings.wrong(
        problem::kLostReference,
        fmt::format("table {} refers to table {}, which does not exist", from.first, escaped(to)),
        "programs that check foreign keys cannot write to it",
        command(fmt::format(
            "sqlite3 {} {}", policyd::shell_word(question.daemon.config.database.string()),
            policyd::shell_word(fmt::format(
                "{}", fmt::join(renamed_reference(tables, from.first, to, parent), "; "))))));
  }
  for (const std::string_view table : kWithKey) {
    if (!lacks_key(tables, table)) continue;
    const auto statements = rebuilt_table(tables, std::string{table});
    findings.wrong(problem::kNoPrimaryKey,
                   fmt::format("table {}{} has no primary key", tables.prefix, table),
                   "rows that are added get no ID, so nothing can belong to them",
                   command(sqlite_command(question, statements)));
  }
}

}  // namespace limits
