// SPDX-License-Identifier: AGPL-3.0-only
// Copies a whole database from one connection to another with SQLite's backup interface.
#pragma once

#include <cstdint>
#include <filesystem>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// For files that only this process uses; created if missing.
Result<policyd::sql::Handle> open_plain(const std::filesystem::path& path);

// In one step, so that no other writer interferes. `to` waits for locks up to its busy_timeout, and
// in write-ahead mode must have pages of the same size.
Result<void> copy_all(sqlite3* from, sqlite3* to);

// `path` becomes one plain file without a log, so that it can be read anywhere.
Result<void> copy_into(sqlite3* from, const std::filesystem::path& path);

// 0 if there is none.
Result<std::int64_t> rules_version(const Tables& tables);

}  // namespace limits
