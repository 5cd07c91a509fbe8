// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's own clean-up, once a day, on a thread with a connection of its own: at the first
// half past four in the morning (local time) that is at least twenty hours after the last one
// began, whoever did that. So where Carbonio's cron runs `cbpadmin --cleanup` at 03:35, there is
// nothing left to do. One that was missed, as the daemon did not run then, is made up for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "daemon/cleanup/cleanup.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

// When a clean-up is due: `last` is when one began last; without one, `started` counts, when we
// did.
TimePoint next_cleanup(std::optional<TimePoint> last, TimePoint started, TimePoint now);

class CleanupSchedule {
 public:
  using Clock = std::function<TimePoint()>;

  // `look_every`: how often it looks whether it is due.
  CleanupSchedule(Maillog& log, CleanupSettings settings, Clock clock = wall_clock,
                  Millis look_every = std::chrono::minutes{10});
  ~CleanupSchedule();  // ends a clean-up that is under way
  CleanupSchedule(const CleanupSchedule&) = delete;
  CleanupSchedule& operator=(const CleanupSchedule&) = delete;

  // SIGHUP: for the next clean-up.
  void configure(std::chrono::hours sessions);

 private:
  void work();
  void look(const CleanupSettings& settings);

  Maillog& log_;
  Clock clock_;
  Millis look_every_;
  std::mutex mutex_;
  std::condition_variable wake_;
  CleanupSettings settings_;
  std::atomic<bool> stop_ = false;
  TimePoint started_;
  TimePoint not_before_{};  // after one that failed; the thread's
  std::thread thread_;
};

}  // namespace policyd
