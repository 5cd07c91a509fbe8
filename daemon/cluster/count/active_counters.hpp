// SPDX-License-Identifier: AGPL-3.0-only
// The shared counters that something is under way for: a question, a call, units that were allowed
// and are not counted yet, or a part that the engine does not have yet. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

struct ActiveCounter {
  using Steady = std::chrono::steady_clock::time_point;

  std::string_view name;  // of the table
  Window own;             // as told last
  Millis period{0};
  std::uint64_t limit = 0;
  std::uint64_t allowed = 0;      // units that are not in `own` yet
  Steady allowed_at;              // the last of them
  std::size_t questions = 0;      // that wait or are under way
  std::uint64_t call = 0;         // number of the call under way that has it; 0: none
  std::size_t place = 0;          // in that call
  bool unwritten = false;         // the engine does not have `own`
  std::uint64_t passed_over = 0;  // number of the call that had to leave a question with it

  // This MTA's part as the others are to see it.
  [[nodiscard]] Window part(TimePoint now) const;
};

class ActiveCounters : boost::noncopyable {
 public:
  // More are not kept until they can be written: then all have to be.
  static constexpr std::size_t kMaxUnwritten = 50'000;
  // What was allowed and was not settled after this long never will be.
  static constexpr std::chrono::seconds kSettled{10};

  ActiveCounter& open(std::string_view name);
  ActiveCounter* find(std::string_view name);
  [[nodiscard]] const ActiveCounter* find(std::string_view name) const;
  // Forgets it if nothing is under way for it.
  void release(ActiveCounter& counter);

  void set_unwritten(ActiveCounter& counter);
  // The next one that may be written now, no longer unwritten; null: none.
  ActiveCounter* take_unwritten();
  [[nodiscard]] std::size_t unwritten() const { return unwritten_.size(); }
  // Whether some were dropped since this was asked last.
  bool take_overflow() { return std::exchange(overflow_, false); }

  void drop_unsettled(ActiveCounter::Steady now);
  [[nodiscard]] std::size_t size() const { return counters_.size(); }

 private:
  std::unordered_map<std::string, ActiveCounter, CounterNameHash, std::equal_to<>> counters_;
  std::deque<std::string> unwritten_;  // names; some may be written by now
  bool overflow_ = false;
};

}  // namespace policyd
