// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/serve.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/process/background.hpp"
#include "daemon/process/fd_store.hpp"
#include "daemon/process/pid_file.hpp"
#include "daemon/process/privileges.hpp"
#include "daemon/process/readiness.hpp"
#include "daemon/process/sd_notify.hpp"
#include "daemon/process/thread_signals.hpp"
#include "daemon/process/worker.hpp"

namespace policyd {
namespace {

constexpr int kFirstHandedOver = 3;  // SD_LISTEN_FDS_START

// The most frequent reason why sockets cannot be bound is that the daemon is already running.
Error why_not_listening(const Error& error, const Config& config) {
  const auto holder = PidFile::holder(config.pid_file);
  return holder ? Error{PidFile::taken(config.pid_file, *holder).message} : error;
}

// Replaces the sockets if the configuration file now names others than `current_name`.
Result<void> listen_again(std::vector<Listener>& listeners,
                          const std::filesystem::path& config_file, std::string& current_name) {
  const auto loaded = load_config(config_file);
  if (!loaded) return {};  // the worker reports why
  const std::string wanted_name = store_name(loaded->config);
  if (wanted_name == current_name && !listeners.empty()) return {};
  listeners.clear();  // the new ones may overlap with them
  auto fresh = listen_on(loaded->config);
  if (!fresh) return tl::unexpected{fresh.error()};
  listeners = std::move(*fresh);
  current_name = wanted_name;
  return {};
}

Supervision supervision(const Config& config, const std::vector<Listener>& listeners,
                        const Options& options, std::function<void()> ready) {
  Supervision out;
  out.program = options.program;
  out.arguments = {"--config",     options.config.string(), "--fg",
                   "--supervised", "--zextras-home",        options.home.string()};
  if (options.debug) out.arguments.emplace_back("--debug");
  if (!options.supervise) out.arguments.emplace_back("--close-output");
  out.pid_file = config.pid_file;
  out.ready = std::move(ready);
  const bool inherited = std::any_of(listeners.begin(), listeners.end(),
                                     [](const Listener& each) { return each.inherited; });
  out.listen_again = [inherited, file = options.config, current_name = store_name(config)](
                         std::vector<Listener>& current) mutable -> Result<void> {
    if (inherited) return {};  // not ours to replace
    return listen_again(current, file, current_name);
  };
  return out;
}

}  // namespace

Result<int> serve(LoadedConfig loaded, const Options& options,
                  const ServiceEnvironment& environment, const Supervise& supervise) {
  const Config& config = loaded.config;
  block_signals();
  const bool detach = config.background && !options.foreground && !options.supervise;
  const auto given =
      handed_over(environment.listen_pid, environment.listen_fds, environment.listen_fdnames);
  if (detach || options.supervise) close_inherited(kFirstHandedOver + given.count);

  const bool notifies = environment.notify_socket != nullptr;
  const Notifier notifier{notifies ? environment.notify_socket : ""};
  auto listeners = sockets_for(config, given, notifier);
  if (!listeners) return tl::unexpected{why_not_listening(listeners.error(), config)};

  Background background;
  if (detach) {
    std::optional<int> parent_status;
    auto detached = Background::detach(parent_status);
    if (!detached) return tl::unexpected{detached.error()};
    if (parent_status) return *parent_status;
    background = std::move(*detached);
  }
  const auto became = give_up_root(config.user, config.group, loaded.warnings);
  if (!became) return tl::unexpected{became.error()};

  if (detach || options.supervise) {
    const auto ready = [&] { detach ? background.ready() : notifier.send("READY=1"); };
    const auto settings = supervision(config, *listeners, options, ready);
    return supervise(std::move(*listeners), settings);
  }
  if (notifies) keep_in_store(*listeners, config, notifier);
  return run_worker(loaded, std::move(*listeners), options,
                    watchdog_interval(environment.watchdog_usec, environment.watchdog_pid),
                    notifier);
}

}  // namespace policyd
