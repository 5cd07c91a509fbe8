// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/later_tries.hpp"

#include <algorithm>

namespace limits {

LaterTries::Waiting* LaterTries::find(std::uint64_t key, policyd::TimePoint now) {
  if (by_key_.empty()) return nullptr;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto waiting =
      std::find_if(found->second.begin(), found->second.end(), [now](const Waiting& mail) {
        return now - mail.last >= kSoonest && now - mail.last <= kLatest;
      });
  return waiting == found->second.end() ? nullptr : &*waiting;
}

void LaterTries::add(std::uint64_t key, const Waiting& waiting) {
  // Not for each mail of a flood.
  if (waiting.last - swept_ > (size_ >= kMax ? kSweepFull : kLatest)) sweep(waiting.last);
  if (size_ >= kMax) return;
  auto& mails = by_key_[key];
  if (mails.size() >= kMaxOfKey) return;
  mails.push_back(waiting);
  ++size_;
}

void LaterTries::remove(std::uint64_t key, const Waiting* waiting) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  found->second.erase(found->second.begin() + (waiting - found->second.data()));
  --size_;
  if (found->second.empty()) by_key_.erase(found);
}

// Those that were not tried again.
void LaterTries::sweep(policyd::TimePoint now) {
  swept_ = now;
  size_ = 0;
  for (auto at = by_key_.begin(); at != by_key_.end();) {
    auto& mails = at->second;
    mails.erase(std::remove_if(mails.begin(), mails.end(),
                               [now](const Waiting& mail) { return now - mail.last > kLatest; }),
                mails.end());
    size_ += mails.size();
    at = mails.empty() ? by_key_.erase(at) : std::next(at);
  }
}

}  // namespace limits
