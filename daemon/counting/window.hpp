// SPDX-License-Identifier: AGPL-3.0-only
// The exact sliding window: within any period no more units pass than the limit allows. Pure
// functions of (state, now, units); the state of one counter is a few pairs in memory and a short
// blob in quotas_tracking.State.
//
// A pair is (last arrival, units). A unit that arrives within Period/60 of the newest pair's first
// arrival joins that pair, otherwise it starts a new one; a pair leaves when its last arrival is
// one Period old. So a unit is held for at most Period/60 too long, and never too short.
//
// The caller calls advance(now), compares use() + units with the limit, and if that passes calls
// add(). Any thread; no locking.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace policyd {

struct WindowPair {
  TimePoint last;
  std::uint64_t units = 0;
  bool operator==(const WindowPair&) const = default;
};

class Window {
 public:
  static constexpr std::size_t kMaxPairs = 62;
  static constexpr std::int64_t kJoinParts = 60;  // units within Period/60 share a pair
  // Units of a pair stop here: the largest number that a double counts exactly.
  static constexpr std::uint64_t kMaxUnits = std::uint64_t{1} << 53;
  // Times are clamped to these bounds, so that no difference of two overflows.
  static constexpr TimePoint kEarliest{Millis{0}};
  static constexpr TimePoint kLatest{Millis{std::int64_t{1} << 53}};

  // The window of a row without a valid State: `counter` units, all at `when`. Fractions, which the
  // Perl daemon leaves, are rounded up; a negative counter and NaN are 0.
  static Window of_counter(double counter, TimePoint when);
  // Of at most kMaxPairs pairs, oldest first, within the bounds above; others are merged into one.
  static Window of_pairs(std::span<const WindowPair> pairs);
  [[nodiscard]] std::span<const WindowPair> pairs() const { return {pairs_.data(), pairs_.size()}; }

  // Pairs that are a period old at `now` leave; times after `now` become `now`.
  void advance(TimePoint now, Millis period);
  void add(TimePoint now, Millis period, std::uint64_t units);  // after advance
  // Of the unit that has so many newer ones, when it arrived: nullopt if there is none.
  [[nodiscard]] std::optional<TimePoint> arrival(std::uint64_t newer) const;
  // It arrives again, at `now`; after advance. There must be one.
  void renew(std::uint64_t newer, TimePoint now, Millis period);
  // As if so many units, which arrived by `latest`, had never been added; fewer if there are not so
  // many. The oldest leave, so that what remains is held for no shorter than it has to be.
  void take_back(std::uint64_t units, TimePoint latest, Millis period);
  void merge(const Window& other);  // as if the arrivals of both had been counted here
  [[nodiscard]] std::uint64_t use() const { return use_; }  // as of the last advance or add
  // When at least `units` are free under `limit`, if nothing else is counted: kEarliest if they are
  // now, nullopt if they never will be (units > limit).
  [[nodiscard]] std::optional<TimePoint> free_at(Millis period, std::uint64_t limit,
                                                 std::uint64_t units) const;

  // State as stored, appended to `out`. `counter` and `last_update_s` are the columns it is written
  // with: a State whose columns were edited since is not parsed (nullopt), nor is a damaged one.
  void serialize(std::string& out, double counter, double last_update_s) const;
  static std::optional<Window> parse(std::string_view blob, double counter, double last_update_s);

  bool operator==(const Window&) const = default;

 private:
  void begin_pair(TimePoint now, std::uint64_t units);
  [[nodiscard]] std::size_t pair_of(std::uint64_t newer) const;  // its index + 1; 0: none

  boost::container::small_vector<WindowPair, 2> pairs_;  // oldest first
  TimePoint newest_first_{};                             // first arrival of the newest pair
  std::uint64_t use_ = 0;                                // the sum of all pairs' units
};

}  // namespace policyd
