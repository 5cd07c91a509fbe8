// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/service.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "daemon/config/config.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/system/may_run.hpp"
#include "hooks/system/run_program.hpp"
#include "hooks/system/users.hpp"
#include "hooks/system/wait_until.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

constexpr std::chrono::seconds kWithin{30};
// The unit creates the database first, for which it asks Carbonio: a JVM starts.
constexpr std::chrono::seconds kSystemdWithin{90};
constexpr std::chrono::seconds kQueryWithin{10};
constexpr std::chrono::seconds kAnswerWithin{2};
constexpr std::chrono::milliseconds kInterval{20};

// Carbonio's own test. That the unit can be loaded proves nothing: packages brought it for Ubuntu
// 22.04 and RHEL 8 too, where zmcontrol runs the services.
bool systemd_is_in_charge(const std::string& systemctl) {
  const auto says = [&](const char* verb, const std::string& unit) {
    const auto done = run_program({{systemctl, verb, "--quiet", unit}, kQueryWithin});
    return done && done->status == 0;
  };
  for (const char* host : {"mta", "appserver", "proxy", "directory-server"}) {
    if (says("is-enabled", fmt::format("carbonio-{}.target", host))) return true;
  }
  return says("is-active", kServiceUnit);  // somebody started it there
}

fs::path systemctl_in_charge(const fs::path& zextras_home) {
  fs::path file = systemctl_knowing(kServiceUnit, zextras_home);
  return !file.empty() && systemd_is_in_charge(file.string()) ? file : fs::path{};
}

fs::path find_program(const fs::path& zextras_home) {
  fs::path installed = zextras_home / "common" / "bin" / "cbpolicyd";
  if (is_program(installed)) return installed;
  // In a build folder all programs lie together.
  std::error_code code;
  fs::path beside = fs::read_symlink("/proc/self/exe", code).parent_path() / "cbpolicyd";
  return !code && is_program(beside) ? beside : installed;
}

std::string see_log(const ServiceFiles& files) {
  if (!files.systemctl.empty()) return fmt::format("see 'journalctl -u {}'", kServiceUnit);
  const auto loaded = policyd::load_config(files.config);
  if (!loaded || loaded->config.log_file.empty()) return "see the system log";
  return fmt::format("see {}", loaded->config.log_file.string());
}

// The last line that is not empty, without the program's name.
std::string last_line(std::string_view text) {
  std::string last;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kName = "cbpolicyd: ";
    if (line.rfind(kName, 0) == 0) line.remove_prefix(kName.size());
    if (!line.empty()) last = line;
  }
  return last;
}

// By systemd.

Result<void> ask_systemd(const ServiceFiles& files, const char* verb) {
  const auto done = run_program(
      {{files.systemctl.string(), "--no-ask-password", verb, kServiceUnit}, kSystemdWithin});
  if (!done) {
    return failure(fmt::format("systemctl {} {}: {}; {}", verb, kServiceUnit, done.error().message,
                               see_log(files)));
  }
  if (done->status == 0) return {};
  const std::string reason = last_line(done->out + done->err);
  return failure(fmt::format("systemctl {} {} failed with status {}{}{}; {}", verb, kServiceUnit,
                             done->status, reason.empty() ? "" : ": ", reason, see_log(files)));
}

bool is_active(const ServiceFiles& files) {
  const auto done =
      run_program({{files.systemctl.string(), "is-active", "--quiet", kServiceUnit}, kQueryWithin});
  return done && done->status == 0;
}

// In the background.

Result<void> send_signal(pid_t pid, int signal) {
  if (::kill(pid, signal) == 0 || errno == ESRCH) return {};
  return failure(
      fmt::format("cannot signal cbpolicyd (pid {}): {}; run this as root, or as the user "
                  "it runs as",
                  pid, std::strerror(errno)));
}

