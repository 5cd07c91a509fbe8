// SPDX-License-Identifier: AGPL-3.0-only
// Limits as a text file for version control: one limit per line, as you would type it, and
// comments. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

inline constexpr std::size_t kMaxLimitFile = 64UL * 1024 * 1024;  // bytes

struct FileLimit {
  std::size_t line = 0;  // from 1
  WantedLimit wanted;
};

struct LimitFile {
  std::vector<FileLimit> limits;
  Carried carried;
  // How many limits come before each carried policy: their order decides which of two answers
  // first.
  std::vector<std::size_t> places;
};

// Fully checked; the Error names the line. Two lines for the same limit are refused.
Result<LimitFile> parse_limit_file(std::string_view text);

// Whether it begins with a statement for sqlite3.
bool is_sql_file(std::string_view text);

// The quotas and groups that lines express. `special`: see read_special_quotas.
InWords in_words(const AllLimits& all, const std::unordered_set<std::int64_t>& special);

// A limit that no line can express is carried as rows after a comment that describes it.
std::string format_limit_file(const AllLimits& all, const InWords& words, const Carried& carried);

}  // namespace limits
