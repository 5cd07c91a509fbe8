// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/counted_name.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "daemon/base/mail_address.hpp"
#include "daemon/names/extension.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/rules/track.hpp"

namespace limits {

std::string counted_name(const Tables& tables, const policyd::Config& config,
                         std::string_view who) {
  const std::string& delimiters = config.recipient_delimiter;
  const std::string name = policyd::login_form(who);
  const std::string_view local_part = policyd::local_part_of(name);
  if (delimiters.empty() || local_part.size() == name.size() ||
      policyd::without_extension(local_part, delimiters) == local_part) {
    return std::string{who};
  }
  const auto rules = policyd::load_rules(tables.db, tables.prefix, std::nullopt);
  if (!rules) return std::string{who};
  return policyd::without_extension(name, policyd::Extensions{delimiters, (*rules)->own_domains});
}

OwnExtensions read_extensions(const Tables& tables, const policyd::Config& config) {
  OwnExtensions out;
  if (config.recipient_delimiter.empty()) return out;
  auto rules = policyd::load_rules(tables.db, tables.prefix, std::nullopt);
  if (!rules) return out;
  out.rules = std::move(*rules);
  out.delimiters = std::make_shared<const std::string>(config.recipient_delimiter);
  out.extensions = policyd::Extensions{*out.delimiters, out.rules->own_domains};
  return out;
}

Result<std::vector<std::string>> with_other_spellings(const Tables& tables,
                                                      std::vector<std::string> keys) {
  const std::set<std::string, std::less<>> forms{keys.begin(), keys.end()};
  auto done = tables.each("SELECT TrackKey FROM {p}quotas_tracking", {},
                          [&](const policyd::sql::Statement& row) {
                            const std::string_view key = row.text(0);
                            if (policyd::is_track_key_form(key)) return;
                            if (forms.contains(policyd::track_key_form(key)))
                              keys.emplace_back(key);
                          });
  if (!done) return tl::unexpected{done.error()};
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace limits
