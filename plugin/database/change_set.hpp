// SPDX-License-Identifier: AGPL-3.0-only
// The database as commands use it: its tables with their prefix, and a transaction of changes that
// is applied completely or not at all and can be printed as statements for sqlite3.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "daemon/events/rules_change.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace limits {

using policyd::Result;

// Of a column; NULL is nullptr.
using Value = std::variant<std::nullptr_t, std::int64_t, std::string>;

// A connection and CBPolicyD's table_prefix, which replaces `{p}` in statements.
struct Tables {
  sqlite3* db = nullptr;
  std::string prefix;

  [[nodiscard]] Result<policyd::sql::Statement> prepare(std::string_view text) const;
  // Calls `take` for each row of a query.
  Result<void> each(std::string_view query, const std::vector<Value>& values,
                    const std::function<void(const policyd::sql::Statement&)>& take) const;
  [[nodiscard]] Result<bool> has_row(std::string_view query,
                                     const std::vector<Value>& values) const;
  [[nodiscard]] bool has_table(std::string_view name) const;  // without its prefix
  // SQLite's message as an Error, with advice for locks, missing permissions and the like.
  [[nodiscard]] policyd::Error error(int code) const;
};

// A statement that changes rows, with its values. `text` lives as long as the program, unless it is
// `made` for this one. `new_id`: the ID that the new row will have; 0: none, or it does not matter.
struct RowChange {
  std::string_view text;
  std::vector<Value> values;
  std::int64_t new_id = 0;
  std::string made = {};

  [[nodiscard]] std::string_view statement() const { return made.empty() ? text : made; }
};

// As typed in sqlite3: with its values filled in, and a semicolon.
Result<std::vector<std::string>> typed(const Tables& tables, std::span<const RowChange> changes);

// Rolls back unless committed. The statements that run are exactly those that are printed, so IDs
// of new rows are not inserted as values: statements take them from the database, as
// `(SELECT max(ID) FROM ...)` right after the INSERT. Each text is compiled once. A change of rules
// becomes an event that names `by`.
class ChangeSet {
 public:
  // NULL for nullopt.
  static Value value_of(const std::optional<std::string>& text) {
    return text ? Value{*text} : Value{nullptr};
  }

  ChangeSet(Tables tables, policyd::Actor by)
      : tables_(std::move(tables)), by_(std::move(by)), transaction_(tables_.db) {}

  Result<void> begin();  // waits for other writers up to the connection's busy_timeout
  // After a failure nothing more is run, so that callers need to check only the result.
  void run(std::string_view text, const std::vector<Value>& values);
  void run(const RowChange& change);
  // Whether a query has a row; false after a failure.
  bool has_row(std::string_view query, const std::vector<Value>& values);
  void fail(policyd::Error error);
  // The first failure.
  [[nodiscard]] const Result<void>& result() const { return result_; }
  Result<void> commit();  // an Error if anything has failed
  // Remembers what this change is about, as done by `by`.
  void announce(policyd::Event event);

  [[nodiscard]] const Tables& tables() const { return tables_; }

 private:
  policyd::sql::Statement* compiled(std::string_view text);

  Tables tables_;
  policyd::Actor by_;
  policyd::sql::Transaction transaction_;
  std::optional<policyd::RulesChange> rules_;  // since begin()
  std::unordered_map<std::string, policyd::sql::Statement> statements_;
  Result<void> result_;
};

}  // namespace limits
