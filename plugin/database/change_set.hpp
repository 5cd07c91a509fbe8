// SPDX-License-Identifier: AGPL-3.0-only
// The database as commands see it: its tables under their prefix, and one transaction of changes
// that is applied whole or not at all and can be shown as one would type it into sqlite3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/sqlite/sqlite.hpp"

namespace limits {

using policyd::Result;

// A connection and CBPolicyD's table_prefix, which `{p}` stands for in statements.
struct Tables {
  sqlite3* db = nullptr;
  std::string prefix;

  [[nodiscard]] Result<policyd::sql::Statement> prepare(std::string_view text) const;
  [[nodiscard]] bool has_table(std::string_view name) const;  // without its prefix
  // SQLite's message as an Error; a lock or missing rights in words that help.
  [[nodiscard]] policyd::Error error(int code) const;
};

// Rolls back unless committed. IDs of new rows are never chosen here: statements take them from the
// database in this same transaction, as `(SELECT max(ID) FROM ...)` right behind the INSERT, so
// that what is printed and what is run are the same text.
class Changes {
 public:
  using Value = std::variant<std::nullptr_t, std::int64_t, std::string>;

  explicit Changes(Tables tables) : tables_(std::move(tables)), transaction_(tables_.db) {}

  Result<void> begin();  // waits for other writers as long as the connection's busy_timeout
  Result<void> run(std::string_view text, const std::vector<Value>& values);
  Result<void> commit();

  [[nodiscard]] const Tables& tables() const { return tables_; }
  // The statements run so far, each with its values in it and a semicolon behind.
  [[nodiscard]] const std::vector<std::string>& typed() const { return typed_; }

 private:
  Tables tables_;
  policyd::sql::Transaction transaction_;
  std::vector<std::string> typed_;
};

}  // namespace limits
