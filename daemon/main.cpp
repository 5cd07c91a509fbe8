// SPDX-License-Identifier: AGPL-3.0-only
// cbpolicyd - a policy daemon for Postfix
//
//   cbpolicyd [--config FILE] [--fg | --supervise] [--debug] [--check-config] [--zextras-home DIR]
//   cbpadmin --config=FILE --cleanup
//
// Answers Postfix's policy questions (SMTPD_POLICY_README) by the limits in CBPolicyD's database.
// Ends with 0 when done, 1 for wrong use, 2 when it cannot serve: one line on standard error says
// why. Signals: TERM ends in order, HUP reads the configuration again, USR1 logs statistics.
// Called as cbpadmin (a link), or with --cleanup, it removes what is too old from the database,
// while the daemon runs or not, and says what.
// Options and exit statuses here; everything else in the files named like what they do.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/program_options.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/thread_signals.hpp"
#include "daemon/cleanup/cleanup.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/background.hpp"
#include "daemon/process/fd_store.hpp"
#include "daemon/process/host_check.hpp"
#include "daemon/process/pid_file.hpp"
#include "daemon/process/privileges.hpp"
#include "daemon/process/readiness.hpp"
#include "daemon/process/sd_notify.hpp"
#include "daemon/worker.hpp"
#include "hooks/service/supervisor.hpp"
#include "version.hpp"

namespace po = boost::program_options;

