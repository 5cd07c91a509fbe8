// SPDX-License-Identifier: AGPL-3.0-only
// A limit and its rows: policies, policy_members, quotas, quotas_limits, and the except-group by
// which a more specific limit replaces a more general one. A limit is one policy; each of its
// periods is one quota with one quotas_limits row. Rows created by hand are read and changed the
// same way.
//
// All changes work on the limits that were read in the same transaction, and keep them up to date,
// so that a thousand changes do not read everything a thousand times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

struct ApplyResult {
  enum class Kind : std::uint8_t { created, changed, unchanged };
  Kind kind = Kind::unchanged;
  StoredLimit limit;  // after the change
  // "100/h → 200/h", "verdict defer → reject", "off → on": what changed.
  std::vector<std::string> differences;
  // "limit 3 (100/h for everyone) no longer applies to alice@example.org; limit 4 does".
  std::vector<std::string> consequences;
  // The previous verdict ("defer") of a limit that was enforced before and now only monitors.
  std::string lost_verdict;
  // Enforced limits that no longer apply to its target, although this limit only monitors.
  std::vector<std::int64_t> overruled;
};

// Creates the limit, or changes the existing one with the same direction, target and --per. More
// specific limits with the same direction and --per override it, and it overrides more general
// ones. If several such limits exist already, nothing is changed and the Error names them. Call it
// inside a transaction, which the caller ends.
Result<ApplyResult> apply_limit(ChangeSet& changes, AllLimits& all, const WantedLimit& wanted);

// Changes the limit of `all` with this ID, even if our options cannot express it.
Result<ApplyResult> set_rates(ChangeSet& changes, AllLimits& all, std::int64_t id,
                              const std::vector<Rate>& rates);
Result<ApplyResult> switch_limit(ChangeSet& changes, AllLimits& all, std::int64_t id, bool on);
// Deletes its rows, counters and except-group; more general limits apply to its target again. The
// result has the limit as it was before.
Result<ApplyResult> remove_limit(ChangeSet& changes, AllLimits& all, std::int64_t id);

}  // namespace limits
