// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/missing_parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/sqlite/database.hpp"
#include "schema_sql.hpp"

namespace policyd {
namespace {

struct Column {
  std::string name;
  std::string type;
  std::string value;  // its default, as SQL; "NULL" if it has none
  bool key = false;
};

struct Table {
  std::string name;
  std::string statements;  // that make it, with its indexes
  std::vector<Column> columns;
};

std::string folded(std::string_view name) {
  std::string out{name};
  lower_case(out);
  return out;
}

// By their names in small letters, since SQLite ignores the case. Views count as tables.
using Tables = std::map<std::string, Table>;

Result<Tables> tables_of(sqlite3* db) {
  Tables tables;
  auto rows = sql::Statement::prepare(
      db,
      "SELECT m.name, c.name, c.type, coalesce(c.dflt_value, 'NULL'), c.pk FROM sqlite_master m, "
      "pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') ORDER BY m.rowid, c.cid");
  if (!rows) return tl::unexpected{rows.error()};
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    Table& table = tables[folded(rows->text(0))];
    table.name = rows->text(0);
    table.columns.push_back({std::string{rows->text(1)}, std::string{rows->text(2)},
                             std::string{rows->text(3)}, rows->integer(4) > 0});
  }
  if (code != SQLITE_DONE) return failure(sql::message_of(db));
  return tables;
}

Result<Tables> tables_of_fresh(std::string_view table_prefix) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(":memory:", &raw);
  const sql::Handle fresh{raw};
  if (code != SQLITE_OK) return failure(sql::message_of(raw));
  auto done = sql::execute_or_explain(raw, sql::with_prefix(kSchemaSql, table_prefix));
  if (!done) return tl::unexpected{done.error()};
  auto tables = tables_of(raw);
  auto rows = sql::Statement::prepare(
      raw, "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid");
  while (tables && rows && rows->step() == SQLITE_ROW) {
    const auto table = tables->find(folded(rows->text(0)));
    if (table != tables->end()) table->second.statements += fmt::format("{};\n", rows->text(1));
  }
  return tables;
}

const Column* find(const Table& table, std::string_view name) {
  const auto found =
      std::find_if(table.columns.begin(), table.columns.end(),
                   [&](const Column& column) { return folded(column.name) == folded(name); });
  return found == table.columns.end() ? nullptr : &*found;
}

// What `present` lacks of `wanted`; all columns if there is no such table.
struct Lack {
  Table wanted;
  const Table* present;  // null: the table is missing
  std::vector<Column> columns;
};

class Comparison {
 public:
  static Result<Comparison> of(sqlite3* db, std::string_view table_prefix) {
    auto fresh = tables_of_fresh(table_prefix);
    if (!fresh) return tl::unexpected{fresh.error()};
    auto present = tables_of(db);
    if (!present) return tl::unexpected{present.error()};
    return Comparison{std::move(*present), std::move(*fresh)};
  }

  [[nodiscard]] std::vector<Lack> lacks() const {
    std::vector<Lack> out;
    for (const auto& [name, wanted] : fresh_) {
      const auto found = present_.find(name);
      Lack lack{wanted, found == present_.end() ? nullptr : &found->second, {}};
      for (const Column& column : wanted.columns) {
        if (lack.present == nullptr || find(*lack.present, column.name) == nullptr) {
          lack.columns.push_back(column);
        }
      }
      if (!lack.columns.empty()) out.push_back(std::move(lack));
    }
    return out;
  }

 private:
  Comparison(Tables present, Tables fresh)
      : present_(std::move(present)), fresh_(std::move(fresh)) {}

  Tables present_;
  Tables fresh_;
};

// PolicyD 2.0 named it so, and it may not be NULL.
bool is_renamed_time(const Lack& lack, const Column& column) {
  return column.name == "UnixTimestamp" && find(*lack.present, "Timestamp") != nullptr;
}

