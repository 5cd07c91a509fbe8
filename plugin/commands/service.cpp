// SPDX-License-Identifier: AGPL-3.0-only
// `service`: starts, stops and queries the policy daemon, whether systemd or its own supervisor
// runs it.
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "daemon/config/config.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/service/service.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using carbonio::ServiceChange;
using carbonio::ServiceFiles;

constexpr std::chrono::seconds kAnswerWithin{3};

constexpr std::array<Option, 1> kServiceOptions = {{
    {"json", "", "with status: print JSON"},
}};

// What can be seen of the daemon from outside.
struct DaemonState {
  std::optional<pid_t> pid;
  std::optional<pid_t> worker;  // of a supervisor
  bool answers = false;
  std::optional<std::string> problem;  // one sentence
  std::optional<policyd::Status> status;
};

std::string served_address(const policyd::Config& config) {
  return config.unix_socket ? config.port : fmt::format("{}:{}", config.host, config.port);
}

DaemonState inspect(const ServiceFiles& files) {
  DaemonState state;
  state.pid = carbonio::running_service(files);
  if (!state.pid) {
    state.problem = "the policy daemon is not running";
    return state;
  }
  state.worker = carbonio::find_worker(*state.pid);
  const auto loaded = policyd::load_config(files.config);
  if (!loaded) {
    state.problem = loaded.error().message;
    return state;
  }
  if (auto status = policyd::read_status(policyd::status_file_of(files.pid_file)); status) {
    state.status = std::move(*status);
  }
  const auto answer = carbonio::probe_daemon(loaded->config, kAnswerWithin);
  state.answers = answer.has_value();
  if (!answer) {
    state.problem = fmt::format("it does not answer on {}: {}", served_address(loaded->config),
                                answer.error().message);
  } else if (state.status && state.status->trouble) {
    state.problem = fmt::format("it cannot use its database: {}{}", state.status->trouble->what,
                                state.status->rules_version
                                    ? ""
                                    : "; it could not read any limits, so bypass_mode applies to "
                                      "all mail (see 'carbonio-limits doctor')");
  }
  return state;
}

// What restarts it if it dies.
const char* supervised_by(const ServiceFiles& files, const DaemonState& state) {
  if (state.worker) return "supervisor";
  return files.systemctl.empty() ? "none" : "systemd";
}

// Those that the state itself does not say.
std::vector<Headline> warnings_about(const ServiceFiles& files) {
  auto lines =
      headlines(find_daemon_config(std::nullopt, files.zextras_home), policyd::wall_clock());
  std::erase_if(lines,
                [](const Headline& line) { return line.kind == Headline::Kind::not_running; });
  return lines;
}

nlohmann::json as_json(const ServiceFiles& files, const DaemonState& state) {
  nlohmann::json out = {{"running", state.pid.has_value()},
                        {"ok", !state.problem},
                        {"warnings", texts_of(warnings_about(files))}};
  out["cluster"] = cluster_json(view_cluster(find_daemon_config(std::nullopt, files.zextras_home)));
  if (state.problem) out["wrong"] = *state.problem;
  if (state.pid) {
    out["pid"] = *state.pid;
    out["supervised_by"] = supervised_by(files, state);
  }
  if (state.worker) out["worker"] = *state.worker;
  if (state.status) {
    out["version"] = state.status->version;
    out["started"] = std::chrono::system_clock::to_time_t(state.status->started);
    out["requests"] = state.status->requests;
    out["refused"] = state.status->refused;
    const auto& unusable = state.status->refused_requests;
    out["refused_requests"] = {{"count", unusable.count}};
    if (unusable.count != 0) {
      out["refused_requests"]["last"] = unusable.last;
      out["refused_requests"]["last_at"] = std::chrono::system_clock::to_time_t(unusable.last_at);
    }
  }
  return out;
}

