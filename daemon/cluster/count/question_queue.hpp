// SPDX-License-Identifier: AGPL-3.0-only
// Questions on their way into calls of the script. A counter is in one call at a time, so that its
// questions keep their order, and each call knows what the one before has allowed. The loop's
// thread.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "daemon/cluster/count/active_counters.hpp"
#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/engine_clock.hpp"
#include "daemon/counting/shared_counters.hpp"

namespace policyd {

struct AskedQuestion {
  std::vector<Wanted> wanted;
  boost::container::small_vector<ActiveCounter*, 2> counters;  // of `wanted`
  SharedCounters::Done done;
  EngineClock::Steady deadline{};  // none before flush()
};

// A call under way.
struct Flight {
  std::uint64_t number = 0;
  CountCall call;
  std::vector<ActiveCounter*> counters;  // of the call
  std::vector<AskedQuestion> questions;  // of the call
  EngineClock::Steady sent{};
  bool late = false;  // its questions have been answered

  // The counter's place in the call, which writes its part.
  std::size_t add(ActiveCounter& counter, TimePoint now);
};

class QuestionQueue {
 public:
  using Steady = EngineClock::Steady;
  static constexpr std::size_t kMaxQuestions = 64;  // of a call: half a millisecond of the engine

  // Whether a question about so many counters fits into a call.
  [[nodiscard]] static bool fits(std::size_t counters);

  void add(AskedQuestion asked) { waiting_.push_back(std::move(asked)); }
  // Those without a deadline get this one, and may be taken.
  void set_deadline(Steady deadline);
  [[nodiscard]] std::optional<Steady> next_deadline() const;

  // As many as one call may have, in order. One that has a counter of a call under way is passed
  // over, and so are all after it that have a counter in common with it.
  void take(Flight& flight, TimePoint now);
  [[nodiscard]] std::vector<AskedQuestion> take_overdue(Steady now);
  [[nodiscard]] std::vector<AskedQuestion> take_all();

 private:
  std::deque<AskedQuestion> waiting_;
};

}  // namespace policyd
