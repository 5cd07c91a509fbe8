// SPDX-License-Identifier: AGPL-3.0-only
// Copies a whole database into another file through SQLite's backup interface, as it is at one
// moment, while others write. The copy is one file without a log, checked, and on the disk. Not on
// the loop's thread, except at the start.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Owner and permissions of a file.
struct FileAccess {
  uid_t owner = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
  mode_t mode = 0600;

  // Of that file; if it does not exist, 0600 with no owner.
  static FileAccess of(const std::filesystem::path& file);
};

// Creates an empty file, replacing any other of this name and its logs.
Result<void> create_empty(const std::filesystem::path& file, const FileAccess& access);

// Copies database `schema` of the connection `from`. Pauses after each step of some pages, and ends
// with an Error once `stop` is true.
Result<void> copy_database(sqlite3* from, const char* schema, const std::filesystem::path& to,
                           const FileAccess& access, std::chrono::milliseconds pause,
                           const std::atomic<bool>& stop);

}  // namespace policyd
