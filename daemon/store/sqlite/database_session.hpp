// SPDX-License-Identifier: AGPL-3.0-only
// The connection that serves batches: its handle, the statements of a transaction, and the versions
// by which it notices commits of other connections. Part of the SQLite store; the loop's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/sqlite/wal_index.hpp"

namespace policyd {

class DatabaseSession {
 public:
  using OnWalSize = std::function<void(std::int64_t bytes)>;

  // Opens an existing file, waiting for locks for at most `patience`.
  Result<void> open(const std::filesystem::path& file, Millis patience);
  // From here on waits for no lock, and calls `on_wal_size` after each commit. `sync_each_commit`:
  // durability=full.
  void start_serving(bool sync_each_commit, OnWalSize on_wal_size);
  // All other statements of the connection must be gone.
  void close();
  explicit operator bool() const { return db_ != nullptr; }
  [[nodiscard]] sqlite3* db() const { return db_.get(); }
  [[nodiscard]] std::string error() const { return sql::message_of(db_.get()); }

  // SQLITE_OK or the error.
  int begin();
  int commit();
  // Whatever was read in the transaction counts as changed.
  void roll_back();
  // Moves the rest of the log into the database and restarts it, between two batches. `give_back`:
  // the space of its file too, after which all cached counters are read again.
  int restart_log(bool give_back);

  // Commits that are to count as none of another connection. Before open(); it must outlive this.
  void pass_over(const OwnCommits& commits) { own_commits_ = &commits; }

  // Whether another connection has committed since remember_version(); nullopt if that cannot be
  // read. Outside of a transaction false only means that it had not at that moment: whatever is
  // written later needs to be checked again, within its transaction.
  std::optional<bool> foreign_commit();
  // Only within the transaction in which foreign_commit() was called: called outside, a commit in
  // between would be missed, and overwritten.
  void remember_version();
  // Whether tables were dropped or created since remember_schema().
  bool schema_changed();
  void remember_schema();

 private:
  sql::Handle db_;
  sql::Statement begin_, commit_, rollback_, data_version_, schema_version_;
  std::int64_t version_ = -1;        // PRAGMA data_version as last read
  std::int64_t known_version_ = -1;  // -1: none
  std::int64_t known_schema_ = -1;   // PRAGMA schema_version; -1: none
  const OwnCommits* own_commits_ = nullptr;
  WalIndex index_;  // as it was when nothing but known_version_ was committed
  std::int64_t page_bytes_ = 4096;
  OnWalSize on_wal_size_;
};

}  // namespace policyd
