// SPDX-License-Identifier: AGPL-3.0-only
// Matching without an index, item by item as CBPolicyD goes through them, so that it can say why:
// for `carbonio-limits explain`, and the index is tested against it. Pure functions; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

// One item of a list, or a whole Source or Destination, tried without an index, with the reason
// in words: what `carbonio-limits explain` shows, and what the index is tested against.
struct PlainMatch {
  bool matches = false;
  std::string because;  // "sender matches '@example.org'", "'!%partners' fails: ..."
};
PlainMatch plain_match(const std::optional<std::string>& list, Side side, const Request& request,
                       std::span<const GroupRow> groups);

}  // namespace policyd
