// SPDX-License-Identifier: AGPL-3.0-only
// The process that serves: assembles log, store, engine and server, reloads them on SIGHUP, and
// shuts them down in order.
#pragma once

#include <chrono>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/command_line.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

// Serves until SIGTERM, reporting its state to `notifier`. An Error, before anything is opened, if
// another running daemon has the pid file.
// `watchdog` is the service manager's timeout; 0: none. Returns the exit status.
Result<int> run_worker(const LoadedConfig& loaded, std::vector<Listener> listeners,
                       const Options& options, std::chrono::microseconds watchdog,
                       const Notifier& notifier);

}  // namespace policyd
