// SPDX-License-Identifier: AGPL-3.0-only
// LastQuota: of the mail that its policy matches, the daemon asks no further quota, so limits after
// it neither count nor refuse it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/rows/read_limits.hpp"

namespace limits {

struct AskedQuota {
  std::int64_t id = 0;
  std::int64_t policy_id = 0;
  bool last = false;
};

// The enabled quotas in the order in which the daemon asks them (CBPolicyD: by priority and ID of
// their policies); empty unless one with LastQuota has others after it. Only reads.
Result<std::vector<AskedQuota>> read_order_of_quotas(const Tables& tables);

// The limits with LastQuota that come before others; with `before`, only those that come before
// that limit.
std::vector<std::int64_t> limits_that_end(const std::vector<AskedQuota>& order,
                                          const AllLimits& all,
                                          const StoredLimit* before = nullptr);

// "limit 3 ends the check (LastQuota): limits 4 and 5 after it neither count nor refuse the mail
// that it matches". `end`: its position in the order.
std::string end_text(const std::vector<AskedQuota>& order, std::size_t end, const AllLimits& all);

}  // namespace limits
