// SPDX-License-Identifier: AGPL-3.0-only
// A database copied whole into another file through SQLite's backup interface, as it is at one
// moment, while others write. The copy is one file without a log, sound, and on the disk. Not the
// loop's thread, but at the start.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Whose a file is and who may read it.
struct FileAccess {
  uid_t owner = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
  mode_t mode = 0600;

  // Of that file; nobody else's where there is none.
  static FileAccess of(const std::filesystem::path& file);
};

// An empty file at `file`, in the place of any other and of its logs.
Result<void> make_empty(const std::filesystem::path& file, const FileAccess& access);

// The file, its log, the log's index and its journal; what is not there is fine.
void remove_database(const std::filesystem::path& file);

// Copies database `schema` of the connection `from`. After each step of some pages it pauses, and
// ends with an Error once `stop` is true.
Result<void> copy_database(sqlite3* from, const char* schema, const std::filesystem::path& to,
                           const FileAccess& access, std::chrono::milliseconds pause,
                           const std::atomic<bool>& stop);

}  // namespace policyd
