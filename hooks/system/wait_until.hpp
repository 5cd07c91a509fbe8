// SPDX-License-Identifier: AGPL-3.0-only
// Waiting for another process to do something that it does not report.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace carbonio {

// Tests `condition` at once, then every `interval`, and once more at the end of `within`. Whether
// it became true.
template <typename Condition>
bool wait_until(std::chrono::milliseconds within, std::chrono::milliseconds interval,
                Condition condition) {
  using Steady = std::chrono::steady_clock;
  const auto until = Steady::now() + within;
  while (!condition()) {
    const auto now = Steady::now();
    if (now >= until) return false;
    std::this_thread::sleep_for(std::min<Steady::duration>(interval, until - now));
  }
  return true;
}

}  // namespace carbonio
