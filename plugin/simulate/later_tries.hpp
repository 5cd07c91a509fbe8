// SPDX-License-Identifier: AGPL-3.0-only
// Which tries in the log are of one mail. A line that refuses a mail does not identify it, so a try
// with the same sender, recipient and login (or client), a minute to four hours after one that was
// refused, is taken for the same mail. Sooner no server tries again, so that is another mail.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "daemon/base/clock.hpp"

namespace limits {

class LaterTries {
 public:
  static constexpr std::chrono::minutes kSoonest{1};
  static constexpr std::chrono::hours kLatest{4};
  static constexpr std::size_t kMax = 200'000;     // mails that are waited for
  static constexpr std::size_t kMaxOfKey = 1'000;  // with the same sender and recipient

  // A mail that was refused in the log and may come again.
  struct Waiting {
    policyd::TimePoint last{};   // try
    std::uint32_t hit = kNoHit;  // in Replay::hits; kNoHit: the tried rules are done with it
  };
  static constexpr std::uint32_t kNoHit = 0xffffffff;

  // The mail of which this is a later try; null if it is a new one. Until the next call.
  Waiting* find(std::uint64_t key, policyd::TimePoint now);
  void add(std::uint64_t key, const Waiting& waiting);
  // It was accepted in the log.
  void remove(std::uint64_t key, const Waiting* waiting);

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::chrono::minutes kSweepFull{1};

  void sweep(policyd::TimePoint now);

  std::unordered_map<std::uint64_t, std::vector<Waiting>> by_key_;
  std::size_t size_ = 0;
  policyd::TimePoint swept_{};
};

}  // namespace limits
