// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/reading_transaction.hpp"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <set>

#include "daemon/base/ip_address.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/store/sqlite/counter_records.hpp"

namespace policyd {
namespace {

// Tables that modules write and read back, and the column that identifies the client.
struct Hidden {
  const char* table;
  const char* column;
  bool one_row_each;  // the column is unique; the modules' statements depend on that
};
constexpr std::array kHidden = {Hidden{"checkhelo_tracking", "Address", false},
                                Hidden{"greylisting_tracking", "TrackKey", false},
                                Hidden{"greylisting_autowhitelist", "TrackKey", true},
                                Hidden{"greylisting_autoblacklist", "TrackKey", true}};

// The keys under which rows about a client may be stored: its address, as Postfix writes it and in
// full, and each network that contains it.
std::set<std::string> keys_of(const IpAddress& client) {
  std::set<std::string> keys = {client.to_string(), client.to_short_string()};
  for (int length = 0; length <= client.bits(); ++length) {
    keys.insert(fmt::format("SenderIP:{}/{}", client.masked(length).to_string(), length));
  }
  return keys;
}

// Called before SQLite prepares a statement; the argument before last is the database's name.
int allow_only_reading(void*, int action, const char*, const char*, const char* database,
                       const char*) {
  const bool writes = action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE;
  if (!writes || (database != nullptr && std::strcmp(database, "temp") == 0)) return SQLITE_OK;
  return SQLITE_DENY;
}

bool has_state(sqlite3* db, const std::string& table_prefix) {
  return sql::Statement::prepare(db, "SELECT State FROM {p}quotas_tracking", table_prefix)
      .has_value();
}

}  // namespace

Result<std::unique_ptr<ReadingTransaction>> ReadingTransaction::begin(
    sqlite3* db, const std::string& table_prefix, Maillog& log, TimePoint now,
    const Request& about) {
  std::unique_ptr<ReadingTransaction> reading{new ReadingTransaction{db, log, now}};
  if (auto done = reading->prepare(table_prefix, about); !done) return tl::unexpected{done.error()};
  return reading;
}

ReadingTransaction::~ReadingTransaction() {
  greylisting_.attach(nullptr, {});
  helo_tracking_.attach(nullptr, {});
  quota_ = {};
  accounting_row_ = {};
  sqlite3_set_authorizer(db_, nullptr, nullptr);
  sql::execute(db_, "ROLLBACK");  // the temporary tables go with it
}

Result<void> ReadingTransaction::prepare(const std::string& table_prefix, const Request& about) {
  auto done = sql::execute_or_explain(db_, "PRAGMA temp_store=MEMORY");
  if (done) done = sql::execute_or_explain(db_, "BEGIN");
  if (!done) return done;
  auto rules = load_rules(db_, table_prefix, std::nullopt);
  if (!rules) return failure(rules.error().message);
  rules_ = std::move(*rules);

  // Without the column State, which the daemon adds when it takes a database over, counters are
  // read as the Perl daemon left them.
  std::string select{QuotaRecord::kSelect};
  if (!has_state(db_, table_prefix)) {
    constexpr std::string_view kState = "State";
    select.replace(select.find(kState), kState.size(), "NULL");
  }
  done = quota_.assign(db_, select, table_prefix);
  if (done) done = accounting_row_.assign(db_, AccountingRecord::kSelect, table_prefix);
  if (done) done = hide_tables(table_prefix, about);
  if (!done) return done;
  sqlite3_set_authorizer(db_, allow_only_reading, nullptr);
  greylisting_.attach(db_, table_prefix);
  helo_tracking_.attach(db_, table_prefix);
  greylisting_.begin_batch();
  helo_tracking_.begin_batch();
  return {};
}

Result<void> ReadingTransaction::hide_tables(const std::string& table_prefix,
                                             const Request& about) {
  const std::set<std::string> keys = keys_of(about.client_address);
  for (const Hidden& hidden : kHidden) {
    const std::string table = table_prefix + hidden.table;
    auto done = sql::execute_or_explain(
        db_, fmt::format("CREATE TEMP TABLE {0} AS SELECT * FROM main.{0} WHERE 0;", table));
    if (done && hidden.one_row_each) {
      done = sql::execute_or_explain(
          db_,
          fmt::format("CREATE UNIQUE INDEX temp.hidden_{0} ON {0} ({1})", table, hidden.column));
    }
    if (!done) return done;
    auto copy = sql::Statement::prepare(
        db_, fmt::format("INSERT INTO temp.{0} SELECT * FROM main.{0} WHERE {1} = ?1", table,
                         hidden.column));
    if (!copy) return tl::unexpected{copy.error()};
    for (const std::string& key : keys) {
      copy->bind(1, key);
      if (copy->run() != SQLITE_DONE) return failure(sql::message_of(db_));
    }
  }
  return {};
}

Counter ReadingTransaction::stored(std::int64_t limit_id, std::string_view track_key) {
  Counter counter;
  const sql::Resetting reset{quota_};
  quota_.bind(1, limit_id).bind(2, track_key);
  counter.exists = quota_.step() == SQLITE_ROW;
  if (counter.exists) QuotaRecord::read(counter, quota_, now_);
  return counter;
}

AccountingCounter ReadingTransaction::stored(std::int64_t accounting_id, std::string_view track_key,
                                             std::string_view period_key) {
  AccountingCounter counter;
  const sql::Resetting reset{accounting_row_};
  accounting_row_.bind(1, accounting_id).bind(2, track_key).bind(3, period_key);
  counter.exists = accounting_row_.step() == SQLITE_ROW;
  if (counter.exists) AccountingRecord::read(counter, accounting_row_, now_);
  return counter;
}

Counter& ReadingTransaction::counter(std::int64_t limit_id, std::string_view track_key) {
  const auto [counter, fresh] = counters_.try_emplace({limit_id, std::string{track_key}});
  if (fresh) counter->second = stored(limit_id, track_key);
  return counter->second;
}

AccountingCounter& ReadingTransaction::accounting(std::int64_t accounting_id,
                                                  std::string_view track_key,
                                                  std::string_view period_key) {
  const auto [counter, fresh] =
      accountings_.try_emplace({accounting_id, fmt::format("{}\n{}", track_key, period_key)});
  if (fresh) counter->second = stored(accounting_id, track_key, period_key);
  return counter->second;
}

}  // namespace policyd
