// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/service.hpp"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "daemon/config/config.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/service/run_program.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kWithin{30};
// The unit makes the database first, with the names that a JVM tells.
constexpr std::chrono::seconds kSystemdWithin{90};
constexpr std::chrono::seconds kQuestionWithin{10};
constexpr std::chrono::seconds kAnswerWithin{2};
constexpr std::chrono::milliseconds kLookAgain{20};

bool is_program(const fs::path& file) { return ::access(file.c_str(), X_OK) == 0; }

fs::path find_systemctl(const fs::path& zextras_home) {
  std::error_code code;
  if (zextras_home != "/opt/zextras" || !fs::is_directory("/run/systemd/system", code)) return {};
  for (const char* file : {"/usr/bin/systemctl", "/bin/systemctl"}) {
    if (!is_program(file)) continue;
    const auto known = run_program({file, "show", "--property=LoadState", "--value", kServiceUnit},
                                   kQuestionWithin);
    if (known && known->status == 0 && known->text == "loaded\n") return file;
  }
  return {};
}

fs::path find_program(const fs::path& zextras_home) {
  fs::path installed = zextras_home / "common" / "bin" / "cbpolicyd";
  if (is_program(installed)) return installed;
  // Programs that are tried out where they were built lie together.
  std::error_code code;
  fs::path beside = fs::read_symlink("/proc/self/exe", code).parent_path() / "cbpolicyd";
  return !code && is_program(beside) ? beside : installed;
}

std::string where_to_look(const ServicePlace& place) {
  if (!place.systemctl.empty()) return fmt::format("'journalctl -u {}' tells more", kServiceUnit);
  const auto loaded = policyd::load_config(place.config);
  if (!loaded || loaded->config.log_file.empty()) return "the system log tells more";
  return fmt::format("{} tells more", loaded->config.log_file.string());
}

// The last line that says something, without who says it.
std::string reason_in(std::string_view text) {
  std::string reason;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kName = "cbpolicyd: ";
    if (line.rfind(kName, 0) == 0) line.remove_prefix(kName.size());
    if (!line.empty()) reason = line;
  }
  return reason;
}

