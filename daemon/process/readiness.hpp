// SPDX-License-Identifier: AGPL-3.0-only
// What a service manager is told while we serve: that we are ready, reload or stop, in one sentence
// how we do, and, from the event loop and so only while that turns, that we live. The loop's
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "daemon/loop/event_loop.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

// From $WATCHDOG_USEC, where $WATCHDOG_PID is us or not set; zero: nobody watches. Either may be
// null.
std::chrono::microseconds watchdog_interval(const char* usec, const char* pid);

class Readiness {
 public:
  using Sentence = std::function<std::string()>;

  // `sentence` says how we do; asked once a second, told when it differs. Within `watchdog` the
  // manager wants to hear of us; it does twice as often.
  Readiness(EventLoop& loop, const Notifier& notifier, std::chrono::microseconds watchdog,
            Sentence sentence);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  void ready();
  void reloading();  // ends with ready()
  void stopping();

 private:
  void tell_status();
  void tell_alive();

  EventLoop& loop_;
  const Notifier& notifier_;
  const std::chrono::microseconds watchdog_;
  Sentence sentence_;
  std::string told_;
  // shared_ptr: a timer may fire after this object is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace policyd
