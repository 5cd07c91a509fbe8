// SPDX-License-Identifier: AGPL-3.0-only
// Counters set free: rows of quotas_tracking deleted. The daemon drops what it has cached of them
// with its next batch, as after any foreign commit.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// The TrackKeys that are `who`'s own: a mail address, a domain, an IP address, a network
// ("192.0.2.0/24") or a login name. What is counted together with others (the domain of an address,
// the network of a client) is not among them. `prefix_lengths`: of the Tracks `SenderIP:/n` that
// there are, since the keys of a single address carry them.
std::vector<std::string> own_keys(std::string_view who, const std::set<int>& prefix_lengths);

// Of the limits' Tracks.
std::set<int> prefix_lengths_of(const std::vector<StoredLimit>& limits);

struct Freed {
  std::int64_t limit_id = 0;  // quotas_limits
  std::string key;
};

// Counters of the rows `limit_ids` of quotas_limits; `keys`: none for all of them.
Result<std::vector<Freed>> free_counters(Changes& changes,
                                         const std::vector<std::int64_t>& limit_ids,
                                         const std::optional<std::vector<std::string>>& keys);

}  // namespace limits
