// SPDX-License-Identifier: AGPL-3.0-only
// The loop that serves: what is ready to be read or written, then what was posted, then the timers
// that are due, and so on. A descriptor is entered once for its life (epoll, edge-triggered), and
// one turn handles all that are ready: that is what makes a batch. It goes by stages, all system
// calls of one kind before the next work: a call leaves little of ours in the processor's caches.
// Our own, since a request alone costs one epoll_wait here, and three with an epoll_ctl where Asio
// runs the loop.
// All calls on the loop's thread, but for post() and stop().
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

class EpollLoop final : public EventLoop {
 public:
  // More than this is left to the next turn, so that tasks and timers have theirs.
  static constexpr std::size_t kMostAtOnce = 256;

  class Client {
   public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    // EPOLLIN and so on, each time that something has changed, and once after watch(). Clients are
    // destroyed in tasks and timers only: others of this turn may be told after this one.
    virtual void ready(std::uint32_t events) = 0;
    // After all were told that are ready in this turn: what is to be made of it.
    virtual void proceed() {}
    virtual ~Client() = default;
  };

  // Throws std::system_error where there is no descriptor left.
  EpollLoop();
  ~EpollLoop() override;

  void post(Task task) override;
  void after(std::chrono::milliseconds delay, Task task) override;

  // `client` is told until `fd` is closed or forgotten. False where the kernel has no memory for
  // it.
  [[nodiscard]] bool watch(int fd, Client& client);
  // Before a descriptor is closed that another process has, too.
  void forget(int fd);
  // Once. From here on these signals, and no others, are blocked and come to `handler`.
  void on_signals(std::initializer_list<int> signals, std::function<void(int)> handler);

  // Until stop(), of which the rest of its turn is still run.
  void run();
  void stop();

 private:
  using Steady = std::chrono::steady_clock;
  struct Timer {
    Steady::time_point when;
    std::uint64_t number;  // in the order of after()
    Task task;
  };
  class Signals;

  void turn();
  int milliseconds_to_wait();
  void run_posted();
  void run_timers();
  static bool later(const Timer& a, const Timer& b);

  UniqueFd epoll_;
  UniqueFd wake_;  // written to by post() while the loop waits
  std::unique_ptr<Signals> signals_;
  std::vector<Timer> timers_;  // a heap, the next one in front
  std::uint64_t timers_made_ = 0;
  std::vector<Task> running_;
  bool stopped_ = false;

  std::mutex mutex_;  // for what follows
  std::vector<Task> posted_;
  bool waiting_ = false;
};

}  // namespace policyd
