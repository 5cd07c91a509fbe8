// SPDX-License-Identifier: AGPL-3.0-only
// Tables that one module reads and writes at once, in the batch's open transaction, with statements
// that are prepared at their first use: few servers use these modules. After a failure the tables
// cannot be used for the rest of the batch. Part of the SQLite store; the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "daemon/log/maillog.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class LazyStatements {
 public:
  // A failure is logged as "module=MODULE: REASON; CONSEQUENCE".
  LazyStatements(Maillog& log, std::string_view module, std::string_view consequence)
      : log_(log), module_(module), consequence_(consequence) {}

  // `db` is null if nothing can be read or written; statements of an earlier one are dropped.
  void attach(sqlite3* db, const std::string& table_prefix);

  // The batch's transaction is open: the tables can be used from here on ...
  void begin_batch();
  // ... to here. SQLITE_OK, or the error after which the transaction must not be committed.
  int end_batch();

 protected:
  ~LazyStatements() = default;

  [[nodiscard]] bool usable() const { return usable_; }

  // `text` is a constant of the program, by whose address its statement is kept; `{p}` is
  // table_prefix. Values are bound in their order.

  // The number of rows changed; nullopt after a failure.
  template <typename... Values>
  std::optional<int> run(const char* text, const Values&... values) {
    sql::Statement* statement = prepared(text);
    if (statement == nullptr) return std::nullopt;
    bind(*statement, values...);
    const int code = statement->run();
    if (code == SQLITE_DONE) return sqlite3_changes(db_);
    fail(code);
    return std::nullopt;
  }

  // What `read` makes of the first row; nullopt if there is none, or after a failure.
  template <typename Read, typename... Values>
  std::optional<std::invoke_result_t<Read, const sql::Statement&>> first(const char* text,
                                                                         Read read,
                                                                         const Values&... values) {
    sql::Statement* statement = prepared(text);
    if (statement == nullptr) return std::nullopt;
    const sql::Resetting resetting{*statement};
    bind(*statement, values...);
    const int code = statement->step();
    if (code == SQLITE_ROW) return read(*statement);
    if (code != SQLITE_DONE) fail(code);
    return std::nullopt;
  }

 private:
  template <typename... Values>
  static void bind(sql::Statement& statement, const Values&... values) {
    int index = 1;
    (statement.bind(index++, values), ...);
  }
  // Null if the tables cannot be used.
  sql::Statement* prepared(const char* text);
  void fail(int code);
  void fail(int code, const std::string& reason);

  Maillog& log_;
  std::string_view module_, consequence_;
  sqlite3* db_ = nullptr;
  std::string table_prefix_;
  std::unordered_map<const char*, sql::Statement> statements_;
  bool usable_ = false;
  int code_ = SQLITE_OK;
  std::string logged_;  // the last failure, which is logged once
};

}  // namespace policyd
