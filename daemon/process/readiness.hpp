// SPDX-License-Identifier: AGPL-3.0-only
// Reports readiness, reloads and shutdown to systemd, a one-line status, and a watchdog ping that
// is sent from the event loop, so it stops when the loop hangs. The loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "daemon/loop/event_loop.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

// The value of $WATCHDOG_USEC if $WATCHDOG_PID is unset or this process; otherwise zero: no
// watchdog. Either may be null.
std::chrono::microseconds watchdog_interval(const char* usec, const char* pid);

class Readiness {
 public:
  using StatusLine = std::function<std::string()>;

  // `status_line` is called once a second and sent whenever it differs. A watchdog ping is sent
  // twice per `watchdog`.
  Readiness(EventLoop& loop, const Notifier& notifier, std::chrono::microseconds watchdog,
            StatusLine status_line);

  void ready();
  void reloading();  // ends with ready()
  void stopping();

 private:
  void send_status();
  void ping_watchdog();

  EventLoop& loop_;
  const Notifier& notifier_;
  const std::chrono::microseconds watchdog_;
  StatusLine status_line_;
  std::string sent_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
