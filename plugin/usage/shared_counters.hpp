// SPDX-License-Identifier: AGPL-3.0-only
// Limits with one counter for everybody in it (Track Policy) do not name an address in their keys;
// which of them limit somebody follows from the rules. Only reads.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// The rows of quotas_limits with a shared counter that mail from or to `who` counts in: an address,
// a domain, an IP address or a login name. Their rules are read only if there is such a limit.
Result<std::unordered_set<std::int64_t>> shared_rows_of(const Tables& tables,
                                                        const std::vector<StoredLimit>& limits,
                                                        std::string_view who);

}  // namespace limits