void print_state(const ServiceFiles& files, const DaemonState& state, Output& output) {
  if (!state.pid) return output.line("The policy daemon is not running.");
  std::string how = "without a supervisor";
  if (state.worker) {
    how = fmt::format("with worker {}, under its own supervisor", *state.worker);
  } else if (!files.systemctl.empty()) {
    how = "under systemd";
  }
  output.line(fmt::format("The policy daemon is running: pid {} {}.", *state.pid, how));
  if (state.status) {
    output.line(fmt::format(
        "cbpolicyd {}, since {:%Y-%m-%d %H:%M:%S}: {}, {} refused.", state.status->version,
        fmt::localtime(std::chrono::system_clock::to_time_t(state.status->started)),
        counted(state.status->requests, "request"), state.status->refused));
    if (const auto& unusable = state.status->refused_requests; unusable.count != 0) {
      output.line(fmt::format(
          "{} that could not be used and were answered DEFER or not at all; the last, at "
          "{:%Y-%m-%d %H:%M:%S}: {}.",
          counted(unusable.count, "more request"),
          fmt::localtime(std::chrono::system_clock::to_time_t(unusable.last_at)),
          escaped(unusable.last)));
    }
  }
  if (state.problem) output.line(fmt::format("Problem: {}.", escaped(*state.problem)));
}

Outcome status(const ServiceFiles& files, bool json, const TypedAdvice& advice, Output& output) {
  const DaemonState state = inspect(files);
  if (json) {
    output.print(as_json(files, state));
  } else {
    print_headlines(warnings_about(files), advice, output);
    print_state(files, state, output);
    const std::string line =
        sharing_line(view_cluster(find_daemon_config(std::nullopt, files.zextras_home)));
    if (state.pid && !line.empty()) output.line(advice.complete(line));
  }
  if (state.problem) return found_wrong();
  return {};
}

// This process becomes the supervisor.
Outcome run_in_foreground(const ServiceFiles& files) {
  std::array<std::string, 6> words = {files.program.string(), "--config",
                                      files.config.string(),  "--supervise",
                                      "--zextras-home",       files.zextras_home.string()};
  std::array<char*, words.size() + 1> pointers{};
  for (std::size_t i = 0; i < words.size(); ++i) pointers[i] = words[i].data();
  ::execv(pointers[0], pointers.data());
  return failed(fmt::format("cannot run {}: {}", files.program.string(), std::strerror(errno)));
}

// After a start: a daemon without rules serves, but mail notices.
Outcome check_serving(const ServiceFiles& files, std::string_view what, Output& output) {
  constexpr std::chrono::seconds kRulesWithin{5};  // a short lock may be in the way
  constexpr std::chrono::milliseconds kReadEvery{50};
  std::optional<policyd::Status> status;
  carbonio::wait_until(kRulesWithin, kReadEvery, [&] {
    auto read = policyd::read_status(policyd::status_file_of(files.pid_file));
    status = read ? std::move(*read) : std::nullopt;
    return !status || !status->trouble || status->rules_version;
  });
  if (!status || !status->trouble) {
    output.line(what);
    return {};
  }
  const std::string& trouble = status->trouble->what;
  if (status->rules_version) {
    output.line(what);
    output.note(
        fmt::format("the daemon has trouble with its database ({}); see 'carbonio-limits "
                    "doctor'.",
                    escaped(trouble)));
    return {};
  }
  const auto loaded = policyd::load_config(files.config);
  const bool pass = loaded && loaded->config.bypass_mode == policyd::Bypass::pass;
  return failed(
      fmt::format("the policy daemon runs, but could not read any limits: {}; {}; see "
                  "'carbonio-limits doctor'{}",
                  trouble,
                  pass ? "all mail passes unlimited (bypass_mode=pass)"
                       : "ALL MAIL IS DEFERRED (bypass_mode=tempfail)",
                  pass ? "" : ", and let mail pass meanwhile with 'carbonio-limits pause'"));
}

Outcome start(const ServiceFiles& files, Output& output) {
  const auto started = carbonio::start_service(files);
  if (!started) return failed(started.error());
  auto serving =
      check_serving(files,
                    *started == ServiceChange::done ? "Started the policy daemon."
                                                    : "The policy daemon is already running.",
                    output);
  if (!serving) return serving;
  if (carbonio::is_carbonio(files.zextras_home) && !carbonio::is_switched_on(files.zextras_home)) {
    output.note(
        "the service is not switched on: it does not start at boot, and Postfix may not ask it; "
        "'carbonio-limits enable' fixes both.");
  }
  return {};
}

