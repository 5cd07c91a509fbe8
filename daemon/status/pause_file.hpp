// SPDX-License-Identifier: AGPL-3.0-only
// How the command tells the daemon that limits are paused: a JSON file beside the pid file, renamed
// into place. It is outside the database, so that it also works while that cannot be read, and it
// survives restarts of the daemon (not of the host, where /run is empty again).
#pragma once

#include <filesystem>
#include <optional>

#include "daemon/base/result.hpp"
#include "daemon/engine/pause.hpp"

namespace policyd {

// "/run/carbonio/cbpolicyd.pause.json" for "/run/carbonio/cbpolicyd.pid".
std::filesystem::path pause_file_of(const std::filesystem::path& pid_file);

// nullopt if there is none. An Error if it cannot be read, is not a pause, or belongs to a user who
// is neither root, nor this one, nor the owner of its folder: nobody else may stop the limits.
Result<std::optional<Pause>> read_pause(const std::filesystem::path& file);

Result<void> write_pause(const std::filesystem::path& file, const Pause& pause);
// False if there is none.
Result<bool> remove_pause(const std::filesystem::path& file);

}  // namespace policyd
