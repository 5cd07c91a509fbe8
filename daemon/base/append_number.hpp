// SPDX-License-Identifier: AGPL-3.0-only
// Appends numbers to a string, formatted as in log lines, without an intermediate string.
#pragma once

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>

namespace policyd {

inline void append_number(std::string& out, std::int64_t number) {
  const fmt::format_int text{number};
  out.append(text.data(), text.size());
}

// Like "{}": 10, 2.5.
inline void append_number(std::string& out, double number) {
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), number);
}

// Like "{:.2f}", rounded as printf does: 3.87.
inline void append_fixed(std::string& out, double number, int decimals) {
  fmt::format_to(std::back_inserter(out), "{:.{}f}", number, decimals);
}

}  // namespace policyd
