// SPDX-License-Identifier: AGPL-3.0-only
// The daemon at work: log, store, engine and server put together, reloaded and ended in order.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "daemon/listeners.hpp"

namespace policyd {

struct WorkerOptions {
  std::filesystem::path config_file;  // read again on SIGHUP
  bool debug = false;                 // --debug: log level 4 whatever the configuration says
  std::vector<std::string> warnings;  // to be logged first
  bool write_pid_file = true;         // a supervisor writes its own
  std::function<void()> ready;        // connections are accepted
};

// Serves until SIGTERM.
void run_worker(const Config& config, std::vector<Listener> listeners,
                const WorkerOptions& options);

}  // namespace policyd