// One daemon and its worker. SIGKILL if it does not end in time: what was counted is stored.
Result<void> end_process(pid_t pid, const ServiceFiles& files) {
  const auto worker = find_worker(pid);
  const auto gone = [&] {
    return !is_daemon(pid, files.config) && !(worker && is_daemon(*worker, files.config));
  };
  if (auto sent = send_signal(pid, SIGTERM); !sent) return sent;
  if (wait_until(kWithin, kInterval, gone)) return {};
  for (const pid_t each : {pid, worker.value_or(pid)}) {
    if (!is_daemon(each, files.config)) continue;
    if (auto sent = send_signal(each, SIGKILL); !sent) return sent;
  }
  if (wait_until(kAnswerWithin, kInterval, gone)) return {};
  return failure(fmt::format("cbpolicyd (pid {}) survived SIGKILL; {}", pid, see_log(files)));
}

Result<ServiceChange> stop_processes(const ServiceFiles& files) {
  constexpr int kMaxEnded = 10;  // then something else keeps restarting it
  for (int ended = 0; ended < kMaxEnded; ++ended) {
    const auto pid = running_service(files);
    if (!pid) return ended == 0 ? ServiceChange::unchanged : ServiceChange::done;
    if (auto done = end_process(*pid, files); !done) return tl::unexpected{done.error()};
  }
  return failure(
      "cbpolicyd keeps being restarted by something else; stop that first (ps -o ppid= -p PID "
      "names its process)");
}

Result<void> check_program(const ServiceFiles& files, const policyd::Config& config) {
  const auto user = find_user(config.user);
  return user ? check_may_run(files.program, *user) : Result<void>{};
}

// What would leave a half-working daemon after its start.
Result<void> check_start(const ServiceFiles& files) {
  const auto loaded = policyd::load_config(files.config);
  if (!loaded) return tl::unexpected{loaded.error()};
  const policyd::Config& config = loaded->config;
  if (!config.background) {
    return failure(
        fmt::format("{} has background=no, so nothing would supervise the daemon; set "
                    "background=yes, or let your service manager run cbpolicyd --fg",
                    files.config.string()));
  }
  if (!is_program(files.program)) {
    return failure(
        fmt::format("there is no program {}; reinstall the package", files.program.string()));
  }
  if (::geteuid() == 0 || config.user.empty()) return check_program(files, config);
  if (const auto user = find_user(config.user); user && user->id == ::geteuid()) return {};
  return failure(
      fmt::format("the daemon runs as user {0}; start it as {0} or as root", config.user));
}

Result<ServiceChange> start_in_background(const ServiceFiles& files) {
  if (running_service(files)) return ServiceChange::unchanged;
  if (auto checked = check_start(files); !checked) return tl::unexpected{checked.error()};
  const auto done = run_program({{files.program.string(), "--config", files.config.string(),
                                  "--zextras-home", files.zextras_home.string()},
                                 kWithin});
  if (done && done->status == 0) return ServiceChange::done;
  if (!done) {
    return failure(fmt::format("cbpolicyd did not report that it accepts connections ({}); {}",
                               done.error().message, see_log(files)));
  }
  // Another caller started it first.
  if (running_service(files)) return ServiceChange::unchanged;
  const std::string reason = last_line(done->out + done->err);
  return failure(reason.empty() ? fmt::format("cbpolicyd exited with status {}; {}", done->status,
                                              see_log(files))
                                : reason);
}

// After an upgrade the old program's supervisor still runs; it must go with its worker.
bool runs_another_program(pid_t pid, const ServiceFiles& files) {
  std::error_code code;
  const bool same = fs::equivalent(fmt::format("/proc/{}/exe", pid), files.program, code);
  return !code && !same;
}

// For a daemon that keeps running if its configuration is broken.
Result<policyd::Config> next_config(const ServiceFiles& files) {
  auto loaded = policyd::load_config(files.config);
  if (loaded) return std::move(loaded->config);
  return failure(
      fmt::format("{}; the running daemon keeps its configuration", loaded.error().message));
}

// The supervisor stops its worker in order and starts another on the same sockets.
Result<void> replace_worker(const ServiceFiles& files, pid_t supervisor, pid_t worker) {
  const auto config = next_config(files);
  if (!config) return tl::unexpected{config.error()};
  if (auto may_run = check_program(files, *config); !may_run) return may_run;
  if (auto sent = send_signal(supervisor, SIGUSR2); !sent) return sent;
  const bool replaced = wait_until(kWithin, kInterval, [&] {
    const auto now = find_worker(supervisor);
    return now && *now != worker && probe_daemon(*config, kAnswerWithin);
  });
  if (replaced) return {};
  return failure(
      fmt::format("no new worker answered within {} s; {}", kWithin.count(), see_log(files)));
}

}  // namespace

