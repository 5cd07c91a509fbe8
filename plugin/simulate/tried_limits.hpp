// SPDX-License-Identifier: AGPL-3.0-only
// What a replay showed, for people: one line for each account, or whatever has a counter of its
// own, with the rate of the limit that it came nearest to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"
#include "plugin/simulate/replay.hpp"

namespace limits {

struct TriedAccount {
  std::string key;  // track key
  std::int64_t limit = 0;
  Rate rate;  // that refused it most often, or was used most
  double peak = 0;
  policyd::TimePoint peak_at{};
  std::uint64_t mails = 0;  // recipients; 0: not known, of a limit per message
  std::uint64_t hit = 0;
  std::uint64_t late = 0;
  policyd::TimePoint first_hit{};
  std::vector<std::uint32_t> counters;  // in the replay, of all rates

  [[nodiscard]] double percent() const {
    return rate.amount > 0 ? peak * 100 / static_cast<double>(rate.amount) : 0;
  }
};

struct TriedLimits {
  std::vector<TriedAccount> accounts;  // those hit most first, then the fullest
  std::uint64_t hit = 0;               // of Replay::recipients
  std::uint64_t late = 0;
  std::size_t accounts_hit = 0;
  policyd::TimePoint first_hit{};
};

// `limits` are those that were played.
TriedLimits tried_limits(const Replay& replay, const std::vector<StoredLimit>& limits);

}  // namespace limits
