// SPDX-License-Identifier: AGPL-3.0-only
// Which groups are broken (group_set.hpp), and by which member: for the command, which must not put
// such a group into an exception, and names what to correct. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

struct BrokenGroup {
  // Where the fault is: this group or one that it contains. It is the same for all groups of a
  // circle.
  std::string group;
  std::int64_t member = 0;       // ID of its row of policy_group_members; 0: not stored yet
  std::string item;              // as written there: an impossible address, or the next of a circle
  bool in_circle = false;        // `group` contains itself
  bool matches_nothing = false;  // no member before the fault can match
};

// By name. Groups that are not broken are left out.
using BrokenGroups = std::unordered_map<std::string, BrokenGroup>;
[[nodiscard]] BrokenGroups broken_groups(std::span<const GroupRow> rows, Side side);

}  // namespace policyd
