// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's recipient_delimiter, which should be Postfix's: a line of carbonio-limits.conf.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace limits {

// Whether the daemon supports it.
bool is_valid_delimiter(std::string_view value);

// The text of the file with this value, and otherwise unchanged.
std::string with_delimiter(std::string_view text, std::string_view value);

// Writes it as the current user; a new file if there is none.
policyd::Result<void> write_delimiter(const std::filesystem::path& file, std::string_view value);

// The same as typed in a shell, and the daemon's reload.
std::string delimiter_command(const std::filesystem::path& file, std::string_view value);

}  // namespace limits
