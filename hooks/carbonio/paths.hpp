// SPDX-License-Identifier: AGPL-3.0-only
// Paths that the hooks share with the package's units, cron and the tests.
#pragma once

#include <filesystem>

namespace carbonio {

// Created by `enable` and removed by `disable`: the service runs on this host. The package's unit,
// which is enabled at installation, starts only if it exists (ConditionPathExists).
inline std::filesystem::path enabled_mark(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "enabled";
}

}  // namespace carbonio
