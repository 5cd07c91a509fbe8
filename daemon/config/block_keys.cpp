// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/block_keys.hpp"

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/config/value_text.hpp"
#include "daemon/names/name_form.hpp"

namespace policyd::config_key {

// Patterns would protect nobody.
Rejected check_block_never(ConfigDraft&, std::string_view value) {
  constexpr std::size_t kMaxEntry = 320;
  constexpr std::size_t kMaxEntries = 1'000;
  std::size_t entries = 0;
  for (const auto item : items_of(value)) {
    const std::size_t at = item.find('@');
    const bool domain = at != std::string_view::npos;
    // No login looks like an address with a slip.
    const bool network = item.find_first_of("/:") != std::string_view::npos ||
                         (item.find('.') != std::string_view::npos &&
                          item.find_first_not_of("0123456789.") == std::string_view::npos);
    const bool fine = item.size() <= kMaxEntry &&
                      item.find_first_of("*%$!\"\\") == std::string_view::npos &&
                      (!domain || problem_with_domain(domain_form(item.substr(at + 1))).empty()) &&
                      (!network || is_network(item));
    if (!fine || ++entries > kMaxEntries) return item;
  }
  return std::nullopt;
}

Rejected check_block_mailboxes(ConfigDraft&, std::string_view value) {
  constexpr std::size_t kMaxEntries = 100;
  std::size_t entries = 0;
  for (const auto item : items_of(value)) {
    const bool fine = item.find('/') == std::string_view::npos ? IpAddress::parse(item).has_value()
                                                               : is_network(item);
    if (!fine || ++entries > kMaxEntries) return item;
  }
  return std::nullopt;
}

Rejected check_block_per_hour(ConfigDraft&, std::string_view value) {
  return number_within(value, 0, 1'000) ? std::nullopt : Rejected{value};
}

Rejected check_block_after(ConfigDraft&, std::string_view value) {
  return number_within(value, 1, 1'000'000) ? std::nullopt : Rejected{value};
}

Rejected check_block_file(ConfigDraft&, std::string_view value) {
  constexpr std::size_t kMaxPath = 1'000;
  const bool fine = value.empty() || (value.starts_with('/') && value.size() <= kMaxPath);
  return fine ? std::nullopt : Rejected{value};
}

}  // namespace policyd::config_key
