// SPDX-License-Identifier: AGPL-3.0-only
// What lives on the event loop: listeners, connections, signals. Accepts, keeps the number
// of connections bounded, reloads on SIGHUP, ends in order on SIGTERM. One thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"
#include "daemon/net/listeners.hpp"

namespace policyd {

class Server {
 public:
  struct Handlers {
    std::function<void()> reload;      // SIGHUP
    std::function<void()> statistics;  // SIGUSR1
    std::function<void()> stopping;    // SIGTERM; what was asked is still to be answered
  };

  // Signals are caught from here on.
  Server(EpollLoop& loop, Engine& engine, Maillog& log, const Config& config,
         std::vector<Listener> listeners, Handlers handlers);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Timeouts and bounds of a configuration read again; the listeners stay.
  void configure(const Config& config);
  [[nodiscard]] std::size_t connection_count() const;

  // Serves until SIGTERM or SIGINT, and then until what was asked is answered.
  void run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace policyd
