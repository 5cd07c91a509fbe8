// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/refused_counters.hpp"

#include <algorithm>
#include <functional>

namespace policyd {

void RefusedCounters::note(std::string_view module, std::int64_t row_id, std::string_view track_key,
                           TimePoint now, std::uint64_t times) {
  constexpr std::size_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;
  const std::size_t hash =
      (std::hash<std::string_view>{}(track_key) ^ static_cast<std::size_t>(row_id)) * kGoldenRatio;
  Refused* counter = counters_.find(hash, [&](const Refused& known) {
    return known.row_id == row_id && known.track_key == track_key && known.module == module;
  });
  if (counter == nullptr) {
    if (counters_.size() >= kCapacity) counters_.drop_oldest();
    counter = &counters_.add(hash);
    counter->module.assign(module);
    counter->row_id = row_id;
    counter->track_key.assign(track_key);
    counter->since = now;
  } else if (now - counter->last > kKeep) {
    counter->times = 0;
  }
  if (now - counter->last > kGap) counter->since = now;
  counter->since = std::min(counter->since, now);  // the clock was set back
  counter->last = now;
  counter->times += times;
}

Millis RefusedCounters::longest(TimePoint now) const {
  Millis longest{0};
  counters_.each([&](const Refused& counter) {
    if (now - counter.last <= kGap) longest = std::max(longest, counter.last - counter.since);
    return true;
  });
  return longest;
}

std::vector<RefusedCounters::Refused> RefusedCounters::most_often(std::size_t count,
                                                                  TimePoint now) const {
  if (count == 0) return {};
  std::vector<const Refused*> recent;
  recent.reserve(counters_.size());
  counters_.each([&](const Refused& counter) {
    if (now - counter.last <= kKeep) recent.push_back(&counter);
    return true;
  });
  count = std::min(count, recent.size());
  std::partial_sort(recent.begin(), recent.begin() + static_cast<std::ptrdiff_t>(count),
                    recent.end(),
                    [](const Refused* a, const Refused* b) { return a->times > b->times; });
  std::vector<Refused> most;
  most.reserve(count);
  for (std::size_t i = 0; i < count; ++i) most.push_back(*recent[i]);
  return most;
}

}  // namespace policyd
