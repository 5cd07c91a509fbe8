// SPDX-License-Identifier: AGPL-3.0-only
// Clears counters by deleting rows of quotas_tracking. As after any foreign commit, the daemon
// drops its cached copies with the next batch.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// The TrackKeys of `who` alone: a mail address, a domain, an IP address, a network ("192.0.2.0/24")
// or a login name. Keys shared with others (the domain of an address, the network of a client) are
// not included. `prefix_lengths`: those of all Tracks `SenderIP:/n`, because they are part of the
// keys of single addresses.
std::vector<std::string> own_keys(std::string_view who, const std::set<int>& prefix_lengths);

// Those of the limits' Tracks, and of Accounting's.
Result<std::set<int>> prefix_lengths_of(const Tables& tables,
                                        const std::vector<StoredLimit>& limits);

struct ClearedCounter {
  std::int64_t limit_id = 0;  // quotas_limits
  std::string key;
};

// Clears the counters of the rows `limit_ids` of quotas_limits: those with `keys`, or all. Returns
// the ones that existed, if `keys` are given.
std::vector<ClearedCounter> clear_counters(ChangeSet& changes,
                                           const std::vector<std::int64_t>& limit_ids,
                                           const std::optional<std::vector<std::string>>& keys);

// The same of Accounting, for the day, week and month of `now`; those of the past, and of rows
// without a limit, are kept as figures. Returns the key and the ID in table accounting.
std::vector<ClearedCounter> clear_accounting(ChangeSet& changes,
                                             const std::vector<std::string>& keys,
                                             policyd::TimePoint now);

}  // namespace limits
