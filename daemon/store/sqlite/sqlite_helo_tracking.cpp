// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_helo_tracking.hpp"

#include <fmt/core.h>

namespace policyd {

namespace {
std::int64_t to_number(HeloTracking::Time time) { return time.time_since_epoch().count(); }
}  // namespace

void SqliteHeloTracking::attach(sqlite3* db, const std::string& table_prefix) {
  db_ = db;
  table_prefix_ = table_prefix;
  usable_ = false;
  for (Lazy* lazy : {&update_, &insert_, &blacklisted_, &names_}) lazy->statement = {};
}

void SqliteHeloTracking::begin_batch() {
  usable_ = db_ != nullptr;
  code_ = SQLITE_OK;
}

int SqliteHeloTracking::end_batch() {
  usable_ = false;
  return code_;
}

void SqliteHeloTracking::note(std::string_view address, std::string_view helo, Time now) {
  for (Lazy* lazy : {&update_, &insert_}) {
    sql::Statement* statement = ready(*lazy);
    if (statement == nullptr) return;
    statement->bind(1, address).bind(2, helo).bind(3, to_number(now));
    if (!run(*statement) || sqlite3_changes(db_) > 0) return;
  }
}

bool SqliteHeloTracking::used_blacklisted(std::string_view address, Time since) {
  sql::Statement* select = ready(blacklisted_);
  if (select == nullptr) return false;
  select->bind(1, address).bind(2, to_number(since));
  return number(*select) != 0;
}

std::int64_t SqliteHeloTracking::names_used(std::string_view address, Time since,
                                            std::int64_t enough) {
  sql::Statement* select = ready(names_);
  if (select == nullptr) return 0;
  select->bind(1, address).bind(2, to_number(since)).bind(3, enough);
  return number(*select);
}

sql::Statement* SqliteHeloTracking::ready(Lazy& lazy) {
  if (!usable_) return nullptr;
  if (!lazy.statement) {
    auto prepared = sql::Statement::prepare(db_, sql::with_prefix(lazy.text, table_prefix_));
    if (!prepared) {
      // A table is missing, say. What the batch counts elsewhere may be committed all the same.
      fail(SQLITE_OK, prepared.error().message);
      return nullptr;
    }
    lazy.statement = std::move(*prepared);
  }
  return &lazy.statement;
}

std::int64_t SqliteHeloTracking::number(sql::Statement& select) {
  const sql::Resetting resetting{select};
  const int code = select.step();
  if (code == SQLITE_ROW) return select.integer(0);
  fail(code, sql::message_of(db_));
  return 0;
}

bool SqliteHeloTracking::run(sql::Statement& statement) {
  const int code = statement.run();
  if (code == SQLITE_DONE) return true;
  fail(code, sql::message_of(db_));
  return false;
}

// A full disk may have rolled the transaction back: what is written after it would stay.
void SqliteHeloTracking::fail(int code, const std::string& what) {
  usable_ = false;
  code_ = code;
  if (what == logged_) return;
  logged_ = what;
  log_.error(fmt::format("module=CheckHelo: {}; HELO names are not tracked", what));
}

}  // namespace policyd
