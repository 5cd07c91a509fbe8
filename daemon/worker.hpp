// SPDX-License-Identifier: AGPL-3.0-only
// The daemon at work: log, store, engine and server put together, reloaded and ended in order.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

struct WorkerOptions {
  std::filesystem::path config_file;      // read again on SIGHUP
  bool debug = false;                     // --debug: log level 4 whatever the configuration says
  bool in_background = false;             // standard error is closed when we are ready
  std::vector<std::string> warnings;      // to be logged first
  std::vector<std::string> notices;       // and these
  bool write_pid_file = true;             // a supervisor writes its own
  std::function<void()> ready;            // connections are accepted
  std::chrono::microseconds watchdog{0};  // how soon our service manager wants to hear of us
};

// Serves until SIGTERM. `notifier` is told how we do. An Error, with nothing opened yet, where
// another daemon lives with the pid file.
Result<void> run_worker(const Config& config, std::vector<Listener> listeners,
                        const WorkerOptions& options, const Notifier& notifier);

}  // namespace policyd