bool is_carbonio(const fs::path& zextras_home) {
  std::error_code code;
  return fs::exists(zextras_home / "bin" / "carbonio", code);
}

bool is_switched_on(const fs::path& zextras_home) {
  std::error_code code;
  return fs::exists(fs::symlink_status(enabled_mark(zextras_home), code));
}

ServiceFiles find_service(const fs::path& zextras_home) {
  ServiceFiles files;
  files.zextras_home = fs::absolute(zextras_home).lexically_normal();
  files.program = find_program(files.zextras_home);
  files.config = files.zextras_home / "conf" / "cbpolicyd.conf";
  const auto loaded = policyd::load_config(files.config);
  files.pid_file = loaded ? loaded->config.pid_file : policyd::Config{}.pid_file;
  files.systemctl = systemctl_in_charge(files.zextras_home);
  return files;
}

fs::path systemctl_knowing(const std::string& unit, const fs::path& zextras_home) {
  std::error_code code;
  if (zextras_home != "/opt/zextras" || !fs::is_directory("/run/systemd/system", code)) return {};
  for (const char* file : {"/usr/bin/systemctl", "/bin/systemctl"}) {
    if (!is_program(file)) continue;
    const auto known =
        run_program({{file, "show", "--property=LoadState", "--value", unit}, kQueryWithin});
    if (known && known->status == 0 && known->out == "loaded\n") return file;
  }
  return {};
}

std::optional<pid_t> running_service(const ServiceFiles& files) {
  return find_daemon(files.config, files.pid_file);
}

Result<ServiceChange> start_service(const ServiceFiles& files) {
  if (files.systemctl.empty()) return start_in_background(files);
  if (is_active(files)) return ServiceChange::unchanged;
  // A daemon that was started by hand would hold the port.
  if (auto done = stop_processes(files); !done) return done;
  if (auto done = ask_systemd(files, "start"); !done) return tl::unexpected{done.error()};
  if (is_active(files)) return ServiceChange::done;
  // To systemd, an unmet condition of the unit is not a failure.
  return failure(
      fmt::format("systemd did not start {}: a condition of the unit is not met (see 'systemctl "
                  "status {}'); 'carbonio-limits enable' switches the service on",
                  kServiceUnit, kServiceUnit));
}

Result<ServiceChange> stop_service(const ServiceFiles& files) {
  if (files.systemctl.empty()) return stop_processes(files);
  const bool was_active = is_active(files);
  // Even if it is not active: a restart may be pending.
  if (auto done = ask_systemd(files, "stop"); !done) return tl::unexpected{done.error()};
  auto others = stop_processes(files);
  if (!others) return others;
  return was_active ? ServiceChange::done : *others;
}

Result<void> restart_service(const ServiceFiles& files) {
  if (!files.systemctl.empty() && is_active(files)) return ask_systemd(files, "restart");
  if (files.systemctl.empty()) {
    const auto supervisor = running_service(files);
    const auto worker = supervisor ? find_worker(*supervisor) : std::nullopt;
    if (worker && !runs_another_program(*supervisor, files)) {
      return replace_worker(files, *supervisor, *worker);
    }
    if (auto checked = check_start(files); !checked) return checked;
    if (auto stopped = stop_processes(files); !stopped) return tl::unexpected{stopped.error()};
  }
  const auto started = start_service(files);
  if (!started) return tl::unexpected{started.error()};
  return {};
}

Result<void> reload_service(const ServiceFiles& files) {
  const auto config = next_config(files);
  if (!config) return tl::unexpected{config.error()};
  if (!files.systemctl.empty() && is_active(files)) return ask_systemd(files, "reload");
  const auto pid = running_service(files);
  if (!pid)
    return failure(
        "the policy daemon is not running; start it with 'carbonio-limits service start'");
  return send_signal(*pid, SIGHUP);
}

}  // namespace carbonio
