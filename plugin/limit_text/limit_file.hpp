// SPDX-License-Identifier: AGPL-3.0-only
// Limits as a text for version control: one line a limit, as one would type it, and comments.
// Reading and writing; pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

inline constexpr std::size_t kMaxLimitFile = 64UL * 1024 * 1024;  // bytes

struct FileLimit {
  std::size_t line = 0;  // from 1
  WantedLimit wanted;
};

// Checked completely; the Error names the line. Two lines for the same limit are refused.
Result<std::vector<FileLimit>> parse_limit_file(std::string_view text);

// What cannot be said in a line is there as a comment that says what it is.
std::string format_limit_file(const AllLimits& all);

}  // namespace limits
