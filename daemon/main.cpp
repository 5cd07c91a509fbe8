// SPDX-License-Identifier: AGPL-3.0-only
// cbpolicyd - a policy daemon for Postfix
//
//   cbpolicyd [--config FILE] [--fg | --supervise] [--debug] [--check-config] [--zextras-home DIR]
//   cbpadmin --config=FILE --cleanup
//
// Answers Postfix's policy requests (SMTPD_POLICY_README) from the limits in CBPolicyD's database.
// Called as cbpadmin (a link), or with --cleanup, it removes old rows from the database instead.
// Exit status: 0 done, 1 wrong use, 2 cannot serve, with the reason on standard error.
// Signals: TERM shuts down in order, HUP reloads the configuration, USR1 logs statistics.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include "daemon/config/config.hpp"
#include "daemon/process/command_line.hpp"
#include "daemon/process/one_shot.hpp"
#include "daemon/process/serve.hpp"
#include "hooks/service/supervisor.hpp"

namespace {

int fail(const std::string& message) {
  std::cerr << "cbpolicyd: " << message << '\n';
  return policyd::kFailed;
}

// Whether systemd or a supervisor started us, and how they want to hear from us.
policyd::ServiceEnvironment service_environment() {
  return {std::getenv("LISTEN_PID"),    std::getenv("LISTEN_FDS"),    std::getenv("LISTEN_FDNAMES"),
          std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID")};
}

policyd::Result<int> supervise(std::vector<policyd::Listener> listeners,
                               const policyd::Supervision& wanted) {
  return carbonio::supervise(std::move(listeners), {wanted, carbonio::worker_environment(environ)});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    // 1. What to do, and the configuration for it.
    const auto options = policyd::parse_command_line(argc, argv, std::getenv("ZEXTRAS_HOME"));
    if (!options) return options.error();
    auto loaded = policyd::load_config(options->config);
    if (!loaded) return fail(loaded.error().message);
    if (loaded->config.database.empty()) {
      loaded->config.database = options->home / "data/cbpolicyd/db/cbpolicyd.sqlitedb";
    }
    // 2. Tasks that end at once.
    if (options->check_config) {
      return policyd::print_check(*loaded, options->config) ? policyd::kDone : policyd::kFailed;
    }
    if (options->cleanup) {
      const auto done = policyd::clean_up_now(loaded->config);
      return done ? policyd::kDone : fail(done.error().message);
    }
    // 3. Serve until told to stop.
    const auto status =
        policyd::serve(std::move(*loaded), *options, service_environment(), supervise);
    return status ? *status : fail(status.error().message);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
