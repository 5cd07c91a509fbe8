// SPDX-License-Identifier: AGPL-3.0-only
// Replaces the contents of the database through SQLite, so the daemon may have it open. (The daemon
// would not notice a file that is replaced, and its log would be replayed into the new one.)
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string_view>

#include "daemon/sqlite/database.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// A database next to the real one, for as long as a command needs it. The destructor removes it
// with all files that belong to it.
class TemporaryDatabase {
 public:
  TemporaryDatabase(const std::filesystem::path& original, std::string_view what)
      : file_(std::filesystem::path{original} += fmt::format(".{}-{}", what, getpid())) {}
  ~TemporaryDatabase() { policyd::remove_database(file_); }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
};

// Replaces the contents of the database of `live` with those of the file `backup`, in one commit.
// Adds our own tables if `backup` is from the Perl daemon, and sets a rules version above both, so
// that a running daemon reloads the rules. Events since the backup are kept, and `complete` changes
// what else is not the backup's. `backup` is only read.
// Needs space for a copy next to `database`.
Result<void> restore_from(const std::filesystem::path& backup,
                          const std::filesystem::path& database, const Tables& live,
                          const policyd::Actor& by,
                          const std::function<Result<void>(const Tables& restored)>& complete);

// Replaces CBPolicyD's tables in the database of `tables`, with rows, indexes and triggers, by
// those of a database from create_database that is attached as `fresh`; other tables stay. The
// rules version increases, so that a running daemon sees the change. Called inside a transaction,
// which the caller ends.
Result<void> replace_tables(const Tables& tables);

}  // namespace limits
