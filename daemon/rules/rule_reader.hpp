// SPDX-License-Identifier: AGPL-3.0-only
// Reads rule tables into a snapshot under construction; for the loaders only. A query that fails,
// or too many rows, ends the whole load.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
    auto statement = sql::Statement::prepare(db_, query, table_prefix_);
    if (!statement) throw RulesError{{false, statement.error().message}};
    int code = SQLITE_ROW;
    while ((code = statement->step()) == SQLITE_ROW) {
      ++rules_.row_count;
      if (row_limit_ && rules_.row_count > *row_limit_) throw RulesError{{true, "too many rows"}};
      row(*statement);
    }
    if (code != SQLITE_DONE) throw RulesError{{false, sql::message_of(db_)}};
  }

  void problem(RowProblem::Kind kind, std::string_view table, std::int64_t id,
               std::string_view column, std::string_view value = {}, std::string_view other = {}) {
    rules_.problems.push_back({kind, std::string{table}, id, std::string{column},
                               std::string{value.substr(0, RowProblem::kMaxValue)},
                               std::string{other}});
  }

  // Text in a number column counts as the number it begins with, else as 0, as in the Perl daemon.
  // That is hardly intended, so it is reported; but where 0 means none (`needed` is false), so does
  // an empty text, which PolicyD's page writes. False where it is text; call it before reading the
  // number, since that converts it.
  bool check_number(std::string_view table, std::int64_t id, std::string_view column,
                    const sql::Statement& row, int index, bool needed = true) {
    if (row.type(index) != SQLITE_TEXT && row.type(index) != SQLITE_BLOB) return true;
    if (!needed && row.text(index).empty()) return true;
    problem(RowProblem::Kind::not_a_number, table, id, column, row.text(index));
    return false;
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
