// SPDX-License-Identifier: AGPL-3.0-only
// What the parts that serve may ask of the loop that runs them: the seam behind which epoll stands
// (poll_loop), and a clock that tests turn by hand.
#pragma once

#include <chrono>
#include <functional>

namespace policyd {

class EventLoop {
 public:
  using Task = std::function<void()>;

  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  virtual ~EventLoop() = default;

  // Runs `task` on the loop, after what is already there to be done. Any thread.
  virtual void post(Task task) = 0;
  // Runs `task` on the loop once, not before `delay`. The loop's thread only.
  virtual void after(std::chrono::milliseconds delay, Task task) = 0;
};

}  // namespace policyd
