// SPDX-License-Identifier: AGPL-3.0-only
// The engine's clock, by which all MTAs count, as each reply tells it. It is never ahead of what
// the engine would say: then units would leave too early. The loop's thread; now() from any.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "daemon/base/clock.hpp"

namespace policyd {

class EngineClock {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  struct Sources {
    std::function<TimePoint()> wall = wall_clock;
    std::function<Steady()> steady = std::chrono::steady_clock::now;
  };

  explicit EngineClock(Sources sources) : sources_(std::move(sources)) {}

  // A reply that has just come, this long after its command was sent, says `engine`.
  void heard(TimePoint engine, std::chrono::nanoseconds round_trip) {
    const Steady steady = sources_.steady();
    const auto offset = engine.time_since_epoch() - since_start(steady);
    // The reply that travelled least is the best; clocks drift and are set, so not for ever.
    const Millis known = offset_;
    if (known != kUnheard && offset <= known &&
        (round_trip > kSlow || (known - offset < kSet && steady - best_ < kKept))) {
      return;
    }
    offset_ = offset;
    best_ = steady;
  }

  // The host's own clock until the engine's was heard.
  [[nodiscard]] TimePoint now() const {
    const Millis offset = offset_;
    return offset == kUnheard ? sources_.wall()
                              : TimePoint{since_start(sources_.steady()) + offset};
  }
  [[nodiscard]] Steady steady() const { return sources_.steady(); }
  // How far the host's clock is ahead of the engine's.
  [[nodiscard]] Millis ahead() const { return sources_.wall() - now(); }

 private:
  static constexpr Millis kSet{500};   // by more, the engine's clock was set back
  static constexpr Millis kSlow{200};  // such a reply says little
  static constexpr Millis kKept = std::chrono::seconds{10};
  static constexpr Millis kUnheard = Millis::min();

  static Millis since_start(Steady steady) {
    return std::chrono::floor<Millis>(steady.time_since_epoch());
  }

  Sources sources_;
  std::atomic<Millis> offset_ = kUnheard;  // of the engine's clock from the steady one
  Steady best_;
};

}  // namespace policyd
