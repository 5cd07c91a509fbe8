// SPDX-License-Identifier: AGPL-3.0-only
// Replaces a database that was deleted, damaged or overwritten. The old file is kept beside it
// under a name with the date; the new one is completed under another name and then renamed. Not on
// the loop's thread, except at the start.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/store/recovery/file_ids.hpp"
#include "daemon/store/recovery/file_watch.hpp"
#include "daemon/store/recovery/live_copy.hpp"

namespace policyd {

struct Replacement {
  // The file that was moved there is sound: its rules and counters apply. Otherwise memory is newer
  // and overwrites it.
  bool adopted = false;
  std::string what;  // what was done, as a sentence
};

// The file of the automatic backup of a database.
std::filesystem::path backup_of(const std::filesystem::path& database);

// `lost` is what happened to the file that was open: gone, other or damaged. `ids` are those of the
// files when they were opened. On success `live` is detached. The old file's log is removed if
// SQLite would replay it into another file.
Result<Replacement> replace_database(const std::filesystem::path& database,
                                     const std::string& table_prefix, FileFinding::Kind lost,
                                     const DatabaseIds& ids, const FileAccess& access,
                                     LiveCopy& live, const std::atomic<bool>& stop);

// At the start, with nothing in memory: replaces a damaged file by the backup. An Error if it is
// not damaged, or if there is no sound backup; nothing has changed then.
Result<Replacement> replace_damaged_by_backup(const std::filesystem::path& database);

}  // namespace policyd
