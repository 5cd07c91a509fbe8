// SPDX-License-Identifier: AGPL-3.0-only
// A time of day as people type it into a configuration file. Pure; any thread.
#pragma once

#include <string_view>

#include "daemon/base/ascii.hpp"

namespace policyd {

// "00:00" to "23:59", with all its digits.
[[nodiscard]] inline bool is_time_of_day(std::string_view text) {
  constexpr std::size_t kColon = 2;
  constexpr std::size_t kLength = 5;
  if (text.size() != kLength || text[kColon] != ':') return false;
  for (const std::size_t at : {0U, 1U, 3U, 4U}) {
    if (!is_digit(text[at])) return false;
  }
  return text.substr(0, kColon) < "24" && text[kColon + 1] < '6';
}

}  // namespace policyd
