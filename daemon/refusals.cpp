// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/refusals.hpp"

namespace policyd {

void Refusals::refused(std::int64_t limit_id, std::string_view track_key, std::string_view verdict,
                       TimePoint now) {
  if (capacity_ == 0) return;
  ++total_;
  track_key = track_key.substr(0, kMaxKey);
  const auto known = by_key_.find({limit_id, track_key});
  if (known == by_key_.end()) {
    if (refusals_.size() >= capacity_) {
      by_key_.erase({refusals_.back().limit_id, refusals_.back().track_key});
      refusals_.pop_back();
    }
    Refusal& fresh = refusals_.emplace_front();
    fresh.limit_id = limit_id;
    fresh.track_key = track_key;
    fresh.first = now;
    by_key_.emplace(Key{limit_id, fresh.track_key}, refusals_.begin());
  } else {
    refusals_.splice(refusals_.begin(), refusals_, known->second);
  }
  Refusal& refusal = refusals_.front();
  refusal.verdict = verdict;
  ++refusal.count;
  refusal.last = now;
}

}  // namespace policyd
