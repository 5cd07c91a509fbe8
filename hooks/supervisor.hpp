// SPDX-License-Identifier: AGPL-3.0-only
// The process that holds the listening sockets while workers come and go: it starts one (fork and
// exec, the sockets handed over by systemd's LISTEN_FDS convention), waits until it is ready,
// starts another when it dies, and ends it in order. Connections made meanwhile wait in the
// kernel, so Postfix never meets a closed port. One thread, no SQLite.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/listeners.hpp"

namespace carbonio {

struct SupervisorSettings {
  std::filesystem::path program;       // of the worker
  std::vector<std::string> arguments;  // without the program's name
  std::filesystem::path pid_file;
  std::function<void()> ready;  // the first worker accepts connections

  // A worker that ran so long is replaced at once; one that did not, later and later.
  std::chrono::milliseconds good_run{10'000};
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds longest_pause{30'000};
  // From SIGTERM to SIGKILL; carbonio-configd waits 30 s.
  std::chrono::milliseconds stop_within{20'000};
};

// Until SIGTERM or SIGINT; SIGHUP and SIGUSR1 are passed on. Signals must be blocked by the caller.
// Returns an exit status: 0, or the worker's own where the first one ends before it is ready.
int supervise(const std::vector<policyd::Listener>& listeners, const SupervisorSettings& settings);

}  // namespace carbonio
