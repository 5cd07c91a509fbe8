// SPDX-License-Identifier: AGPL-3.0-only
// From a configuration to a serving process: sockets, background, root given up; then either a
// worker in this process, or a supervisor that starts one.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/command_line.hpp"

namespace policyd {

// Environment variables, null if unset.
struct ServiceEnvironment {
  const char* listen_pid;
  const char* listen_fds;
  const char* listen_fdnames;
  const char* notify_socket;
  const char* watchdog_usec;
  const char* watchdog_pid;
};

// What a supervisor needs to keep a worker running.
struct Supervision {
  std::filesystem::path program;       // of the worker
  std::vector<std::string> arguments;  // without the program's name
  std::filesystem::path pid_file;
  std::function<void()> ready;  // to be called when the first worker accepts connections
  // To be called before a worker is restarted: makes the sockets follow the configuration file.
  // After an Error the restart is tried again with growing pauses.
  std::function<Result<void>(std::vector<Listener>&)> listen_again;
};
// Returns the exit status.
using Supervise = std::function<Result<int>(std::vector<Listener>, const Supervision&)>;

// Serves until told to stop; returns the exit status. Before any thread is started.
Result<int> serve(LoadedConfig loaded, const Options& options,
                  const ServiceEnvironment& environment, const Supervise& supervise);

}  // namespace policyd
