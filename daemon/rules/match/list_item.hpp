// SPDX-License-Identifier: AGPL-3.0-only
// One item of a Source or Destination list, or of a group, as a value. The index and the plain
// matching share nothing but this parsing. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ip_address.hpp"

namespace policyd {

enum class Side : std::uint8_t { source, destination };

enum class ItemKind : std::uint8_t {
  group,           // %name
  client_network,  // 192.0.2.0/24
  peer_network,    // [192.0.2.0/24]
  sasl_user,       // $name; `$-` also where there is no SASL user
  empty_sender,    // @
  address,         // user@domain, @domain, stars
  host,            // mail.example.org, *.example.org, .example.org
  unparsable,      // matches nothing, so with `!` everything
  error,           // 300.1.1.1 or no text: its list does not match, with `!` neither
};

struct ListItem {
  ItemKind kind = ItemKind::unparsable;
  bool negated = false;
  std::string text;   // the group's name as written; other patterns in lower case, without the `$`
  IpNetwork network;  // of the two network kinds
};

// Everything behind a line break is dropped, as CBPolicyD drops it.
[[nodiscard]] ListItem parse_item(std::string_view text, Side side);

// NULL and `any` match everything.
[[nodiscard]] bool matches_everything(const std::optional<std::string>& list);

// The items of a Source or Destination, all of which must match. Empty ones at the end are none, as
// CBPolicyD has it; a list without items matches nothing. The views point into `list`.
[[nodiscard]] std::vector<std::string_view> list_items(std::string_view list);

// The items of one row of policy_group_members: commas and line breaks separate, empty ones are
// none. The views point into `member`.
[[nodiscard]] std::vector<std::string_view> member_items(std::string_view member);

// What is wrong with an item, in words; nullopt where nothing is.
[[nodiscard]] std::optional<std::string> item_problem(std::string_view text, Side side);

// `text` in quotes for messages: shortened, and without control characters.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace policyd