namespace {

constexpr int kFirstHandedOver = 3;  // SD_LISTEN_FDS_START

// Exit status.
constexpr int kDone = 0;
constexpr int kWrongUse = 1;
constexpr int kFailed = 2;

struct Options {
  std::filesystem::path home;
  std::filesystem::path config;
  bool foreground = false;
  bool debug = false;
  bool check_config = false;
  bool cleanup = false;
  bool supervise = false;
  bool supervised = false;
  bool close_output = false;
  std::filesystem::path program;  // to be started as worker
};

int fail(const std::string& message) {
  std::cerr << "cbpolicyd: " << message << '\n';
  return kFailed;
}

po::options_description descriptions() {
  po::options_description all{"Options"};
  auto add = all.add_options();
  add("config", po::value<std::string>()->value_name("FILE"),
      "configuration (default: conf/cbpolicyd.conf below the Zextras home)");
  add("fg", "stay in the foreground (also -fg)");
  add("supervise", "stay in the foreground as a supervisor, which replaces a worker that dies");
  add("supervised", "started by the supervisor, which has the pid file");
  add("close-output", "with --supervised: close the output when connections are accepted");
  add("debug", "log at level 4, debug");
  add("cleanup", "remove what is too old from the database, say what, and end");
  add("check-config", "read the configuration, say what is wrong with it, and end");
  add("zextras-home", po::value<std::string>()->value_name("DIR"),
      "where Carbonio lives (default: $ZEXTRAS_HOME or /opt/zextras)");
  add("help", "this text");
  add("version", "the version");
  return all;
}

void print_help(const po::options_description& options) {
  std::cout << "Usage: cbpolicyd [OPTION...]\n"
               "       cbpadmin --config=FILE --cleanup\n\n"
               "Answers Postfix's policy questions by the limits in CBPolicyD's database.\n\n"
            << options
            << "\nExample, as a service manager starts it:\n"
               "  cbpolicyd --config /opt/zextras/conf/cbpolicyd.conf --fg\n";
}

std::string zextras_home(const po::variables_map& given) {
  if (given.count("zextras-home") != 0) return given["zextras-home"].as<std::string>();
  const char* home = std::getenv("ZEXTRAS_HOME");
  return home != nullptr && *home != '\0' ? home : "/opt/zextras";
}

// Nullopt where the command line has been dealt with; `status` is the exit status then.
std::optional<Options> parse_command_line(int argc, char** argv, int& status) {
  std::vector<std::string> words{argv + 1, argv + argc};
  for (std::string& word : words) {
    if (word == "-fg") word = "--fg";
  }
  const auto known = descriptions();
  po::variables_map given;
  try {
    namespace style = po::command_line_style;
    po::store(po::command_line_parser(words)
                  .options(known)
                  .positional({})
                  .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                  .run(),
              given);
  } catch (const po::error& error) {
    std::cerr << "cbpolicyd: " << error.what() << "; see cbpolicyd --help\n";
    status = kWrongUse;
    return std::nullopt;
  }
  status = kDone;
  if (given.count("help") != 0) {
    print_help(known);
    return std::nullopt;
  }
  if (given.count("version") != 0) {
    std::cout << "cbpolicyd (carbonio-limits) " << policyd::kVersion << '\n';
    return std::nullopt;
  }
  Options options;
  options.home = std::filesystem::absolute(zextras_home(given));
  options.config = given.count("config") != 0
                       ? std::filesystem::absolute(given["config"].as<std::string>())
                       : options.home / "conf/cbpolicyd.conf";
  options.foreground = given.count("fg") != 0;
  options.debug = given.count("debug") != 0;
  options.check_config = given.count("check-config") != 0;
  options.cleanup = given.count("cleanup") != 0;
  if (!options.cleanup && std::filesystem::path{argv[0]}.filename() == "cbpadmin") {
    std::cerr << "cbpadmin: say what to do: cbpadmin --config=FILE --cleanup\n";
    status = kWrongUse;
    return std::nullopt;
  }
  options.supervise = given.count("supervise") != 0;
  options.supervised = given.count("supervised") != 0;
  options.close_output = given.count("close-output") != 0;
  if (options.foreground && options.supervise) {
    std::cerr
        << "cbpolicyd: --fg is the worker alone, --supervise a supervisor: give one of them\n";
    status = kWrongUse;
    return std::nullopt;
  }
  const std::filesystem::path name{argv[0]};
  options.program = name.has_parent_path() ? std::filesystem::absolute(name)
                                           : std::filesystem::read_symlink("/proc/self/exe");
  return options;
}

int clean_up(const policyd::Config& config) {
  std::vector<std::string> warnings;
  const auto became = policyd::give_up_root(config.user, config.group, warnings);
  if (!became) return fail(became.error().message);
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << '\n';

  policyd::CleanupSettings settings;
  settings.database = config.database;
  settings.table_prefix = config.table_prefix;
  settings.sessions = config.cleanup_sessions;
  const std::atomic<bool> stop = false;
  const auto done = policyd::clean_up(
      settings, policyd::wall_clock(),
      [](std::string_view line) { std::cout << line << std::endl; }, stop);
  if (!done) return fail(done.error().message);
  return kDone;
}

int check(policyd::LoadedConfig loaded, const Options& options) {
  const auto here = policyd::check_host(loaded.config);
  loaded.warnings.insert(loaded.warnings.end(), here.begin(), here.end());
  for (const std::string& warning : loaded.warnings) std::cout << "warning: " << warning << '\n';
  for (const std::string& notice : loaded.notices) std::cout << "note: " << notice << '\n';
  std::cout << options.config.string()
            << (here.empty() ? ": fine\n" : ": can be read; mend what the warnings say\n");
  return kDone;
}

int work(policyd::LoadedConfig loaded, std::vector<policyd::Listener> listeners,
         const Options& options, const policyd::Notifier& notifier) {
  policyd::WorkerOptions worker;
  worker.config_file = options.config;
  worker.debug = options.debug;
  worker.in_background = options.close_output;
  worker.warnings = std::move(loaded.warnings);
  worker.notices = std::move(loaded.notices);
  worker.write_pid_file = !options.supervised;
  worker.watchdog =
      policyd::watchdog_interval(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"));
  worker.ready = [&] {
    if (options.close_output) policyd::close_output();
  };
  const auto served = policyd::run_worker(loaded.config, std::move(listeners), worker, notifier);
  return served ? kDone : fail(served.error().message);
}

// The sockets of the configuration as it is now, where it names others than `at`.
policyd::Result<void> listen_again(std::vector<policyd::Listener>& listeners,
                                   const std::filesystem::path& config_file, std::string& at) {
  const auto now = policyd::load_config(config_file);
  if (!now) return {};  // the worker says so, and why
  const std::string wanted = policyd::store_name(now->config);
  if (wanted == at && !listeners.empty()) return {};
  listeners.clear();  // the new ones may overlap with them
  auto fresh = policyd::listen_on(now->config);
  if (!fresh) return tl::unexpected{fresh.error()};
  listeners = std::move(*fresh);
  at = wanted;
  return {};
}

// A supervisor and its worker stay; `ready` is called when connections are accepted.
int supervise(const policyd::LoadedConfig& loaded, std::vector<policyd::Listener> listeners,
              const std::function<void()>& ready, const Options& options) {
  carbonio::SupervisorSettings settings;
  settings.program = options.program;
  settings.arguments = {"--config",     options.config.string(), "--fg",
                        "--supervised", "--zextras-home",        options.home.string()};
  if (options.debug) settings.arguments.emplace_back("--debug");
  if (!options.supervise) settings.arguments.emplace_back("--close-output");
  settings.environment = carbonio::worker_environment(environ);
  settings.pid_file = loaded.config.pid_file;
  settings.ready = ready;
  std::string at = policyd::store_name(loaded.config);
  const bool ours = std::none_of(listeners.begin(), listeners.end(),
                                 [](const policyd::Listener& each) { return each.inherited; });
  settings.listen_again = [&](std::vector<policyd::Listener>& current) -> policyd::Result<void> {
    if (!ours) return {};
    return listen_again(current, options.config, at);
  };
  const auto ended = carbonio::supervise(std::move(listeners), settings);
  return ended ? *ended : fail(ended.error().message);
}

// Why there are no sockets: mostly since a daemon of this place has them already.
int fail_to_listen(const policyd::Error& error, const policyd::Config& config) {
  const auto holder = policyd::PidFile::holder(config.pid_file);
  if (!holder) return fail(error.message);
  return fail(policyd::PidFile::taken(config.pid_file, *holder).message);
}

int serve(policyd::LoadedConfig loaded, const Options& options) {
  const policyd::Config& config = loaded.config;
  policyd::block_signals();
  const bool detach = config.background && !options.foreground && !options.supervise;
  const auto given = policyd::handed_over(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"),
                                          std::getenv("LISTEN_FDNAMES"));
  if (detach || options.supervise) policyd::close_inherited(kFirstHandedOver + given.count);
  const char* notify_socket = std::getenv("NOTIFY_SOCKET");
  const policyd::Notifier notifier{notify_socket != nullptr ? notify_socket : ""};
  auto listeners = policyd::sockets_for(config, given, notifier);
  if (!listeners) return fail_to_listen(listeners.error(), config);

  policyd::Background background;
  if (detach) {
    std::optional<int> parent_status;
    auto detached = policyd::Background::detach(parent_status);
    if (!detached) return fail(detached.error().message);
    if (parent_status) return *parent_status;
    background = std::move(*detached);
  }
  const auto became = policyd::give_up_root(config.user, config.group, loaded.warnings);
  if (!became) return fail(became.error().message);
  if (detach) {
    return supervise(
        loaded, std::move(*listeners), [&] { background.ready(); }, options);
  }
  if (options.supervise) {
    return supervise(
        loaded, std::move(*listeners), [&] { notifier.tell("READY=1"); }, options);
  }
  if (notify_socket != nullptr) policyd::keep_in_store(*listeners, config, notifier);
  return work(std::move(loaded), std::move(*listeners), options, notifier);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int status = kDone;
    const auto options = parse_command_line(argc, argv, status);
    if (!options) return status;
    auto loaded = policyd::load_config(options->config);
    if (!loaded) return fail(loaded.error().message);
    if (loaded->config.database.empty()) {
      loaded->config.database = options->home / "data/cbpolicyd/db/cbpolicyd.sqlitedb";
    }
    if (options->check_config) return check(std::move(*loaded), *options);
    if (options->cleanup) return clean_up(loaded->config);
    return serve(std::move(*loaded), *options);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
