// SPDX-License-Identifier: AGPL-3.0-only
// Copies the database through SQLite, so the daemon may have it open.
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

}  // namespace limits
