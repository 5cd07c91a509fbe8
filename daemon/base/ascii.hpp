// SPDX-License-Identifier: AGPL-3.0-only
// Letters, digits and white space of ASCII, regardless of the locale: for addresses, host names and
// configuration values. Pure functions; any thread.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace policyd {

[[nodiscard]] constexpr bool is_white_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
[[nodiscard]] constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

inline bool has_white_space(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_white_space);
}

// Only A..Z change: mail addresses are compared this way.
inline void lower_case(std::string& text) {
  std::transform(text.begin(), text.end(), text.begin(), lower);
}

// All of `text` as a decimal number; nullopt if it is anything else, or does not fit.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace policyd
