// SPDX-License-Identifier: AGPL-3.0-only
// One limit of a plan, as it is and as it should be. Used by limits.cpp and its helpers only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugin/limit/limit.hpp"
#include "plugin/rows/surroundings.hpp"

namespace limits {

struct PlanEntry {
  const StoredLimit* before = nullptr;  // none: a new limit
  StoredLimit now;
  std::string description = {};  // of a new policy
  bool touched = false;          // a command names it
  bool gone = false;
  bool moves = false;    // gets a policy of its own
  bool changed = false;  // its own rows change
  // Items that are to be exempt, if a command says so.
  std::optional<std::vector<std::string>> exempt = {};
};

// Whether the policy has quotas other than this limit's, or rows of other modules.
bool is_shared(const PlanEntry& entry, const Surroundings& around);

// Of each policy that nobody uses once the gone limits are gone, one of these.
std::vector<const PlanEntry*> last_of_policies(const std::vector<PlanEntry>& entries,
                                               const Surroundings& around);

}  // namespace limits