// In the order in which CBPolicyD makes its tables, keys excepted: no column can be added for them.
Result<std::string> statement_for(const Lack& lack, const Column& column) {
  const std::string& table = lack.present->name;
  if (is_renamed_time(lack, column)) {
    return fmt::format("ALTER TABLE {} RENAME COLUMN Timestamp TO UnixTimestamp", table);
  }
  if (column.key) {
    return failure(
        fmt::format("table {} has no column {}, which identifies its rows", table, column.name));
  }
  // SQLite adds a column that may not be NULL only with a default.
  const bool value = column.value != "NULL";
  return fmt::format("ALTER TABLE {} ADD COLUMN {} {}{}{}", table, column.name, column.type,
                     value ? " NOT NULL DEFAULT " : "", value ? column.value : "");
}

bool is_rule_table(std::string_view name, std::string_view table_prefix) {
  const auto tables = rule_tables();
  return std::any_of(tables.begin(), tables.end(), [&](const char* table) {
    return folded(name) == folded(fmt::format("{}{}", table_prefix, table));
  });
}

std::string view_for(const Lack& lack) {
  std::string columns = lack.present != nullptr ? "*" : "";
  for (const Column& column : lack.columns) {
    columns += fmt::format("{}{} AS {}", columns.empty() ? "" : ", ", column.value, column.name);
  }
  return fmt::format("CREATE TEMP VIEW {} AS SELECT {} {}", lack.wanted.name, columns,
                     lack.present != nullptr ? "FROM main." + lack.present->name : "WHERE FALSE");
}

}  // namespace

Result<std::vector<std::string>> missing_parts(sqlite3* db, std::string_view table_prefix) {
  const auto compared = Comparison::of(db, table_prefix);
  if (!compared) return tl::unexpected{compared.error()};
  std::vector<std::string> out;
  for (const Lack& lack : compared->lacks()) {
    if (lack.present == nullptr) {
      out.push_back("table " + lack.wanted.name);
      continue;
    }
    for (const Column& column : lack.columns) {
      out.push_back(fmt::format("{}.{}", lack.wanted.name, column.name));
    }
  }
  return out;
}

Result<void> add_missing_parts(sqlite3* db, std::string_view table_prefix) {
  if (auto known = check_is_policyd(db, table_prefix); !known) return known;
  const auto compared = Comparison::of(db, table_prefix);
  if (!compared) return tl::unexpected{compared.error()};
  for (const Lack& lack : compared->lacks()) {
    if (lack.present == nullptr) {
      if (auto done = sql::execute_or_explain(db, lack.wanted.statements); !done) return done;
      continue;
    }
    for (const Column& column : lack.columns) {
      const auto statement = statement_for(lack, column);
      if (!statement) return tl::unexpected{statement.error()};
      if (auto done = sql::execute_or_explain(db, *statement); !done) return done;
    }
  }
  return {};
}

Result<void> supply_missing_parts(sqlite3* db, std::string_view table_prefix) {
  if (auto known = check_is_policyd(db, table_prefix); !known) return known;
  const auto compared = Comparison::of(db, table_prefix);
  if (!compared) return tl::unexpected{compared.error()};
  auto done = sql::execute_or_explain(db, "PRAGMA temp_store=MEMORY");
  for (const Lack& lack : compared->lacks()) {
    if (done && is_rule_table(lack.wanted.name, table_prefix)) {
      done = sql::execute_or_explain(db, view_for(lack));
    }
  }
  return done;
}

Result<std::map<std::string, std::vector<std::string>>> standard_columns() {
  const auto tables = tables_of_fresh({});
  if (!tables) return tl::unexpected{tables.error()};
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& [name, table] : *tables) {
    for (const Column& column : table.columns) out[name].push_back(column.name);
  }
  return out;
}

Result<void> check_is_policyd(sqlite3* db, std::string_view table_prefix) {
  const auto tables = tables_of(db);
  if (!tables) return tl::unexpected{tables.error()};
  const auto policies = tables->find(folded(fmt::format("{}policies", table_prefix)));
  const bool ours = tables->count(folded(fmt::format("{}limits_rules_version", table_prefix))) != 0;
  if (ours || (policies != tables->end() && find(policies->second, "Priority") != nullptr)) {
    return {};
  }
  return failure(
      fmt::format("this is not a CBPolicyD database: it has no table {}policies; name another file "
                  "in DSN, which 'carbonio-limits init' creates",
                  table_prefix));
}

}  // namespace policyd
