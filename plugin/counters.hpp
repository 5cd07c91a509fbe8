// SPDX-License-Identifier: AGPL-3.0-only
// Counters set free: rows of quotas_tracking deleted. The daemon drops what it has cached of them
// with its next batch, as after any foreign commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/changes.hpp"

namespace limits {

// The TrackKeys that are `who`'s own: a mail address, a domain, an IP address or a login name. What
// is counted together with others (the domain of an address) is not among them.
std::vector<std::string> own_keys(std::string_view who);

struct Freed {
  std::int64_t limit_id = 0;  // quotas_limits
  std::string key;
};

// Counters of the rows `limit_ids` of quotas_limits; `keys`: none for all of them.
Result<std::vector<Freed>> free_counters(Changes& changes,
                                         const std::vector<std::int64_t>& limit_ids,
                                         const std::optional<std::vector<std::string>>& keys);

}  // namespace limits
