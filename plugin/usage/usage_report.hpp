// SPDX-License-Identifier: AGPL-3.0-only
// How much of which limit is used: quotas_tracking joined with the limits, as of a moment, by the
// daemon's own counting. Only reads.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {

// One counter.
struct Use {
  std::size_t limit = 0;      // place in the vector given
  std::int64_t limit_id = 0;  // quotas_limits
  Rate rate;
  std::string key;        // TrackKey
  std::int64_t used = 0;  // messages, or KiB
  // When one more message (1 KiB) is free, if nothing else comes; none where one is free now.
  std::optional<policyd::TimePoint> next_free;

  [[nodiscard]] double percent() const {
    return 100.0 * static_cast<double>(used) / static_cast<double>(rate.amount);
  }
};

struct UsageQuery {
  policyd::TimePoint now{};
  bool decay = false;  // see DatabasePlace
  std::optional<KeyFilter> filter;
  std::size_t most = std::numeric_limits<std::size_t>::max();  // the fullest ones only
};

struct Usage {
  std::vector<Use> uses;   // the fullest first
  std::size_t active = 0;  // counters with something in them, those that are not in `uses` too
};

// Counters with something in them of limits in force. A million of them cost a third of a second:
// only those that may be among the fullest are looked at closely.
Result<Usage> read_usage(const Tables& tables, const std::vector<StoredLimit>& limits,
                         const UsageQuery& query);

}  // namespace limits
