// SPDX-License-Identifier: AGPL-3.0-only
// Copies of the database while the daemon has it open: through SQLite only.
#pragma once

#include <filesystem>

#include "daemon/base/clock.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// Copies `database` as it is committed to a new file beside it, "NAME.2026-11-22_12-00-00" (local
// time), never over an existing one, with the same permissions. Returns its path.
Result<std::filesystem::path> copy_aside(const std::filesystem::path& database,
                                         policyd::TimePoint now);

// The same to `path`, which must not exist.
Result<void> copy_to(const std::filesystem::path& database, const std::filesystem::path& path);

}  // namespace limits
