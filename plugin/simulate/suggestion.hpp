// SPDX-License-Identifier: AGPL-3.0-only
// Figures for a limit from what accounts have sent: high enough that at most a given share of them
// would have been hit, and limits of their own for those. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "plugin/limit/limit.hpp"
#include "plugin/simulate/replay.hpp"

namespace limits {

// By minute, hour and day.
inline constexpr std::array<std::chrono::seconds, 3> kPeakPeriods = {
    std::chrono::seconds{60}, std::chrono::seconds{3600}, std::chrono::seconds{86'400}};

struct AccountPeaks {
  std::string key;                       // track key
  std::array<std::uint64_t, 3> peaks{};  // of kPeakPeriods
  std::uint64_t mails = 0;
};

// A limit that counts everything and refuses nothing, to be played.
WantedLimit measuring_limit(Direction direction, Per per);
// What was counted in it, the largest peaks by day first.
std::vector<AccountPeaks> peaks_of(const Replay& replay, const StoredLimit& measured);

// The least round figure that is at least a fifth above `peak`, and at least `least`.
std::int64_t round_figure(std::uint64_t peak, std::int64_t least);

struct OwnLimit {
  AccountPeaks account;
  WantedLimit limit;
};

struct Suggestion {
  WantedLimit common;
  std::vector<OwnLimit> own;               // accounts that are above it
  std::vector<AccountPeaks> not_nameable;  // likewise, but no option names them
};

// Of `accounts` at most `share` (0 to 1) get a limit of their own.
Suggestion suggest(const std::vector<AccountPeaks>& accounts, double share, Direction direction,
                   Per per);

// At most so many within a day; with algorithm=decay as much as is empty at first, and as gets
// free meanwhile.
std::int64_t most_in_a_day(const std::vector<Rate>& rates, policyd::Algorithm algorithm);

}  // namespace limits
