// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/text.hpp"

#include <fmt/core.h>
#include <unistr.h>
#include <uniwidth.h>

#include <algorithm>
#include <cstdint>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"

namespace limits {
std::string shown(std::string_view text) {
  constexpr std::size_t kMaxBytes = 80;
  return policyd::printable(text, kMaxBytes);
}
std::string escaped(std::string_view text) { return policyd::printable(text); }

std::string join_with_and(std::span<const std::string> parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

std::string counted(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, of_number(number, "", "s"));
}

std::string_view of_number(std::size_t number, std::string_view one, std::string_view several) {
  return number == 1 ? one : several;
}

std::string with_ids(std::string_view noun, std::span<const std::int64_t> ids) {
  constexpr std::size_t kMaxNamed = 10;
  std::vector<std::string> parts;
  for (const std::int64_t id : ids.first(std::min(ids.size(), kMaxNamed))) {
    parts.push_back(fmt::format("{}", id));
  }
  if (ids.size() > kMaxNamed) parts.push_back(fmt::format("{} more", ids.size() - kMaxNamed));
  return fmt::format("{}{} {}", noun, of_number(ids.size(), "", "s"), join_with_and(parts));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Character take_character(std::string_view& text) {
  if (static_cast<unsigned char>(text.front()) < 0x80) {
    const Character out{text.substr(0, 1), 1};
    text.remove_prefix(1);
    return out;
  }
  ucs4_t c = 0;
  const auto* units = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto size = static_cast<std::size_t>(u8_mbtouc(&c, units, text.size()));
  const Character out{text.substr(0, size),
                      static_cast<std::size_t>(std::max(0, uc_width(c, "UTF-8")))};
  text.remove_prefix(size);
  return out;
}

std::size_t width_of(std::string_view text) {
  std::size_t out = 0;
  while (!text.empty()) out += take_character(text).columns;
  return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && lower_cased(a) == lower_cased(b);
}

std::string lower_cased(std::string_view text) {
  std::string out{text};
  policyd::lower_case(out);
  return out;
}

std::string upper_cased(std::string_view text) {
  std::string out{text};
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace limits
