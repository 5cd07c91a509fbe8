// SPDX-License-Identifier: AGPL-3.0-only
// Listeners, connections and signals on the event loop: accepts connections, bounds their number,
// reloads on SIGHUP and shuts down in order on SIGTERM. The loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/protocol/refused_requests.hpp"

namespace policyd {

class Server {
 public:
  struct Handlers {
    std::function<void()> reload;      // SIGHUP
    std::function<void()> statistics;  // SIGUSR1
    std::function<void()> stopping;    // SIGTERM; pending requests are still answered
    // At the start, until it is true once, no connection is accepted: clients wait as they do while
    // the process is replaced. Always, if it is empty.
    std::function<bool()> may_accept = {};
  };

  // From here on, signals are handled by the loop.
  Server(EpollLoop& loop, Engine& engine, Maillog& log, const Config& config,
         std::vector<Listener> listeners, Handlers handlers);
  ~Server();

  // Applies the timeouts and bounds of a reloaded configuration; the listeners stay.
  void configure(const Config& config);
  [[nodiscard]] std::size_t connection_count() const;
  [[nodiscard]] const RefusedRequests& refused_requests() const;

  // Serves until SIGTERM or SIGINT, and then until pending requests are answered.
  void run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace policyd
