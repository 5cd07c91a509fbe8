// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/window.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "daemon/counting/state_bytes.hpp"

namespace policyd {
namespace {

// Why kMaxPairs is enough. First arrivals of neighbouring pairs are more than Period/60 apart. The
// oldest pair is still there while its last arrival, at most Period/60 after its first, is less
// than a Period old. So all first arrivals lie within less than 61/60 of a Period: at most 61
// pairs. There are more only after a period was lengthened or the clock was set back.
static_assert(Window::kJoinParts + 1 <= Window::kMaxPairs);

// All pairs together cannot overflow.
static_assert(Window::kMaxUnits < std::numeric_limits<std::uint64_t>::max() / Window::kMaxPairs);

constexpr char kVersion = 1;
constexpr std::size_t kMaxBytes =
    1 + 2 * kDoubleBytes + 2 * kVarintBytes + Window::kMaxPairs * 2 * kVarintBytes;
static_assert(Window::kMaxUnits < std::uint64_t{1} << 62);  // fits into the 63 bits of varint()

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

Window Window::of_pairs(std::span<const WindowPair> pairs) {
  Window window;
  for (const WindowPair& pair : pairs) {
    if (pair.units > 0) window.begin_pair(bounded(pair.last), pair.units);
  }
  return window;
}

void Window::advance(TimePoint now, Millis period) {
  now = bounded(now);
  const auto stays = std::find_if(pairs_.begin(), pairs_.end(),
                                  [&](const WindowPair& pair) { return now - pair.last < period; });
  for (auto pair = pairs_.begin(); pair != stays; ++pair) use_ -= pair->units;
  pairs_.erase(pairs_.begin(), stays);

  // The clock was set back: arrivals in the future count as now, so that they are held for a whole
  // period.
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

std::size_t Window::pair_of(std::uint64_t newer) const {
  std::size_t pair = pairs_.size();
  for (; pair > 0 && pairs_[pair - 1].units <= newer; --pair) newer -= pairs_[pair - 1].units;
  return pair;
}

std::optional<TimePoint> Window::arrival(std::uint64_t newer) const {
  const std::size_t pair = pair_of(newer);
  return pair == 0 ? std::nullopt : std::optional{pairs_[pair - 1].last};
}

void Window::renew(std::uint64_t newer, TimePoint now, Millis period) {
  const std::size_t found = pair_of(newer);
  if (found == 0) return;
  const auto pair = pairs_.begin() + static_cast<std::ptrdiff_t>(found - 1);
  --use_;
  if (--pair->units > 0) return add(now, period, 1);
  const bool newest = found == pairs_.size();
  pairs_.erase(pair);
  // The first arrival of the pair that is the newest now is not known: nothing may join it.
  if (newest) return begin_pair(bounded(now), 1);
  add(now, period, 1);
}

void Window::take_back(std::uint64_t units, TimePoint latest, Millis period) {
  while (units > 0 && !pairs_.empty()) {
    WindowPair& oldest = pairs_.front();
    // The first arrival is known of the newest pair alone.
    const TimePoint first = pairs_.size() == 1 ? newest_first_ : oldest.last - period / kJoinParts;
    if (first > latest) return;
    const std::uint64_t taken = std::min(units, oldest.units);
    oldest.units -= taken;
    use_ -= taken;
    units -= taken;
    if (oldest.units == 0) pairs_.erase(pairs_.begin());
  }
  if (pairs_.empty()) newest_first_ = TimePoint{};
}

void Window::merge(const Window& other) {
  std::vector<WindowPair> all;
  std::merge(pairs_.begin(), pairs_.end(), other.pairs_.begin(), other.pairs_.end(),
             std::back_inserter(all),
             [](const WindowPair& a, const WindowPair& b) { return a.last < b.last; });
  if (all.empty()) return;
  const bool ours = !pairs_.empty() && pairs_.back().last == all.back().last;
  const TimePoint newest_first = ours ? newest_first_ : other.newest_first_;
  pairs_.clear();
  use_ = 0;
  for (const WindowPair& pair : all) begin_pair(pair.last, pair.units);
  newest_first_ = newest_first;
}

void Window::begin_pair(TimePoint now, std::uint64_t units) {
  if (pairs_.size() == kMaxPairs) {
    // Merge the oldest pair into the next one, which leaves later.
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

// The State of a row:
//
//   version        1 byte, kVersion
//   Counter        8 bytes: the columns it was written with
//   LastUpdate     8 bytes
//   pairs          their number; with 0 that is the end
//   first arrival  of the newest pair, in ms since 1970
//   newest pair    last arrival after the first, in ms; units
//   each older     time before the next newer pair's last arrival, in ms; units
//
// Numbers from `pairs` on are varints.
void Window::serialize(std::string& out, double counter, double last_update_s) const {
  out += kVersion;
  put_double(out, counter);
  put_double(out, last_update_s);
  put_varint(out, pairs_.size());
  if (pairs_.empty()) return;
  put_millis(out, newest_first_ - kEarliest);
  put_millis(out, pairs_.back().last - newest_first_);
  put_varint(out, pairs_.back().units);
  for (std::size_t i = pairs_.size() - 1; i > 0; --i) {
    put_millis(out, pairs_[i].last - pairs_[i - 1].last);
    put_varint(out, pairs_[i - 1].units);
  }
}

std::optional<Window> Window::parse(std::string_view blob, double counter, double last_update_s) {
  if (blob.size() > kMaxBytes) return std::nullopt;
  StateReader reader{blob};
  if (reader.byte() != kVersion) return std::nullopt;
  if (reader.number() != counter || reader.number() != last_update_s) return std::nullopt;
  const auto count = reader.varint(kMaxPairs);
  if (!count) return std::nullopt;

  Window window;
  TimePoint last;
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (i == 0) {
      const auto first = reader.millis(kLatest - kEarliest);
      if (!first) return std::nullopt;
      window.newest_first_ = kEarliest + *first;
      const auto since = reader.millis(kLatest - window.newest_first_);
      if (!since) return std::nullopt;
      last = window.newest_first_ + *since;
    } else {
      const auto before = reader.millis(last - kEarliest);
      if (!before) return std::nullopt;
      last -= *before;
    }
    const auto units = reader.varint(kMaxUnits);
    if (!units || *units == 0) return std::nullopt;
    window.pairs_.push_back(WindowPair{last, *units});
    window.use_ += *units;
  }
  if (!reader.at_end()) return std::nullopt;
  std::reverse(window.pairs_.begin(), window.pairs_.end());
  return window;
}

}  // namespace policyd
