// SPDX-License-Identifier: AGPL-3.0-only
// A helper thread, the lock for what it shares with its owner, and the condition it waits on.
// The owner declares it last, so that the thread ends before anything it uses is destroyed:
//
//   void set(int value) { thread_.change([&] { value_ = value; }); }       // any thread
//
//   void work() {                                                          // the helper thread
//     auto lock = thread_.lock();
//     while (thread_.wait(lock, [this] { return value_ != 0; })) {
//       const int value = std::exchange(value_, 0);
//       lock.unlock();
//       use(value);
//       lock.lock();
//     }
//   }
//
// Signals are blocked on the helper thread: they belong to the thread that runs the event loop.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace policyd {

class WorkerThread {
 public:
  using Lock = std::unique_lock<std::mutex>;

  // Starts `work`. `name` is at most 15 bytes long, for ps(1) and gdb. Throws std::system_error if
  // no thread can be started.
  WorkerThread(const char* name, std::function<void()> work);
  ~WorkerThread() { stop(); }
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // For the owner.
  [[nodiscard]] Lock lock() { return Lock{mutex_}; }
  // Runs `change` under the lock and wakes the thread.
  template <typename Change>
  void change(Change change) {
    {
      const Lock held{mutex_};
      change();
    }
    wake_.notify_one();
  }
  // Sets stopping() under the lock and wakes the thread.
  void request_stop();
  // Also waits for the thread to end. Not on the thread itself.
  void stop();

  // For the thread. With the lock held, wait until `ready()` or, at the latest, the given time.
  // False: stop now.
  template <typename Ready>
  [[nodiscard]] bool wait(Lock& held, Ready ready) {
    wake_.wait(held, [&] { return stopping_ || ready(); });
    return !stopping_;
  }
  template <typename Ready>
  [[nodiscard]] bool wait_for(Lock& held, std::chrono::milliseconds time, Ready ready) {
    wake_.wait_for(held, time, [&] { return stopping_ || ready(); });
    return !stopping_;
  }
  [[nodiscard]] bool wait_for(Lock& held, std::chrono::milliseconds time) {
    return wait_for(held, time, [] { return false; });
  }
  template <typename Ready>
  [[nodiscard]] bool wait_until(Lock& held, std::chrono::steady_clock::time_point time,
                                Ready ready) {
    wake_.wait_until(held, time, [&] { return stopping_ || ready(); });
    return !stopping_;
  }
  // Long work checks this without the lock.
  [[nodiscard]] const std::atomic<bool>& stopping() const { return stopping_; }
  [[nodiscard]] bool is_current() const { return std::this_thread::get_id() == id_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::thread::id> id_;  // set by the thread, since it may run before thread_ is set
  std::thread thread_;
};

}  // namespace policyd
