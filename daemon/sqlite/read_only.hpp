// SPDX-License-Identifier: AGPL-3.0-only
// Opening a database that may not be written: root's, a restored backup, one on a read-only disk.
// SQLite itself reads one in write-ahead mode only where it may create files beside it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Where SQLite would have to create files: reads the file as it is if it has no log, and otherwise
// a copy of both that is gone with the handle. Any thread, but not while this process has the file
// open otherwise.
Result<sql::Handle> open_unwritable(const std::filesystem::path& file,
                                    std::chrono::milliseconds busy_timeout);

// What keeps this user from writing it, and the command that changes that, as a clause for a
// message; empty if nothing does. Looks users up.
std::string why_unwritable(const std::filesystem::path& file);

}  // namespace policyd