template <typename Condition>
bool becomes_true(std::chrono::milliseconds within, Condition condition) {
  const auto until = Steady::now() + within;
  while (!condition()) {
    if (Steady::now() >= until) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

// By systemd.

Result<void> ask_systemd(const ServicePlace& place, const char* verb) {
  const auto done = run_program({place.systemctl.string(), "--no-ask-password", verb, kServiceUnit},
                                kSystemdWithin);
  if (!done) return tl::unexpected{done.error()};
  if (done->status == 0) return {};
  const std::string reason = reason_in(done->text);
  return failure(fmt::format("systemctl {} {} failed with status {}{}{}; {}", verb, kServiceUnit,
                             done->status, reason.empty() ? "" : ": ", reason,
                             where_to_look(place)));
}

bool is_active(const ServicePlace& place) {
  const auto done = run_program({place.systemctl.string(), "is-active", "--quiet", kServiceUnit},
                                kQuestionWithin);
  return done && done->status == 0;
}

// In the background.

Result<void> send_signal(pid_t pid, int signal) {
  if (::kill(pid, signal) == 0 || errno == ESRCH) return {};
  return failure(
      fmt::format("cannot signal cbpolicyd (pid {}): {}; run this as root, or as the user "
                  "that it runs as",
                  pid, std::strerror(errno)));
}

// One daemon and its worker. KILL where it does not end in time: what was counted is stored.
Result<void> end_process(pid_t pid, const ServicePlace& place) {
  const auto worker = find_worker(pid);
  const auto gone = [&] {
    return !is_daemon(pid, place.config) && !(worker && is_daemon(*worker, place.config));
  };
  if (auto sent = send_signal(pid, SIGTERM); !sent) return sent;
  if (becomes_true(kWithin, gone)) return {};
  for (const pid_t each : {pid, worker.value_or(pid)}) {
    if (!is_daemon(each, place.config)) continue;
    if (auto sent = send_signal(each, SIGKILL); !sent) return sent;
  }
  if (becomes_true(kAnswerWithin, gone)) return {};
  return failure(fmt::format("cbpolicyd (pid {}) does not end, not even by SIGKILL; {}", pid,
                             where_to_look(place)));
}

Result<ServiceChange> stop_processes(const ServicePlace& place) {
  constexpr int kMost = 10;  // one that is started over and over is not ours to fight with
  for (int ended = 0; ended < kMost; ++ended) {
    const auto pid = running_service(place);
    if (!pid) return ended == 0 ? ServiceChange::was_so : ServiceChange::done;
    if (auto done = end_process(*pid, place); !done) return tl::unexpected{done.error()};
  }
  return failure("cbpolicyd is started again whenever it is stopped; who does that?");
}

// What would make a start end in a half-working daemon.
Result<void> check_start(const ServicePlace& place) {
  const auto loaded = policyd::load_config(place.config);
  if (!loaded) return tl::unexpected{loaded.error()};
  const policyd::Config& config = loaded->config;
  if (!config.background) {
    return failure(
        fmt::format("{} says background=no, so nobody would hold the daemon; set "
                    "background=yes, or have cbpolicyd --fg run by your service manager",
                    place.config.string()));
  }
  if (!is_program(place.program)) {
    return failure(fmt::format("there is no program {}; is the package installed completely?",
                               place.program.string()));
  }
  if (::geteuid() == 0 || config.user.empty()) return {};
  std::array<char, 16 * 1024> room{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(config.user.c_str(), &entry, room.data(), room.size(), &found);
  if (found != nullptr && found->pw_uid == ::geteuid()) return {};
  return failure(
      fmt::format("the daemon runs as user {0}; start it as {0} or as root", config.user));
}

Result<ServiceChange> start_in_background(const ServicePlace& place) {
  if (running_service(place)) return ServiceChange::was_so;
  if (auto checked = check_start(place); !checked) return tl::unexpected{checked.error()};
  const auto done = run_program({place.program.string(), "--config", place.config.string(),
                                 "--zextras-home", place.zextras_home.string()},
                                kWithin);
  if (done && done->status == 0) return ServiceChange::done;
  if (!done) {
    return failure(
        fmt::format("cbpolicyd does not accept connections yet, {} s after its start; {}",
                    kWithin.count(), where_to_look(place)));
  }
  // Another start was faster.
  if (running_service(place)) return ServiceChange::was_so;
  const std::string reason = reason_in(done->text);
  return failure(reason.empty() ? fmt::format("cbpolicyd ended with status {}; {}", done->status,
                                              where_to_look(place))
                                : reason);
}

// An upgrade leaves a supervisor of the old program behind, which must go with its worker.
bool runs_another_program(pid_t pid, const ServicePlace& place) {
  std::error_code code;
  const bool same = fs::equivalent(fmt::format("/proc/{}/exe", pid), place.program, code);
  return !code && !same;
}

// The supervisor ends its worker in order and starts another on the same sockets.
Result<void> replace_worker(const ServicePlace& place, pid_t supervisor, pid_t worker) {
  const auto loaded = policyd::load_config(place.config);
  if (!loaded) {
    return failure(fmt::format("{}; the daemon goes on as it was", loaded.error().message));
  }
  if (auto sent = send_signal(supervisor, SIGUSR2); !sent) return sent;
  const bool replaced = becomes_true(kWithin, [&] {
    const auto now = find_worker(supervisor);
    return now && *now != worker && ask_daemon(loaded->config, kAnswerWithin);
  });
  if (replaced) return {};
  return failure(fmt::format("no new worker answers, {} s after the old one was told to end; {}",
                             kWithin.count(), where_to_look(place)));
}

}  // namespace

ServicePlace find_service(const fs::path& zextras_home) {
  ServicePlace place;
  place.zextras_home = fs::absolute(zextras_home).lexically_normal();
  place.program = find_program(place.zextras_home);
  place.config = place.zextras_home / "conf" / "cbpolicyd.conf";
  const auto loaded = policyd::load_config(place.config);
  place.pid_file = loaded ? loaded->config.pid_file : policyd::Config{}.pid_file;
  place.systemctl = find_systemctl(place.zextras_home);
  return place;
}

std::optional<pid_t> running_service(const ServicePlace& place) {
  return find_daemon(place.config, place.pid_file);
}

Result<ServiceChange> start_service(const ServicePlace& place) {
  if (place.systemctl.empty()) return start_in_background(place);
  if (is_active(place)) return ServiceChange::was_so;
  // One that was started by hand would hold the port.
  if (auto done = stop_processes(place); !done) return done;
  if (auto done = ask_systemd(place, "start"); !done) return tl::unexpected{done.error()};
  if (is_active(place)) return ServiceChange::done;
  // A condition of the unit that is not met is no failure to systemd.
  return failure(
      fmt::format("systemd did not start {}: is it switched on here ('carbonio-limits "
                  "enable')? 'systemctl status {}' tells which condition is not met",
                  kServiceUnit, kServiceUnit));
}

Result<ServiceChange> stop_service(const ServicePlace& place) {
  if (place.systemctl.empty()) return stop_processes(place);
  const bool was_active = is_active(place);
  // Also where it is not active: it may wait to be started again.
  if (auto done = ask_systemd(place, "stop"); !done) return tl::unexpected{done.error()};
  auto others = stop_processes(place);
  if (!others) return others;
  return was_active ? ServiceChange::done : *others;
}

Result<void> restart_service(const ServicePlace& place) {
  if (!place.systemctl.empty() && is_active(place)) return ask_systemd(place, "restart");
  if (place.systemctl.empty()) {
    const auto supervisor = running_service(place);
    const auto worker = supervisor ? find_worker(*supervisor) : std::nullopt;
    if (worker && !runs_another_program(*supervisor, place)) {
      return replace_worker(place, *supervisor, *worker);
    }
    if (auto checked = check_start(place); !checked) return checked;
    if (auto stopped = stop_processes(place); !stopped) return tl::unexpected{stopped.error()};
  }
  const auto started = start_service(place);
  if (!started) return tl::unexpected{started.error()};
  return {};
}

Result<void> reload_service(const ServicePlace& place) {
  const auto loaded = policyd::load_config(place.config);
  if (!loaded) {
    return failure(fmt::format("{}; the daemon goes on as it was", loaded.error().message));
  }
  if (!place.systemctl.empty() && is_active(place)) return ask_systemd(place, "reload");
  const auto pid = running_service(place);
  if (!pid)
    return failure("the policy daemon does not run; 'carbonio-limits service start' starts it");
  return send_signal(*pid, SIGHUP);
}

}  // namespace carbonio
