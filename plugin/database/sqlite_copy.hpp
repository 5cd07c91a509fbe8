// SPDX-License-Identifier: AGPL-3.0-only
// SQLite's backup of a whole database, from one connection to another.
#pragma once

#include <cstdint>
#include <filesystem>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// For files that only we know; made where there is none.
Result<policyd::sql::Handle> open_plain(const std::filesystem::path& path);

// All of it in one step, so that nothing comes in between; `to` waits for locks as long as its
// busy_timeout, and needs pages of the same size where it is in write-ahead mode.
Result<void> copy_all(sqlite3* from, sqlite3* to);

// `path` becomes one plain file, without a log beside it, so that it may be read from anywhere.
Result<void> copy_into(sqlite3* from, const std::filesystem::path& path);

// 0 where there is none.
Result<std::int64_t> rules_version(const Tables& tables);

}  // namespace limits
