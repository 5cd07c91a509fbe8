// SPDX-License-Identifier: AGPL-3.0-only
// Another file in the place of a database that is gone, damaged or was moved over. What was there
// is kept beside it, named with the date; what takes its place is made ready under another name and
// then renamed. Not the loop's thread, but at the start.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/store/recovery/file_ids.hpp"
#include "daemon/store/recovery/live_copy.hpp"

namespace policyd {

// What became of the file that was open.
enum class Lost : std::uint8_t {
  gone,     // it has no name any more, or its log has none
  other,    // another file has its name
  damaged,  // what is in it is no sound database
};

struct Replacement {
  // A file that somebody moved there is sound: its rules and counters count. Otherwise what is in
  // memory is newer and is to be written over it.
  bool taken = false;
  std::string what;  // that was done, in a sentence
};

// The automatic backup of that database.
std::filesystem::path backup_of(const std::filesystem::path& database);

// Needs `ids` as they were opened. Where it succeeds, `live` is detached. The former file's log is
// removed where it would be played into another file.
Result<Replacement> replace_database(const std::filesystem::path& database,
                                     const std::string& table_prefix, Lost lost,
                                     const DatabaseIds& ids, const FileAccess& access,
                                     LiveCopy& live, const std::atomic<bool>& stop);

// At the start, with nothing in memory: a damaged file gives way to the backup. An Error where it
// is not damaged, or there is no sound backup; then nothing was changed.
Result<Replacement> replace_damaged_by_backup(const std::filesystem::path& database);

}  // namespace policyd
