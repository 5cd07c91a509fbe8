// SPDX-License-Identifier: AGPL-3.0-only
// The database as commands use it: its tables with their prefix, and a transaction of changes that
// is applied completely or not at all and can be printed as statements for sqlite3.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

// Rolls back unless committed. The statements that run are exactly those that are printed, so IDs
// of new rows are not inserted as values: statements take them from the database, as
// `(SELECT max(ID) FROM ...)` right after the INSERT.
class ChangeSet {
 public:
  // NULL for nullopt.
  static Value value_of(const std::optional<std::string>& text) {
    return text ? Value{*text} : Value{nullptr};
  }

  explicit ChangeSet(Tables tables) : tables_(std::move(tables)), transaction_(tables_.db) {}

  Result<void> begin();  // waits for other writers up to the connection's busy_timeout
  // After a failure nothing more is run, so that callers need to check only the result.
  void run(std::string_view text, const std::vector<Value>& values);
  // Whether a query has a row; false after a failure.
  bool has_row(std::string_view query, const std::vector<Value>& values);
  void fail(policyd::Error error);
  // The first failure.
  [[nodiscard]] const Result<void>& result() const { return result_; }
  Result<void> commit();  // an Error if anything has failed

  [[nodiscard]] const Tables& tables() const { return tables_; }
  // The statements run so far, with their values filled in, each ending with a semicolon.
  [[nodiscard]] const std::vector<std::string>& typed() const { return typed_; }

 private:
  Tables tables_;
  policyd::sql::Transaction transaction_;
  std::vector<std::string> typed_;
  Result<void> result_;
};

}  // namespace limits
