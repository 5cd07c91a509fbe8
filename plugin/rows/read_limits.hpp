// SPDX-License-Identifier: AGPL-3.0-only
// Reads all limits from the rows.
#pragma once

#include <cstdint>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

struct AllLimits {
  std::vector<StoredLimit> limits;       // by their ID
  std::vector<std::int64_t> unreadable;  // IDs of quotas without a period, amount or type
};

Result<AllLimits> read_limits(const Tables& tables);
// Rereads the limits of one policy, or of the one inserted last, after its rows were changed. This
// invalidates pointers into `all`. The members of their except-groups are not read again.
void reread_policy(ChangeSet& changes, AllLimits& all, std::int64_t policy_id);
void read_newest(ChangeSet& changes, AllLimits& all);

// By the ID of any of its quotas; nullptr if there is none.
StoredLimit* find_limit(AllLimits& all, std::int64_t id);
const StoredLimit* find_limit(const AllLimits& all, std::int64_t id);

}  // namespace limits
