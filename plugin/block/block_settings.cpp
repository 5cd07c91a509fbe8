// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/block_settings.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "daemon/base/ascii.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/config/ini.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// Of a key that is set again the last value counts.
void read_items(std::string_view list, std::vector<std::string>& into) {
  into.clear();
  for (std::string_view line : split(list, '\n')) {
    if (line.starts_with('#') || line.starts_with(';')) continue;
    while (!line.empty()) {
      const std::string_view item = line.substr(0, line.find_first_of(", \t\r"));
      line.remove_prefix(std::min(line.size(), item.size() + 1));
      if (!item.empty()) into.emplace_back(item);
    }
  }
}

}  // namespace

policyd::Result<BlockSettings> read_block_settings(const std::filesystem::path& own_config) {
  BlockSettings out;
  const auto text = policyd::read_file(own_config, policyd::kMaxIniBytes);
  if (!text && text.error().code == ENOENT) return out;
  if (!text) {
    return policyd::failure(fmt::format("cannot read {}, which may say who is never blocked: {}",
                                        own_config.string(), text.error().message));
  }
  const auto sections = policyd::parse_ini(*text, own_config.string());
  if (!sections) return tl::unexpected{sections.error()};
  const auto number = [](const std::string& value, std::uint64_t& into) {
    into = policyd::parse_number<std::uint64_t>(value).value_or(into);
  };
  for (const policyd::IniSection& section : *sections) {
    if (!equal_ignoring_case(section.name, "block")) continue;
    for (const policyd::IniEntry& entry : section.entries) {
      if (equal_ignoring_case(entry.key, "never")) read_items(entry.value, out.never);
      if (equal_ignoring_case(entry.key, "mailboxes")) read_items(entry.value, out.mailboxes);
      if (equal_ignoring_case(entry.key, "per_hour")) number(entry.value, out.per_hour);
      if (equal_ignoring_case(entry.key, "after")) number(entry.value, out.after);
      if (equal_ignoring_case(entry.key, "mail_log")) out.mail_log = entry.value;
      if (equal_ignoring_case(entry.key, "countries")) out.countries = entry.value;
    }
  }
  return out;
}

}  // namespace limits
