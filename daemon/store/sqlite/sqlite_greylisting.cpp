// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_greylisting.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace policyd {

namespace {

using Time = std::chrono::sys_seconds;

// Beyond any time that makes sense, and far from what a sum could overflow.
constexpr std::int64_t kLargest = std::int64_t{1} << 40;

std::int64_t sane(std::int64_t number) { return std::clamp<std::int64_t>(number, 0, kLargest); }

Time to_time(std::int64_t seconds) { return Time{std::chrono::seconds{sane(seconds)}}; }

std::int64_t to_number(Time time) { return time.time_since_epoch().count(); }

}  // namespace

void SqliteGreylisting::attach(sqlite3* db, const std::string& table_prefix) {
  db_ = db;
  table_prefix_ = table_prefix;
  usable_ = false;
  for (Lazy* lazy : {&find_, &insert_, &deferred_, &passed_, &count_, &white_, &renew_white_,
                     &put_white_, &black_, &put_black_}) {
    lazy->statement = {};
  }
}

void SqliteGreylisting::begin_batch() {
  usable_ = db_ != nullptr;
  code_ = SQLITE_OK;
}

int SqliteGreylisting::end_batch() {
  usable_ = false;
  return code_;
}

std::optional<Triplet> SqliteGreylisting::find(std::string_view track_key, std::string_view sender,
                                               std::string_view recipient) {
  sql::Statement* select = ready(find_);
  if (select == nullptr) return std::nullopt;
  const sql::Resetting resetting{*select};
  select->bind(1, track_key).bind(2, sender).bind(3, recipient);
  if (!row(*select)) return std::nullopt;
  return Triplet{select->integer(0), to_time(select->integer(1)), sane(select->integer(2))};
}

void SqliteGreylisting::insert(std::string_view track_key, std::string_view sender,
                               std::string_view recipient, Time now) {
  sql::Statement* statement = ready(insert_);
  if (statement == nullptr) return;
  statement->bind(1, track_key).bind(2, sender).bind(3, recipient).bind(4, to_number(now));
  run(*statement);
}

void SqliteGreylisting::deferred(const Triplet& triplet, Time now) {
  sql::Statement* statement = ready(deferred_);
  if (statement == nullptr) return;
  statement->bind(1, triplet.id).bind(2, to_number(now));
  run(*statement);
}

void SqliteGreylisting::passed(const Triplet& triplet, Time now) {
  sql::Statement* statement = ready(passed_);
  if (statement == nullptr) return;
  statement->bind(1, triplet.id).bind(2, to_number(now));
  run(*statement);
}

TripletCounts SqliteGreylisting::count(std::string_view track_key, Time since) {
  sql::Statement* select = ready(count_);
  if (select == nullptr) return {};
  const sql::Resetting resetting{*select};
  select->bind(1, track_key).bind(2, to_number(since));
  if (!row(*select)) return {};
  return {select->integer(0), select->integer(1)};
}

std::optional<Time> SqliteGreylisting::auto_whitelist_seen(std::string_view track_key) {
  return time_of(white_, track_key);
}

void SqliteGreylisting::renew_auto_whitelist(std::string_view track_key, Time now) {
  sql::Statement* statement = ready(renew_white_);
  if (statement == nullptr) return;
  statement->bind(1, track_key).bind(2, to_number(now));
  run(*statement);
}

void SqliteGreylisting::auto_whitelist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  sql::Statement* statement = ready(put_white_);
  if (statement == nullptr) return;
  statement->bind(1, track_key).bind(2, to_number(now)).bind(3, comment);
  run(*statement);
}

std::optional<Time> SqliteGreylisting::auto_blacklist_added(std::string_view track_key) {
  return time_of(black_, track_key);
}

void SqliteGreylisting::auto_blacklist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  sql::Statement* statement = ready(put_black_);
  if (statement == nullptr) return;
  statement->bind(1, track_key).bind(2, to_number(now)).bind(3, comment);
  run(*statement);
}

std::optional<Time> SqliteGreylisting::time_of(Lazy& lazy, std::string_view track_key) {
  sql::Statement* select = ready(lazy);
  if (select == nullptr) return std::nullopt;
  const sql::Resetting resetting{*select};
  select->bind(1, track_key);
  if (!row(*select)) return std::nullopt;
  return to_time(select->integer(0));
}

sql::Statement* SqliteGreylisting::ready(Lazy& lazy) {
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

bool SqliteGreylisting::row(sql::Statement& statement) {
  const int code = statement.step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail(code, sql::message_of(db_));
  return code == SQLITE_ROW;
}

void SqliteGreylisting::run(sql::Statement& statement) {
  const int code = statement.run();
  if (code != SQLITE_DONE) fail(code, sql::message_of(db_));
}

// A full disk may have rolled the transaction back: what is written after it would stay.
void SqliteGreylisting::fail(int code, const std::string& what) {
  usable_ = false;
  code_ = code;
  if (what == logged_) return;
  logged_ = what;
  log_.error(fmt::format("module=Greylisting: {}; mail passes without greylisting", what));
}

}  // namespace policyd
