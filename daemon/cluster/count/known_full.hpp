// SPDX-License-Identifier: AGPL-3.0-only
// What the other MTAs had counted in counters that were full when the engine was last asked. Units
// only leave with time, so a counter that is full by this is full; other than by a reset, of which
// forget_all() tells, or at the latest the end of kTrusted. Bounded; the loop's thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/lru_table.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

class KnownFull {
 public:
  static constexpr std::size_t kMax = 20'000;
  // A reset whose message was lost is noticed after this.
  static constexpr Millis kTrusted = std::chrono::seconds{30};

  void put(std::string_view name, Window others, Millis period, TimePoint now);
  // As of `now`; null if nothing is known, or nothing is left. Valid until the next call.
  const Window* find(std::string_view name, TimePoint now);
  void forget_all() { table_ = {}; }
  [[nodiscard]] std::size_t size() const { return table_.size(); }

 private:
  struct Entry {
    std::string name;
    Window others;  // empty: nothing is known
    Millis period{0};
    TimePoint when;
  };
  Entry* entry(std::string_view name);

  LruTable<Entry> table_;
};

}  // namespace policyd
