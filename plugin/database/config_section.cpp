// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/config_section.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "daemon/config/ini.hpp"

namespace limits {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text) {
  Lines out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    out.emplace_back(line);
  }
  return out;
}

std::string text_of(const Lines& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + '\n';
  return out;
}

bool is_header(std::string_view line) { return policyd::trimmed(line).starts_with('['); }
bool begins(std::string_view line, std::string_view section) {
  return policyd::equal_ignoring_case(policyd::trimmed(line), fmt::format("[{}]", section));
}

// The key that a line sets; empty if it sets none.
std::string_view key_in(std::string_view line) {
  const std::string_view text = policyd::trimmed(line);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || text.starts_with('#') || text.starts_with(';')) return {};
  return policyd::trimmed(text.substr(0, equals));
}

// Without the lines of the section that set a key which is `unwanted`.
Lines without_keys(std::string_view text, std::string_view section,
                   const std::function<bool(std::string_view)>& unwanted) {
  Lines out;
  bool inside = false;
  for (std::string& line : lines_of(text)) {
    if (is_header(line)) inside = begins(line, section);
    const std::string_view key = key_in(line);
    if (inside && !key.empty() && unwanted(key)) continue;
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace

std::string with_section_keys(std::string_view text, std::string_view section,
                              const SectionKeys& keys) {
  const auto is_header_of = [&](std::string_view line) { return begins(line, section); };
  Lines lines = without_keys(text, section, [&](std::string_view key) {
    return std::any_of(keys.begin(), keys.end(), [&](const auto& wanted) {
      return policyd::equal_ignoring_case(key, wanted.first);
    });
  });
  auto header = std::find_if(lines.begin(), lines.end(), is_header_of);
  if (header == lines.end()) {
    if (!lines.empty() && !lines.back().empty()) lines.emplace_back();
    lines.push_back(fmt::format("[{}]", section));
    header = lines.end() - 1;
  }
  Lines settings;
  for (const auto& [key, value] : keys) settings.push_back(fmt::format("{}={}", key, value));
  lines.insert(header + 1, settings.begin(), settings.end());
  return text_of(lines);
}

std::string without_section_keys(std::string_view text, std::string_view section,
                                 const std::function<bool(std::string_view key)>& unwanted) {
  const auto is_header_of = [&](std::string_view line) { return begins(line, section); };
  Lines lines = without_keys(text, section, unwanted);
  const auto header = std::find_if(lines.begin(), lines.end(), is_header_of);
  if (header == lines.end()) return text_of(lines);
  const auto next =
      std::find_if(header + 1, lines.end(), [](const std::string& line) { return !line.empty(); });
  if (next != lines.end() && !is_header(*next)) return text_of(lines);
  auto at = lines.erase(header, next);
  if (at == lines.end() && !lines.empty() && lines.back().empty()) lines.pop_back();
  return text_of(lines);
}

}  // namespace limits
