// SPDX-License-Identifier: AGPL-3.0-only
// carbonio-limits.conf, the configuration file that is ours to change. As the current user.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace limits {

// Replaces the file by what `edit` makes of its text; a new file if there is none. The file is
// replaced whole or not at all, and keeps its mode. An Error of `edit` changes nothing.
policyd::Result<void> edit_own_config(
    const std::filesystem::path& file,
    const std::function<policyd::Result<std::string>(std::string_view text)>& edit);

}  // namespace limits
