// SPDX-License-Identifier: AGPL-3.0-only
// One item of a Source or Destination list, or of a group, as a value. The index and plain_match
// share only this parsing. Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/rules/match/row_problem.hpp"

namespace policyd {

enum class Side : std::uint8_t { source, destination };

enum class ItemKind : std::uint8_t {
  group,           // %name
  client_network,  // 192.0.2.0/24
  peer_network,    // [192.0.2.0/24]
  sasl_user,       // $name; `$-` also matches without a SASL user
  empty_sender,    // @
  address,         // user@domain, @domain, stars
  host,            // mail.example.org, *.example.org, .example.org
  unparsable,      // matches nothing, so with `!` everything
  error,           // 300.1.1.1 or no text: its list does not match, not even with `!`
};

struct ListItem {
  ItemKind kind = ItemKind::unparsable;
  bool negated = false;
  std::string
      text;  // the group's name as written; other patterns in the form of names, without the `$`
  IpNetwork network;  // of the two network kinds
};

// As word processors write them: “anna@example.org”. The form of names does not keep them.
inline constexpr std::array<std::string_view, 8> kTypographicQuotes = {
    "\u2018", "\u2019", "\u201A", "\u201C", "\u201D", "\u201E", "\u00AB", "\u00BB"};

// Everything after a line break is dropped, as in CBPolicyD; CR LF at the end is nothing.
[[nodiscard]] ListItem parse_item(std::string_view text, Side side);

// NULL and `any` match everything.
[[nodiscard]] bool matches_everything(const std::optional<std::string>& list);

// The items of a Source or Destination, all of which must match. Empty items and line breaks at its
// end are dropped; a list without items matches nothing. The views point into `list`.
[[nodiscard]] std::vector<std::string_view> list_items(std::string_view list);

// The items of one row of policy_group_members, separated by commas or line breaks; empty items are
// dropped. The views point into `member`.
[[nodiscard]] std::vector<std::string_view> member_items(std::string_view member);

// As typed: "192.0.2.0/33". A network of IPv4 addresses in IPv6 form has 96 bits more.
[[nodiscard]] bool is_longer_than_addresses(std::string_view network);

// What is wrong with an item; nullopt if it is valid.
[[nodiscard]] std::optional<RowProblem::Kind> item_problem(std::string_view text, Side side);

// Two items of a list, all of which must match, that exclude each other: "anna@example.org,
// bob@example.org", or "anna@example.org,!@example.org". Of a long list only the first 16 items are
// compared.
[[nodiscard]] std::optional<std::pair<std::string_view, std::string_view>> never_together(
    std::string_view list, Side side);

}  // namespace policyd
