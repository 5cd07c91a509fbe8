// SPDX-License-Identifier: AGPL-3.0-only
// Matching without an index, item by item as CBPolicyD does it, with the reason in words: for
// `carbonio-limits explain`, and the index is tested against it. Pure functions; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/own_addresses.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

struct PlainMatch {
  bool matches = false;
  std::string because;  // "sender matches '@example.org'", "'!%partners' fails: ..."
};

// `list` is a Source or Destination; `extensions` as in Matcher::match().
PlainMatch plain_match(const std::optional<std::string>& list, Side side, const Request& request,
                       std::span<const GroupRow> groups, const Extensions& extensions = {});

}  // namespace policyd
