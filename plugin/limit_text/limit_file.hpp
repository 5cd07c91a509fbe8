// SPDX-License-Identifier: AGPL-3.0-only
// Limits as a text file for version control: one limit per line, as you would type it, and
// comments. Pure functions.
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

// Fully checked; the Error names the line. Two lines for the same limit are refused.
Result<std::vector<FileLimit>> parse_limit_file(std::string_view text);

// A limit that no line can express becomes a comment that describes it.
std::string format_limit_file(const AllLimits& all);

}  // namespace limits
