// SPDX-License-Identifier: AGPL-3.0-only
// All limits as the rows say them.
#pragma once

#include <cstdint>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

struct AllLimits {
  std::vector<StoredLimit> limits;       // by their ID
  std::vector<std::int64_t> unreadable;  // quotas whose rows are no limit (no period, amount, type)
};

// Inside the caller's transaction, or in one of its own.
Result<AllLimits> read_limits(const Tables& tables);
// The limits of one policy, or of the one inserted last, after its rows were changed. Pointers into
// `all` are invalid then. What their except-groups hold stays as it was known.
Result<void> read_again(const Tables& tables, AllLimits& all, std::int64_t policy_id);
Result<void> read_newest(const Tables& tables, AllLimits& all);

// By the ID of any of its quotas; nullptr where there is none.
StoredLimit* find_limit(AllLimits& all, std::int64_t id);
const StoredLimit* find_limit(const AllLimits& all, std::int64_t id);

}  // namespace limits
