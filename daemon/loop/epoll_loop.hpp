// SPDX-License-Identifier: AGPL-3.0-only
// The loop that serves. Each turn handles the descriptors that are ready, then posted tasks, then
// due timers. A descriptor is registered once for its life (epoll, edge-triggered), and one turn
// handles all that are ready, which makes a batch. Turns run in stages (all reads, then all
// processing), because system calls evict our cache lines.
// It is our own, since a single request costs one epoll_wait here, but three and an epoll_ctl with
// Asio. All calls on the loop's thread, except post() and stop().
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
  // Descriptors handled per turn, so that tasks and timers are not starved.
  static constexpr std::size_t kMaxPerTurn = 256;

  class Client : boost::noncopyable {
   public:
    // EPOLLIN and so on, each time the state has changed, and once after watch(). Clients must be
    // destroyed in tasks and timers only, because this turn may still call other clients.
    virtual void ready(std::uint32_t events) = 0;
    // Called after ready() of all clients of this turn, to process what was received.
    virtual void proceed() {}
    virtual ~Client() = default;
  };

  // Throws std::system_error if no descriptor is available.
  EpollLoop();
  ~EpollLoop() override;

  void post(Task task) override;
  void after(std::chrono::milliseconds delay, Task task) override;

  // Calls `client` until `fd` is closed or forgotten. False if the kernel has no memory for it.
  [[nodiscard]] bool watch(int fd, Client& client);
  // Needed before closing a descriptor that another process also has.
  void forget(int fd);
  // To be called once. From here on only these signals are blocked, and `handler` gets them.
  void on_signals(std::initializer_list<int> signals, std::function<void(int)> handler);

  // Runs until stop(), and then to the end of that turn.
  void run();
  void stop();
  // Begun so far: the same number, the same turn.
  [[nodiscard]] std::uint64_t turns() const { return turns_; }

 private:
  using Steady = std::chrono::steady_clock;
  struct Timer {
    Steady::time_point when;
    std::uint64_t number;  // counts calls of after(), for timers due at the same time
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
  std::vector<Timer> timers_;  // a heap, the next one first
  std::uint64_t timers_made_ = 0;
  std::uint64_t turns_ = 1;
  std::vector<Task> running_;
  bool stopped_ = false;

  std::mutex mutex_;  // for the members below
  std::vector<Task> posted_;
  bool waiting_ = false;
};

}  // namespace policyd
