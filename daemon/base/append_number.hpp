// SPDX-License-Identifier: AGPL-3.0-only
// Appends numbers to a string, formatted as in log lines, without an intermediate string.
#pragma once

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>

namespace policyd {

inline void append_number(std::string& out, std::int64_t number) {
  const fmt::format_int text{number};
  out.append(text.data(), text.size());
}

// `number` if it is whole and positive, as most counts of messages are, which spares the 45 to 120
// ns that fmt takes for a double.
inline std::optional<std::int64_t> as_whole(double number) {
  constexpr double kExact = 9007199254740992;  // 2^53: every whole number up to here is itself
  if (!(number > 0 && number < kExact)) return std::nullopt;
  const auto whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? std::optional{whole} : std::nullopt;
}

// Like "{}": 10, 2.5.
inline void append_number(std::string& out, double number) {
  if (const auto whole = as_whole(number)) return append_number(out, *whole);
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), number);
}

// Like "{:.2f}", rounded as printf does: 3.87.
inline void append_fixed(std::string& out, double number, int decimals) {
  if (const auto whole = as_whole(number)) {
    append_number(out, *whole);
    if (decimals > 0) out.append(1, '.').append(static_cast<std::size_t>(decimals), '0');
    return;
  }
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{:.{}f}"), number, decimals);
}

}  // namespace policyd
