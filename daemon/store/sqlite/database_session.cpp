// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/database_session.hpp"

#include <utility>

#include "daemon/sqlite/database.hpp"

namespace policyd {

Result<void> DatabaseSession::open(const std::filesystem::path& file, Millis patience) {
  close();
  auto db = open_database(file, OpenMode::serve, patience);
  if (!db) return tl::unexpected{db.error()};
  db_ = std::move(*db);
  index_.attach(db_.get());
  auto done = begin_.assign(db_.get(), "BEGIN IMMEDIATE");
  if (done) done = commit_.assign(db_.get(), "COMMIT");
  if (done) done = rollback_.assign(db_.get(), "ROLLBACK");
  if (done) done = data_version_.assign(db_.get(), "PRAGMA data_version");
  if (done) done = schema_version_.assign(db_.get(), "PRAGMA schema_version");
  return done;
}

void DatabaseSession::start_serving(bool sync_each_commit, OnWalSize on_wal_size) {
  sqlite3_busy_timeout(db_.get(), 0);
  if (sync_each_commit) sql::execute(db_.get(), "PRAGMA synchronous=FULL");
  page_bytes_ = sql::first_integer(db_.get(), "PRAGMA page_size").value_or(page_bytes_);
  on_wal_size_ = std::move(on_wal_size);
  sqlite3_wal_hook(
      db_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        const auto& session = *static_cast<DatabaseSession*>(self);
        session.on_wal_size_(pages * session.page_bytes_);
        return SQLITE_OK;
      },
      this);
}

void DatabaseSession::close() {
  for (sql::Statement* statement :
       {&begin_, &commit_, &rollback_, &data_version_, &schema_version_}) {
    *statement = {};
  }
  known_version_ = -1;
  known_schema_ = -1;
  index_.attach(nullptr);
  // It may no longer be a sound database, or no longer the one of its name.
  if (db_) keep_log_on_close(db_.get());
  db_.reset();
}

int DatabaseSession::begin() {
  const int code = begin_.run();
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

int DatabaseSession::commit() {
  const int code = commit_.run();
  if (code != SQLITE_DONE) return code;
  index_.remember_own_commit();
  return SQLITE_OK;
}

void DatabaseSession::roll_back() {
  if (sqlite3_get_autocommit(db_.get()) == 0) rollback_.run();
  known_version_ = -1;
  known_schema_ = -1;
  index_.forget();
}

int DatabaseSession::restart_log(bool give_back) {
  const int mode = give_back ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART;
  return sqlite3_wal_checkpoint_v2(db_.get(), nullptr, mode, nullptr, nullptr);
}

std::optional<bool> DatabaseSession::foreign_commit() {
  if (index_.is_as_remembered()) return false;
  const bool in_transaction = sqlite3_get_autocommit(db_.get()) == 0;
  const bool passed_over = own_commits_ != nullptr && index_.pass_over(*own_commits_);
  if (passed_over && !in_transaction) return false;
  const sql::Resetting resetting{data_version_};
  if (data_version_.step() != SQLITE_ROW) return std::nullopt;
  version_ = data_version_.integer(0);
  if (version_ != known_version_ && !passed_over) return true;
  if (in_transaction) remember_version();
  return false;
}

void DatabaseSession::remember_version() {
  known_version_ = version_;
  index_.remember();
}

bool DatabaseSession::schema_changed() {
  const sql::Resetting resetting{schema_version_};
  return schema_version_.step() != SQLITE_ROW || schema_version_.integer(0) != known_schema_;
}

void DatabaseSession::remember_schema() {
  const sql::Resetting resetting{schema_version_};
  known_schema_ = schema_version_.step() == SQLITE_ROW ? schema_version_.integer(0) : -1;
}

}  // namespace policyd
