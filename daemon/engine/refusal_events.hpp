// SPDX-License-Identifier: AGPL-3.0-only
// Notes in the queue of events what modules refuse, by the sender or the client it concerns. The
// modules that have counters note what their limits refuse themselves, with figures. The loop's
// thread.
#pragma once

#include <string>

#include "daemon/events/event_queue.hpp"
#include "daemon/modules/module.hpp"

namespace policyd {

class RefusalEvents {
 public:
  // `events` may be null; then nothing may be noted.
  explicit RefusalEvents(EventQueue* events) : events_(events) {}

  // The answer after a module's decision, if it refuses.
  void note(const Module& module, const Question& question);

 private:
  EventQueue* events_;
  std::string key_;  // scratch
};

}  // namespace policyd
