// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/window.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace policyd {
namespace {

// Why kMaxPairs is enough. First arrivals of neighbouring pairs are more than Period/60 apart. The
// oldest pair is still there while its last arrival, at most Period/60 after its first, is less
// than a Period old. So all first arrivals lie within less than 61/60 of a Period: at most 61
// pairs. More come together only after a period was lengthened or the clock was set back.
static_assert(Window::kJoinParts + 1 <= Window::kMaxPairs);

// All pairs together cannot overflow.
static_assert(Window::kMaxUnits < std::numeric_limits<std::uint64_t>::max() / Window::kMaxPairs);

TimePoint bounded(TimePoint t) { return std::clamp(t, Window::kEarliest, Window::kLatest); }

std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  return std::min(std::min(a, Window::kMaxUnits) + std::min(b, Window::kMaxUnits),
                  Window::kMaxUnits);
}

std::uint64_t units_of(double counter) {
  if (!(counter > 0)) return 0;  // NaN, too
  if (counter >= static_cast<double>(Window::kMaxUnits)) return Window::kMaxUnits;
  return static_cast<std::uint64_t>(std::ceil(counter));
}

TimePoint later_by(TimePoint t, Millis period) {
  return period > TimePoint::max() - t ? TimePoint::max() : t + period;
}

}  // namespace

Window Window::of_counter(double counter, TimePoint when) {
  Window window;
  const std::uint64_t units = units_of(counter);
  if (units > 0) window.begin_pair(bounded(when), units);
  return window;
}

void Window::advance(TimePoint now, Millis period) {
  now = bounded(now);
  const auto stays = std::find_if(pairs_.begin(), pairs_.end(),
                                  [&](const WindowPair& pair) { return now - pair.last < period; });
  for (auto pair = pairs_.begin(); pair != stays; ++pair) use_ -= pair->units;
  pairs_.erase(pairs_.begin(), stays);

  // The clock was set back: what lies ahead happened now, at the latest, so that it is held for a
  // whole period.
  std::uint64_t ahead = 0;
  while (!pairs_.empty() && pairs_.back().last > now) {
    use_ -= pairs_.back().units;
    ahead = sum_of(ahead, pairs_.back().units);
    pairs_.pop_back();
  }
  if (ahead > 0) begin_pair(now, ahead);
  if (pairs_.empty()) newest_first_ = TimePoint{};
}

void Window::add(TimePoint now, Millis period, std::uint64_t units) {
  if (units == 0) return;
  now = bounded(now);
  if (pairs_.empty() || now - newest_first_ > period / kJoinParts) return begin_pair(now, units);

  WindowPair& newest = pairs_.back();
  use_ -= newest.units;
  newest.units = sum_of(newest.units, units);
  use_ += newest.units;
  newest.last = std::max(newest.last, now);
}

void Window::begin_pair(TimePoint now, std::uint64_t units) {
  if (pairs_.size() == kMaxPairs) {
    // The oldest pair joins the next one, which leaves later.
    use_ -= pairs_[0].units + pairs_[1].units;
    pairs_[1].units = sum_of(pairs_[0].units, pairs_[1].units);
    use_ += pairs_[1].units;
    pairs_.erase(pairs_.begin());
  }
  pairs_.push_back(WindowPair{now, std::min(units, kMaxUnits)});
  use_ += pairs_.back().units;
  newest_first_ = now;
}

std::optional<TimePoint> Window::free_at(Millis period, std::uint64_t limit,
                                         std::uint64_t units) const {
  if (units > limit) return std::nullopt;
  const std::uint64_t allowed = limit - units;  // use that leaves room for `units`
  std::uint64_t remaining = use_;
  TimePoint when = kEarliest;
  for (auto pair = pairs_.begin(); remaining > allowed && pair != pairs_.end(); ++pair) {
    remaining -= pair->units;
    when = later_by(pair->last, period);
  }
  return when;
}

}  // namespace policyd
