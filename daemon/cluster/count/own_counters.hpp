// SPDX-License-Identifier: AGPL-3.0-only
// This host's part of all counters, as its database has it: what the engine may have lost is
// written again from here. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/counting/window.hpp"

namespace policyd {

class OwnCounters : boost::noncopyable {
 public:
  struct Counter {
    std::int64_t limit_id = 0;
    std::string track_key;
    Window own;
    Millis period{0};
  };
  using Slice = std::function<void(std::vector<Counter>)>;

  virtual ~OwnCounters() = default;

  // The next slice is the first one again. A slice that is still being read need not come.
  virtual void begin() = 0;
  // Reads at most `most` of the counters that have units, in any order, and calls `done` on the
  // loop with them, now or later; with none after the last. What is changed while slices are read
  // is told by SharedCounters::changed, so a slice may be older than that.
  virtual void next(std::size_t most, Slice done) = 0;
};

}  // namespace policyd
