// SPDX-License-Identifier: AGPL-3.0-only
// A limit and its rows: policies, policy_members, quotas, quotas_limits, and the except-group by
// which a more special limit replaces a more general one. One policy a limit, one quota with one
// quotas_limits a period. Rows made by hand are read and changed the same way.
//
// What changes something works on all limits as they were read in the same transaction, and keeps
// them up to date, so that a thousand changes need not read everything a thousand times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

struct Put {
  enum class Kind : std::uint8_t { made, changed, same };
  Kind kind = Kind::same;
  StoredLimit limit;  // as it is now
  // "100/h → 200/h", "verdict defer → reject", "off → on": what changed.
  std::vector<std::string> differences;
  // "limit 3 (100/h for everyone) no longer concerns alice@example.org, which limit 4 is for".
  std::vector<std::string> consequences;
  // Where it bit before and only watches now: the verdict that is lost, "defer".
  std::string lost_verdict;
  // Limits that bite and concern its target no more, though it only watches.
  std::vector<std::int64_t> overruled;
};

// Makes the limit, or brings the one of the same direction, target and --per to it. Limits of the
// same direction and --per for a part of those it covers are taken out of it, and it out of those
// that cover it. Where there are already several such limits nothing is changed, and the Error
// names them. Inside a transaction, which the caller ends.
Result<Put> put_limit(Changes& changes, AllLimits& all, const WantedLimit& wanted);

// The same by the ID of a limit in `all`, for those too that have no words here.
Result<Put> set_rates(Changes& changes, AllLimits& all, std::int64_t id,
                      const std::vector<Rate>& rates);
Result<Put> switch_limit(Changes& changes, AllLimits& all, std::int64_t id, bool on);
// Its rows, counters and except-group; those that covered its target concern it again. `limit` is
// as it was.
Result<Put> remove_limit(Changes& changes, AllLimits& all, std::int64_t id);

}  // namespace limits
