// SPDX-License-Identifier: AGPL-3.0-only
// Who may touch the database: its owner, since SQLite makes files beside it (-wal, -shm), and those
// of root would shut the daemon out. Called before the database is opened, in a program with one
// thread.
#pragma once

#include <filesystem>

#include "daemon/result.hpp"

namespace limits {

// Run by root, this process becomes the owner of `file` for good (of the nearest existing folder,
// where there is no file yet). Run by another user than the owner, an Error says whom to become.
policyd::Result<void> become_owner_of(const std::filesystem::path& file);

}  // namespace limits
