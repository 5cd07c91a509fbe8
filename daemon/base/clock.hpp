// SPDX-License-Identifier: AGPL-3.0-only
// Wall-clock time as it is counted and stored: milliseconds since 1970. Read once per batch.
#pragma once

#include <chrono>
#include <ctime>

namespace policyd {

using Millis = std::chrono::milliseconds;
using TimePoint = std::chrono::time_point<std::chrono::system_clock, Millis>;

inline TimePoint wall_clock() {
  return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

// The steady clock at the kernel's last tick, up to some milliseconds ago, at a third of the cost:
// for timeouts, which restart with each request.
inline std::chrono::steady_clock::time_point coarse_steady_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::steady_clock::time_point{std::chrono::seconds{now.tv_sec} +
                                               std::chrono::nanoseconds{now.tv_nsec}};
}

// Seconds with their fraction, as quotas_tracking.LastUpdate holds them.
inline double to_seconds(TimePoint t) {
  return static_cast<double>(t.time_since_epoch().count()) / 1000.0;
}

}  // namespace policyd
