// SPDX-License-Identifier: AGPL-3.0-only
// How much of each limit is used at a given time: quotas_tracking joined with the limits, computed
// with the daemon's own code. Only reads.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "plugin/rows/limits.hpp"
#include "plugin/usage/other_parts.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {

// One counter.
struct Use {
  std::size_t limit = 0;      // index in the given vector
  std::int64_t limit_id = 0;  // quotas_limits
  Rate rate;
  std::string key;        // TrackKey
  std::int64_t used = 0;  // messages, or KiB, of all MTAs that share the limit
  std::int64_t used_here = 0;
  // When one more message (or KiB) passes if no other mail arrives; none if one passes now.
  std::optional<policyd::TimePoint> next_free;

  bool monitored = false;  // nothing is refused

  [[nodiscard]] double percent() const {
    return 100.0 * static_cast<double>(used) / static_cast<double>(rate.amount);
  }
  [[nodiscard]] bool refuses_now() const { return next_free.has_value() && !monitored; }
};

struct UsageQuery {
  policyd::TimePoint now{};
  bool decay = false;  // see DatabaseLocation
  std::optional<KeyFilter> filter;
  // Rows of quotas_limits whose shared counter the filter shows too (shared_counters.hpp).
  std::unordered_set<std::int64_t> shared = {};
  std::optional<std::int64_t> limit;                          // only of the limit with this ID
  std::size_t max = std::numeric_limits<std::size_t>::max();  // only the fullest ones
  AskOthers ask_others = {};                                  // empty: this host's figures alone
  std::optional<Alone> alone = {};
};

struct Usage {
  std::vector<Use> uses;   // those that refuse now first, then the fullest
  std::size_t active = 0;  // non-empty counters, including those that are not in `uses`
  bool of_all = false;     // the other MTAs' figures are included
};

// Non-empty counters of enabled limits. A million of them take a third of a second: only those that
// may be among the fullest are computed exactly.
Result<Usage> read_usage(const Tables& tables, const std::vector<StoredLimit>& limits,
                         const UsageQuery& query);

// "25M/message of limit 3 is about each message, and has no usage." Empty if all of it is counted.
std::string describe_uncounted(const StoredLimit& limit, std::string_view what);

}  // namespace limits
