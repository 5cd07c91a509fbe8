// SPDX-License-Identifier: AGPL-3.0-only
// The process that keeps the listening sockets open and a worker running: it starts the worker
// (fork and exec, passing the sockets by systemd's LISTEN_FDS convention), waits until it is ready,
// restarts it if it dies or on request, and shuts it down in order. Connections made in between
// wait in the kernel, so Postfix never finds a closed port. One thread, no SQLite.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/serve.hpp"

namespace carbonio {

struct SupervisorSettings : policyd::Supervision {
  std::vector<std::string> environment;  // "NAME=value"; the worker inherits nothing else

  // A worker that ran this long is restarted at once; otherwise with growing pauses.
  std::chrono::milliseconds good_run{2'000};
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds max_pause{30'000};
  // From SIGTERM to SIGKILL; carbonio-configd waits 30 s.
  std::chrono::milliseconds stop_within{20'000};
  // How often a missing pid file (/run was emptied) is noticed and rewritten.
  std::chrono::milliseconds check_pid_file_every{5'000};
};

// Runs until SIGTERM or SIGINT. SIGHUP and SIGUSR1 are passed on, SIGUSR2 restarts the worker. The
// caller must have blocked signals. Returns the exit status: 0, or that of the first worker if it
// exits before it is ready. An Error, before anything is started, if another running daemon has the
// pid file.
policyd::Result<int> supervise(std::vector<policyd::Listener> listeners,
                               const SupervisorSettings& settings);

// Selects the variables that affect how programs run (paths, language, time zone, sanitizers). The
// others are not passed on, since Carbonio's scripts export passwords.
std::vector<std::string> worker_environment(const char* const* environment);

}  // namespace carbonio
