// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/refusal_log.hpp"

#include <functional>

namespace policyd {

void RefusalLog::refused(std::int64_t limit_id, std::string_view track_key,
                         std::string_view verdict, TimePoint now) {
  if (capacity_ == 0) return;
  track_key = track_key.substr(0, kMaxKey);
  constexpr std::size_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;
  const std::size_t hash = std::hash<std::string_view>{}(track_key) ^
                           (static_cast<std::size_t>(limit_id) * kGoldenRatio);
  Refusal* refusal = refusals_.find(hash, [&](const Refusal& known) {
    return known.limit_id == limit_id && known.track_key == track_key;
  });
  if (refusal == nullptr) {
    if (refusals_.size() >= capacity_) refusals_.drop_oldest();
    refusal = &refusals_.add(hash);
    refusal->limit_id = limit_id;
    refusal->track_key = track_key;
    refusal->first = now;
  }
  if (verdict == kLetThrough) {
    ++refusal->let_through;
    if (refusal->count == 0) refusal->last = now;
    return;
  }
  refusal->verdict = verdict;
  ++refusal->count;
  refusal->last = now;
}

std::vector<Refusal> RefusalLog::all() const {
  std::vector<Refusal> refusals;
  refusals.reserve(refusals_.size());
  refusals_.each([&](const Refusal& refusal) {
    refusals.push_back(refusal);
    return true;
  });
  return refusals;
}

}  // namespace policyd
