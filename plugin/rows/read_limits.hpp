// SPDX-License-Identifier: AGPL-3.0-only
// Reads all limits from the rows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/database/group_faults.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// What we write into the columns Comment. The words are stored in databases, so they stay.
inline constexpr std::string_view kGroupComment = "These have limits of their own";
inline constexpr std::string_view kExemptComment = "Exempt";

// A group whose members a limit does not apply to.
struct ExceptGroup {
  struct Item {
    std::int64_t id = 0;
    std::string text;
    bool exempt = false;  // by the admin, not because another limit applies
  };
  bool enabled = true;
  bool ours = false;        // we created it, and it has no disabled members
  std::vector<Item> items;  // the enabled ones
};

struct AllLimits {
  std::vector<StoredLimit> limits;       // by their ID
  std::vector<std::int64_t> unreadable;  // IDs of quotas without a valid period, amount or type
  std::unordered_map<std::string, ExceptGroup> except_groups;  // by name
  std::vector<policyd::GroupRow> groups;                       // all, as the daemon reads them
  GroupFaults faults;                                          // of these
};

Result<AllLimits> read_limits(const Tables& tables);

// Fills in what limits owe to each other and to the groups: who is exempt from each, which have a
// twin, and which a broken group keeps from matching.
void relate(AllLimits& all);

// By the ID of any of its quotas; nullptr if there is none.
const StoredLimit* find_limit(const AllLimits& all, std::int64_t id);

}  // namespace limits
