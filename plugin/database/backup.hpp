// SPDX-License-Identifier: AGPL-3.0-only
// Copies databases with SQLite's backup interface, so the daemon may have them open.
#pragma once

#include <filesystem>

#include "daemon/base/clock.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// Copies the committed contents of `database` to a new file next to it, "NAME.2026-11-22_12-00-00"
// (local time), with the same permissions; never overwrites a file. Returns the path of the copy.
Result<std::filesystem::path> copy_aside(const std::filesystem::path& database,
                                         policyd::TimePoint now);

// The same, to `path`, which must not exist.
Result<void> copy_to(const std::filesystem::path& database, const std::filesystem::path& path);

// For files that only this process uses; created if missing.
Result<policyd::sql::Handle> open_plain(const std::filesystem::path& path);

// In one step, so that no other writer interferes. `to` waits for locks up to its busy_timeout, and
// in write-ahead mode must have pages of the same size.
Result<void> copy_all(sqlite3* from, sqlite3* to);

// `path` becomes one plain file without a log, so that it can be read anywhere.
Result<void> copy_into(sqlite3* from, const std::filesystem::path& path);

}  // namespace limits
