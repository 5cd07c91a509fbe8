// SPDX-License-Identifier: AGPL-3.0-only
// What cbpolicyd does once and then exits, instead of serving.
#pragma once

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace policyd {

// --check-config: prints what is wrong with the configuration and with its use on this host, one
// line each with what to do. False if the daemon would not start with it.
[[nodiscard]] bool print_check(const LoadedConfig& loaded, const std::filesystem::path& file);

// --cleanup: becomes the configured user and removes old rows, whether the daemon runs or not.
// Prints what it removes.
Result<void> clean_up_now(const Config& config);

}  // namespace policyd
