// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's own clean-up, once a day, on a thread with its own database connection. It runs at
// the first 04:30 local time that is at least twenty hours after the last clean-up began, no matter
// who started that one. So where Carbonio's cron runs `cbpadmin --cleanup` at 03:35, there is
// nothing left to do. A clean-up missed because the daemon was down runs soon after the next start.
// At the start it also joins counters of the same name (fold_counters).
#pragma once

#include <functional>
#include <optional>

#include "daemon/base/worker_thread.hpp"
#include "daemon/cleanup/cleanup.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

// When the next clean-up is due. `last` is when the last one began; if there was none, `started`,
// the start of the daemon, counts.
TimePoint next_cleanup(std::optional<TimePoint> last, TimePoint started, TimePoint now);

class CleanupSchedule {
 public:
  using Clock = std::function<TimePoint()>;

  // `check_every`: how often it checks whether a clean-up is due.
  CleanupSchedule(Maillog& log, CleanupSettings settings, Clock clock = wall_clock,
                  Millis check_every = std::chrono::minutes{10});

  // After SIGHUP: applies to the next clean-up.
  void configure(std::chrono::hours sessions);

 private:
  void work();
  void fold_once(WorkerThread::Lock& lock);
  void clean_up_if_due(const CleanupSettings& settings);

  Maillog& log_;
  Clock clock_;
  Millis check_every_;
  CleanupSettings settings_;  // under the thread's lock
  TimePoint started_;
  TimePoint not_before_{};  // after a failure; used by the thread only
  bool folded_ = false;     // by the thread only
  WorkerThread thread_;     // its end interrupts a clean-up
};

}  // namespace policyd
