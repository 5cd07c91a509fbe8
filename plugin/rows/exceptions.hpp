// SPDX-License-Identifier: AGPL-3.0-only
// A more special limit replaces a more general one (replacements.hpp): the policy of the general
// one gets `!%NAME-except` on the side that names its target, and the target of the special one
// becomes a member of that group. (Not by LastQuota, which would skip all limits that follow.)
// Targets that the admin exempts (--except) are in the same group, marked by a comment. All of it
// follows from the limits; nothing is read or written here.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugin/rows/plan_entry.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/rows/row_changes.hpp"

namespace limits {

using ExceptGroups = std::unordered_map<std::string, ExceptGroup>;

// A limit applies to an item again, or no longer.
struct ExceptionChange {
  std::size_t general = 0;             // index of its entry
  std::optional<std::size_t> special;  // the limit that does instead, or no longer does
  bool added = false;
};

struct Exceptions {
  std::vector<GroupChange> groups;
  std::vector<ExceptionChange> changes;
  ExceptGroups after;
};

// Changes the members and exceptions of the entries that the touched ones concern. If a policy
// serves other limits or modules too, an exception would apply to all of them, so the limit gets a
// policy of its own.
Exceptions find_exceptions(std::vector<PlanEntry>& entries, const ExceptGroups& groups,
                           Surroundings& around);

}  // namespace limits
