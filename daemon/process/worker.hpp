// SPDX-License-Identifier: AGPL-3.0-only
// The process that serves: assembles log, store, engine and server, reloads them on SIGHUP, and
// shuts them down in order.
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
  std::filesystem::path config_file;      // for SIGHUP
  bool debug = false;                     // --debug: log level 4, whatever the configuration says
  bool in_background = false;             // standard error is closed once we are ready
  std::vector<std::string> warnings;      // of the configuration, to be logged
  std::vector<std::string> notices;       // likewise
  bool write_pid_file = true;             // false under a supervisor, which writes its own
  std::function<void()> ready;            // called when connections are accepted
  std::chrono::microseconds watchdog{0};  // the service manager's timeout; 0: none
};

// Serves until SIGTERM, reporting its state to `notifier`. An Error, before anything is opened, if
// another running daemon has the pid file.
Result<void> run_worker(const Config& config, std::vector<Listener> listeners,
                        const WorkerOptions& options, const Notifier& notifier);

}  // namespace policyd
