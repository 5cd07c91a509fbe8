// SPDX-License-Identifier: AGPL-3.0-only
// The counters whose limits have refused mail lately, for the metrics: for how long, and how often.
// At most kCapacity of them; then the one that was refused least recently is dropped. The loop's
// thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/lru_table.hpp"

namespace policyd {

class RefusedCounters : boost::noncopyable {
 public:
  static constexpr std::size_t kCapacity = 1'000;
  // Without a refusal for this long, a counter is no longer being refused.
  static constexpr std::chrono::minutes kGap{15};
  // How long it is remembered.
  static constexpr std::chrono::hours kKeep{1};

  struct Refused {
    std::string module;
    std::int64_t row_id = 0;
    std::string track_key;
    TimePoint since{};  // the first refusal after a gap
    TimePoint last{};
    std::uint64_t times = 0;

    // Keeps its memory for the next one (LruTable).
    void recycle() { times = 0; }
  };

  void note(std::string_view module, std::int64_t row_id, std::string_view track_key, TimePoint now,
            std::uint64_t times = 1);

  // For how long the counter that has been refused for longest among those being refused was: from
  // its first refusal to its last.
  [[nodiscard]] Millis longest(TimePoint now) const;
  // The `count` that were refused most often, of those refused within kKeep; most often first.
  [[nodiscard]] std::vector<Refused> most_often(std::size_t count, TimePoint now) const;

 private:
  LruTable<Refused> counters_;
};

}  // namespace policyd