// Whether Postfix asks the daemon, as far as its own postconf says.
bool postfix_asks(const ServiceFiles& files, const Context& context) {
  if (carbonio::is_switched_on(files.zextras_home)) return true;
  const auto loaded = policyd::load_config(files.config);
  if (!loaded) return false;
  using Asks = PostfixView::Asks;
  const Asks asks = inspect_postfix(context.zextras_home, context.search_path, loaded->config).asks;
  return asks == Asks::somewhere || asks == Asks::everywhere;
}

Outcome stop(const ServiceFiles& files, Context& context) {
  Output& output = context.output;
  const auto stopped = carbonio::stop_service(files);
  if (!stopped) return failed(stopped.error());
  output.line(*stopped == ServiceChange::done ? "Stopped the policy daemon."
                                              : "The policy daemon is not running.");
  if (postfix_asks(files, context)) {
    output.note(context.advice.complete(
        "Postfix still asks it, and answers 451 to all mail until 'carbonio-limits service start'. "
        "To let all mail pass instead, start it again and use 'carbonio-limits pause'; to switch "
        "it off, use 'carbonio-limits disable'."));
  }
  return {};
}

Outcome report(const policyd::Result<void>& done, std::string_view what, Output& output) {
  if (!done) return failed(done.error());
  output.line(what);
  return {};
}

Outcome run_service(const Arguments& arguments, Context& context) {
  constexpr const char* kWords = "run, start, stop, restart, reload or status";
  if (arguments.words().empty()) {
    return wrong_use(fmt::format("missing action: service {}", kWords));
  }
  const std::string& what = arguments.words().front();
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(
        "service does not accept --database: the daemon's configuration names the database");
  }
  const bool json = arguments.has("json");
  if (json && what != "status") return wrong_use("--json is only for 'service status'");
  const ServiceFiles files = carbonio::find_service(context.zextras_home);
  if (what == "run") return run_in_foreground(files);
  if (what == "start") return start(files, context.output);
  if (what == "stop") return stop(files, context);
  if (what == "restart") {
    if (auto done = carbonio::restart_service(files); !done) return failed(done.error());
    return check_serving(files, "Restarted the policy daemon.", context.output);
  }
  if (what == "reload") {
    return report(carbonio::reload_service(files), "Reloaded the policy daemon's configuration.",
                  context.output);
  }
  if (what == "status") return status(files, json, context.advice, context.output);
  return wrong_use(fmt::format("not a valid action: '{}'; use service {}", shown(what), kWords));
}

}  // namespace

const Command kService = {
    "service",
    "run|start|stop|restart|reload|status [--json]",
    "Start, stop and query the policy daemon",
    "Uses systemd's unit carbonio-policyd.service if systemd runs Carbonio's services (one of its "
    "targets is enabled); otherwise the daemon runs in "
    "the background under its own supervisor, which holds the sockets and replaces a worker that "
    "dies. start and stop wait until they are done; if the daemon is already running, or stopped, "
    "they do nothing. start and restart fail if the daemon could not read any limits. Where "
    "Postfix asks the daemon it answers 451 to all mail after stop: to let mail pass, use pause.\n"
    "restart refuses no connection: the sockets stay open while the worker is replaced. It also "
    "applies a changed port; a changed pid_file, user or group needs stop and start. After an "
    "upgrade of cbpolicyd the supervisor is replaced, too, with a gap that Postfix bridges.\n"
    "reload reloads the configuration. The exit status of status is 3 if the daemon is not "
    "running, does not answer or cannot use its database.\n"
    "run stays in the foreground as the supervisor, for service managers other than systemd.",
    "service restart\n"
    "service status --json",
    kServiceOptions,
    1,
    run_service,
    Takes::other,
    "run start stop restart reload status",
    false};

}  // namespace limits
