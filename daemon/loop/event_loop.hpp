// SPDX-License-Identifier: AGPL-3.0-only
// What the serving parts ask of the loop that runs them: the seam behind which epoll stands
// (epoll_loop) and, in tests, a clock that is turned by hand.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace policyd {

class EventLoop : boost::noncopyable {
 public:
  using Task = std::function<void()>;
  class Guard;

  virtual ~EventLoop() = default;

  // Runs `task` on the loop after the work already queued. Any thread.
  virtual void post(Task task) = 0;
  // Runs `task` on the loop once, no sooner than after `delay`. The loop's thread only.
  virtual void after(std::chrono::milliseconds delay, Task task) = 0;
};

// A member of each object that hands tasks to the loop: tasks wrapped by it do nothing once the
// object is destroyed, which happens on the loop's thread. Wrapping is allowed on any thread.
//
//   loop_.post(guard_.wrap([this] { finish(); }));
class EventLoop::Guard {
 public:
  Guard() = default;
  ~Guard() { *alive_ = false; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // The wrapped function may have parameters; its result is dropped.
  template <typename Function>
  [[nodiscard]] auto wrap(Function function) const {
    return [alive = alive_, function = std::move(function)](auto&&... arguments) mutable {
      if (*alive) function(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  // shared_ptr: tasks outlive the object.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace policyd
