// SPDX-License-Identifier: AGPL-3.0-only
// Where the hooks keep what others look for, too: the units of the package, cron, the tests.
#pragma once

#include <filesystem>

namespace carbonio {

// `enable` makes it and `disable` removes it: the service is to run on this host. The package's
// unit, which is enabled at installation, starts only where it is (ConditionPathExists).
inline std::filesystem::path enabled_mark(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "enabled";
}

}  // namespace carbonio
