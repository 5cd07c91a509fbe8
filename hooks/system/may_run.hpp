// SPDX-License-Identifier: AGPL-3.0-only
// Whether a user may run a program, and if not, which folder or file is in the way: the daemon's
// user cannot enter root's home, for example. For a process with one thread.
#pragma once

#include <filesystem>

#include "daemon/base/result.hpp"
#include "hooks/system/users.hpp"

namespace carbonio {

// For this process's user. The Error names the folder and what to do.
policyd::Result<void> check_may_run(const std::filesystem::path& program);

// For the user that a process of root will become; for another process, as above.
policyd::Result<void> check_may_run(const std::filesystem::path& program, const User& user);

}  // namespace carbonio
