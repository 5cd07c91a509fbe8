// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/append_number.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

namespace policyd {
namespace {

// Counts of mails are whole, and whole numbers are much cheaper to print.
std::optional<std::int64_t> whole(double number) {
  constexpr double kExact = 9007199254740992;  // 2^53: up to here each whole number is itself
  if (!(std::fabs(number) < kExact)) return std::nullopt;
  const auto integer = static_cast<std::int64_t>(number);
  if (static_cast<double>(integer) != number || (integer == 0 && std::signbit(number))) {
    return std::nullopt;
  }
  return integer;
}

}  // namespace

void append_number(std::string& out, std::int64_t number) {
  std::array<char, std::numeric_limits<std::int64_t>::digits10 + 2> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

void append_number(std::string& out, double number) {
  if (const auto integer = whole(number)) return append_number(out, *integer);
  fmt::format_to(std::back_inserter(out), "{}", number);
}

void append_fixed(std::string& out, double number, int decimals) {
  const auto integer = whole(number);
  if (!integer) {
    fmt::format_to(std::back_inserter(out), "{:.{}f}", number, decimals);
    return;
  }
  append_number(out, *integer);
  if (decimals <= 0) return;
  out += '.';
  out.append(static_cast<std::size_t>(decimals), '0');
}

}  // namespace policyd
