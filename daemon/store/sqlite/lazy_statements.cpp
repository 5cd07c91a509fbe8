// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/lazy_statements.hpp"

#include <fmt/core.h>

namespace policyd {

void LazyStatements::attach(sqlite3* db, const std::string& table_prefix) {
  db_ = db;
  table_prefix_ = table_prefix;
  usable_ = false;
  statements_.clear();
}

void LazyStatements::begin_batch() {
  usable_ = db_ != nullptr;
  code_ = SQLITE_OK;
}

int LazyStatements::end_batch() {
  usable_ = false;
  return code_;
}

sql::Statement* LazyStatements::prepared(const char* text) {
  if (!usable_) return nullptr;
  sql::Statement& statement = statements_[text];
  if (!statement) {
    if (const auto done = statement.assign(db_, text, table_prefix_); !done) {
      // A table is missing, for example. The batch's counters can be committed all the same.
      fail(SQLITE_OK, done.error().message);
      return nullptr;
    }
  }
  return &statement;
}

void LazyStatements::fail(int code) { fail(code, sql::message_of(db_)); }

// A full disk may have rolled the transaction back: later writes would then be kept on their own.
void LazyStatements::fail(int code, const std::string& reason) {
  usable_ = false;
  code_ = code;
  if (reason == logged_) return;
  logged_ = reason;
  log_.error(fmt::format("module={}: {}; {}", module_, reason, consequence_));
}

}  // namespace policyd
