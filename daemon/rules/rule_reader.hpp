// SPDX-License-Identifier: AGPL-3.0-only
// Reading rule tables into a snapshot that is being made: used by the loaders
// only. A query that fails, or too many rows, end the whole load.
#pragma once

#include <fmt/core.h>

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class RulesError : public std::exception {
 public:
  explicit RulesError(RulesFailure failure) : failure_(std::move(failure)) {}
  [[nodiscard]] const RulesFailure& failure() const { return failure_; }

 private:
  RulesFailure failure_;
};

class RuleReader {
 public:
  RuleReader(sqlite3* db, const std::string& table_prefix, std::optional<std::size_t> row_limit,
             Rules& rules)
      : db_(db), table_prefix_(table_prefix), row_limit_(row_limit), rules_(rules) {}

  // Calls `row` for each row of the query. Throws RulesError.
  void each(std::string_view query, const std::function<void(const sql::Statement&)>& row) {
    auto statement = sql::Statement::prepare(db_, sql::with_prefix(query, table_prefix_));
    if (!statement) throw RulesError{{false, statement.error().message}};
    int code = SQLITE_ROW;
    while ((code = statement->step()) == SQLITE_ROW) {
      ++rules_.row_count;
      if (row_limit_ && rules_.row_count > *row_limit_) throw RulesError{{true, "too many rows"}};
      row(*statement);
    }
    if (code != SQLITE_DONE) throw RulesError{{false, sql::message_of(db_)}};
  }

  void problem(std::string_view table, std::int64_t id, std::string what) {
    rules_.problems.push_back({std::string{table}, id, std::move(what)});
  }

  // A number column that holds text counts as the number that the text begins with, else as 0, as
  // in the Perl daemon. It was hardly meant so. False where it does; to be asked before its value.
  bool check_number(std::string_view table, std::int64_t id, const sql::Statement& row,
                    int column) {
    if (row.type(column) != SQLITE_TEXT && row.type(column) != SQLITE_BLOB) return true;
    problem(table, id,
            fmt::format("{} {} is no number", sqlite3_column_name(row.get(), column),
                        quoted(row.text(column))));
    return false;
  }
  void check_numbers(std::string_view table, std::int64_t id, const sql::Statement& row, int first,
                     int last) {
    for (int column = first; column <= last; ++column) check_number(table, id, row, column);
  }

  // The enabled policy of this ID, or null.
  Policy* policy(std::int64_t id) {
    const auto found = rules_.policy_by_id.find(id);
    return found == rules_.policy_by_id.end() ? nullptr : &rules_.policies[found->second];
  }

  Rules& rules() { return rules_; }

 private:
  sqlite3* db_;
  const std::string& table_prefix_;
  std::optional<std::size_t> row_limit_;
  Rules& rules_;
};

}  // namespace policyd
