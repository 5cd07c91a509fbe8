// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/value_text.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "daemon/base/ip_address.hpp"
#include "daemon/config/ini.hpp"

namespace policyd::config_key {

bool is_one_of(std::span<const std::string_view> words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [word](std::string_view w) { return equal_ignoring_case(w, word); });
}

std::optional<std::uint64_t> number_within(std::string_view text, std::uint64_t min,
                                           std::uint64_t max) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end || value < min || value > max) return std::nullopt;
  return value;
}

std::vector<std::string_view> items_of(std::string_view list) {
  std::vector<std::string_view> items;
  while (!list.empty()) {
    const std::size_t newline = list.find('\n');
    std::string_view line = trimmed(list.substr(0, newline));
    list.remove_prefix(newline == std::string_view::npos ? list.size() : newline + 1);
    if (line.starts_with('#') || line.starts_with(';')) continue;
    while (!line.empty()) {
      const std::size_t end = line.find_first_of(", \t\r\v\f");
      if (end != 0) items.push_back(line.substr(0, end));
      line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    }
  }
  return items;
}

bool is_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::uint64_t bits = text.find(':') == std::string_view::npos ? 32 : 128;
  return IpNetwork::parse(text) && (slash == std::string_view::npos ||
                                    number_within(text.substr(slash + 1), 0, bits).has_value());
}

}  // namespace policyd::config_key
