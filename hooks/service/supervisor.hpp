// SPDX-License-Identifier: AGPL-3.0-only
// The process that holds the listening sockets while workers come and go: it starts one (fork and
// exec, the sockets handed over by systemd's LISTEN_FDS convention), waits until it is ready,
// starts another when it dies, replaces it when asked to, and ends it in order. Connections made
// meanwhile wait in the kernel, so Postfix never meets a closed port. One thread, no SQLite.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/net/listeners.hpp"

namespace carbonio {

struct SupervisorSettings {
  std::filesystem::path program;         // of the worker
  std::vector<std::string> arguments;    // without the program's name
  std::vector<std::string> environment;  // "NAME=value": all that the worker gets of ours
  std::filesystem::path pid_file;
  std::function<void()> ready;  // the first worker accepts connections
  // Before the worker of a restart is started: brings the sockets in line with the configuration as
  // it is by then. After an Error it is tried again, later and later.
  std::function<policyd::Result<void>(std::vector<policyd::Listener>&)> listen_again;

  // A worker that served so long is replaced at once; one that did not, later and later.
  std::chrono::milliseconds good_run{2'000};
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds longest_pause{30'000};
  // From SIGTERM to SIGKILL; carbonio-configd waits 30 s.
  std::chrono::milliseconds stop_within{20'000};
  // A pid file that is gone (/run was emptied) is written again.
  std::chrono::milliseconds look_after_pid_file{5'000};
};

// Until SIGTERM or SIGINT; SIGHUP and SIGUSR1 are passed on, SIGUSR2 replaces the worker. Signals
// must be blocked by the caller. Returns an exit status: 0, or the worker's own where the first one
// ends before it is ready. An Error, before anything is started, where another lives with the pid
// file.
policyd::Result<int> supervise(std::vector<policyd::Listener> listeners,
                               const SupervisorSettings& settings);

// Of an environment what changes how programs run (paths, language, time zone, sanitizers), not
// what whoever started us knows: Carbonio's scripts export passwords.
std::vector<std::string> worker_environment(const char* const* environment);

}  // namespace carbonio
