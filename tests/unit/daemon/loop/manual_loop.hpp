// SPDX-License-Identifier: AGPL-3.0-only
// An event loop whose clock the test turns: what was posted runs when told to, timers when their
// time has come. Posts may come from other threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "daemon/loop/event_loop.hpp"

namespace policyd {

class ManualLoop final : public EventLoop {
 public:
  void post(Task task) override {
    const std::lock_guard lock{mutex_};
    posted_.push_back(std::move(task));
    arrived_.notify_one();
  }

  void after(std::chrono::milliseconds delay, Task task) override {
    timers_.emplace(now_ + delay, std::move(task));
  }

  // Runs what is posted, also what that posts.
  void run_posted() {
    while (auto task = take()) (*task)();
  }

  // Waits for another thread's post, and runs it. False where none came for a minute.
  bool run_one_from_thread() {
    std::unique_lock lock{mutex_};
    const auto arrived = [this] { return !posted_.empty(); };
    if (!arrived_.wait_for(lock, std::chrono::minutes{1}, arrived)) return false;
    lock.unlock();
    run_posted();
    return true;
  }

  void advance(std::chrono::milliseconds by) {
    const auto end = now_ + by;
    run_posted();
    while (!timers_.empty() && timers_.begin()->first <= end) {
      now_ = timers_.begin()->first;
      const Task task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
      run_posted();
    }
    now_ = end;
  }

 private:
  std::optional<Task> take() {
    const std::lock_guard lock{mutex_};
    if (posted_.empty()) return std::nullopt;
    Task task = std::move(posted_.front());
    posted_.pop_front();
    return task;
  }

  std::chrono::milliseconds now_{0};
  std::multimap<std::chrono::milliseconds, Task> timers_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Task> posted_;
};

}  // namespace policyd
