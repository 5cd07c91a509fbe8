// SPDX-License-Identifier: AGPL-3.0-only
// SQLite's C interface with owners for its handles, and nothing more: codes are returned as they
// are, since BUSY and FULL are ordinary results here, not exceptions. One thread per connection.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace policyd::sql {

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;

// SQLite's message, such as "database is locked", without a full stop; says if the disk is full.
std::string message_of(sqlite3* db);

// A prepared statement. Bind and column numbers as in SQLite: binding from 1, columns from 0.
class Statement {
 public:
  Statement() = default;
  // With `{p}` in the text replaced (with_prefix). An Error has SQLite's message and the start of
  // the statement.
  static Result<Statement> prepare(sqlite3* db, std::string_view text,
                                   std::string_view table_prefix = {});
  // The same, in place of what this was.
  Result<void> assign(sqlite3* db, std::string_view text, std::string_view table_prefix = {});

  Statement& bind(int index, std::int64_t value) {
    sqlite3_bind_int64(statement_.get(), index, value);
    return *this;
  }
  Statement& bind(int index, double value) {
    sqlite3_bind_double(statement_.get(), index, value);
    return *this;
  }
  // Text and blobs are not copied: they must live until the next reset.
  Statement& bind(int index, std::string_view value) {
    sqlite3_bind_text(statement_.get(), index, value.empty() ? "" : value.data(),
                      static_cast<int>(value.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& bind_blob(int index, std::string_view value) {
    sqlite3_bind_blob(statement_.get(), index, value.empty() ? "" : value.data(),
                      static_cast<int>(value.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& bind_null(int index) {
    sqlite3_bind_null(statement_.get(), index);
    return *this;
  }

  int step() { return sqlite3_step(statement_.get()); }  // SQLITE_ROW, SQLITE_DONE or an error
  int run();  // step to the end, reset; SQLITE_DONE or an error
  int reset() { return sqlite3_reset(statement_.get()); }

  [[nodiscard]] bool is_null(int column) const { return type(column) == SQLITE_NULL; }
  [[nodiscard]] int type(int column) const { return sqlite3_column_type(statement_.get(), column); }
  [[nodiscard]] std::int64_t integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
  }
  [[nodiscard]] double real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
  }
  [[nodiscard]] std::string_view text(int column) const;  // empty for NULL; until step or reset
  [[nodiscard]] std::optional<std::string> optional_text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;

  explicit operator bool() const { return statement_ != nullptr; }
  [[nodiscard]] sqlite3_stmt* get() const { return statement_.get(); }

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
};

// Resets a statement at the end of a scope: a SELECT left open freezes data_version.
class Resetting {
 public:
  explicit Resetting(Statement& statement) : statement_(statement) {}
  ~Resetting() { statement_.reset(); }
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;

 private:
  Statement& statement_;
};

// Runs statements without results. SQLITE_OK or the code of the first that failed.
int execute(sqlite3* db, const char* text);
Result<void> execute_or_explain(sqlite3* db, const std::string& text);

// The first column of a query's first row; nullopt if there is none, or on any error.
std::optional<std::int64_t> first_integer(sqlite3* db, std::string_view query,
                                          std::string_view table_prefix = {});

// Replaces `{p}`, which our statements have before CBPolicyD's table names, by its table_prefix.
std::string with_prefix(std::string_view text, std::string_view table_prefix);

// Rolls back at the end of a scope, unless commit() succeeded.
class Transaction {
 public:
  explicit Transaction(sqlite3* db) : db_(db) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Result<void> begin_immediate();
  Result<void> commit();

 private:
  sqlite3* db_;
  bool open_ = false;
};

}  // namespace policyd::sql
