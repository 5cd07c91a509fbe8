// SPDX-License-Identifier: AGPL-3.0-only
// `service`: starts, stops and looks at the policy daemon, whoever runs it on this host.
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
#include "hooks/carbonio/paths.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::ServiceChange;
using carbonio::ServicePlace;

constexpr std::chrono::seconds kAnswerWithin{3};

constexpr std::array<Option, 1> kOptions = {{
    {"json", "", "with status: as JSON"},
}};

// What can be found out about the daemon from outside.
struct Seen {
  std::optional<pid_t> pid;
  std::optional<pid_t> worker;       // of a supervisor
  std::optional<std::string> wrong;  // one sentence
  std::optional<policyd::Status> told;
};

std::string address_of(const policyd::Config& config) {
  return config.unix_socket ? config.port : fmt::format("{}:{}", config.host, config.port);
}

Seen look(const ServicePlace& place) {
  Seen seen;
  seen.pid = carbonio::running_service(place);
  if (!seen.pid) {
    seen.wrong = "the policy daemon does not run";
    return seen;
  }
  seen.worker = carbonio::find_worker(*seen.pid);
  const auto loaded = policyd::load_config(place.config);
  if (!loaded) {
    seen.wrong = loaded.error().message;
    return seen;
  }
  if (auto status = policyd::read_status(policyd::status_file_of(place.pid_file)); status) {
    seen.told = std::move(*status);
  }
  const auto answer = carbonio::ask_daemon(loaded->config, kAnswerWithin);
  if (!answer) {
    seen.wrong = fmt::format("it does not answer on {}: {}", address_of(loaded->config),
                             answer.error().message);
  } else if (seen.told && seen.told->trouble) {
    seen.wrong = fmt::format("it is in trouble with its database: {}{}", seen.told->trouble->what,
                             seen.told->rules_version
                                 ? ""
                                 : "; it could not read any limits, so bypass_mode answers all "
                                   "mail ('carbonio-limits doctor' says more)");
  }
  return seen;
}

// Who starts it again when it dies.
const char* keeper(const ServicePlace& place, const Seen& seen) {
  if (seen.worker) return "supervisor";
  return place.systemctl.empty() ? "nobody" : "systemd";
}

nlohmann::json as_json(const ServicePlace& place, const Seen& seen) {
  nlohmann::json out = {{"running", seen.pid.has_value()}, {"fine", !seen.wrong}};
  if (seen.wrong) out["wrong"] = *seen.wrong;
  if (seen.pid) {
    out["pid"] = *seen.pid;
    out["kept_by"] = keeper(place, seen);
  }
  if (seen.worker) out["worker"] = *seen.worker;
  if (seen.told) {
    out["version"] = seen.told->version;
    out["started"] = std::chrono::system_clock::to_time_t(seen.told->started);
    out["requests"] = seen.told->requests;
    out["refused"] = seen.told->refused;
  }
  return out;
}

void say(const ServicePlace& place, const Seen& seen, Output& output) {
  if (!seen.pid) return output.line("The policy daemon does not run.");
  output.line(fmt::format("The policy daemon runs: pid {}{}, kept by {}.", *seen.pid,
                          seen.worker ? fmt::format(" with worker {}", *seen.worker) : "",
                          keeper(place, seen)));
  if (seen.told) {
    output.line(fmt::format(
        "cbpolicyd {}, since {:%Y-%m-%d %H:%M:%S}: {} requests, {} refused.", seen.told->version,
        fmt::localtime(std::chrono::system_clock::to_time_t(seen.told->started)),
        seen.told->requests, seen.told->refused));
  }
  if (seen.wrong) output.line(fmt::format("Wrong: {}.", escaped(*seen.wrong)));
}

Outcome status(const ServicePlace& place, bool json, Output& output) {
  const Seen seen = look(place);
  if (json) {
    output.print(as_json(place, seen));
  } else {
    say(place, seen, output);
  }
  if (seen.wrong) return found_wrong();
  return {};
}

// This process becomes the supervisor.
Outcome run_in_foreground(const ServicePlace& place) {
  std::array<std::string, 6> words = {place.program.string(), "--config",
                                      place.config.string(),  "--supervise",
                                      "--zextras-home",       place.zextras_home.string()};
  std::array<char*, words.size() + 1> pointers{};
  for (std::size_t i = 0; i < words.size(); ++i) pointers[i] = words[i].data();
  ::execv(pointers[0], pointers.data());
  return failed(fmt::format("cannot run {}: {}", place.program.string(), std::strerror(errno)));
}

bool is_switched_on(const ServicePlace& place) {
  std::error_code code;
  return std::filesystem::exists(carbonio::enabled_mark(place.zextras_home), code);
}

Outcome start(const ServicePlace& place, Output& output) {
  const auto started = carbonio::start_service(place);
  if (!started) return failed(started.error());
  output.line(*started == ServiceChange::done ? "Started the policy daemon."
                                              : "The policy daemon runs already.");
  if (!is_switched_on(place)) {
    output.note(
        "the service is not switched on: it does not start at boot, and Postfix may not ask it; "
        "'carbonio-limits enable' sees to both.");
  }
  return {};
}

Outcome stop(const ServicePlace& place, Output& output) {
  const auto stopped = carbonio::stop_service(place);
  if (!stopped) return failed(stopped.error());
  output.line(*stopped == ServiceChange::done ? "Stopped the policy daemon."
                                              : "The policy daemon does not run.");
  if (is_switched_on(place)) {
    output.note(
        "Postfix still asks it, and answers 451 to all mail until 'carbonio-limits service start'; "
        "to switch it off: 'carbonio-limits disable'.");
  }
  return {};
}

Outcome restart(const ServicePlace& place, Output& output) {
  if (auto done = carbonio::restart_service(place); !done) return failed(done.error());
  output.line("Restarted the policy daemon.");
  return {};
}

Outcome reload(const ServicePlace& place, Output& output) {
  if (auto done = carbonio::reload_service(place); !done) return failed(done.error());
  output.line("The policy daemon reads its configuration again.");
  return {};
}

Outcome run(const Arguments& arguments, Context& context) {
  constexpr const char* kWords = "run, start, stop, restart, reload or status";
  if (arguments.words().empty()) {
    return wrong_use(fmt::format("say what to do: service {}", kWords));
  }
  const std::string& what = arguments.words().front();
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use("--database does not go with service: the daemon's configuration names it");
  }
  const bool json = arguments.has("json");
  if (json && what != "status") return wrong_use("--json goes with 'service status' only");
  const ServicePlace place = carbonio::find_service(context.zextras_home);
  if (what == "run") return run_in_foreground(place);
  if (what == "start") return start(place, context.output);
  if (what == "stop") return stop(place, context.output);
  if (what == "restart") return restart(place, context.output);
  if (what == "reload") return reload(place, context.output);
  if (what == "status") return status(place, json, context.output);
  return wrong_use(fmt::format("service knows {}, not '{}'", kWords, shown(what)));
}

}  // namespace

const Command kService = {
    "service",
    "run|start|stop|restart|reload|status [--json]",
    "Start, stop and look at the policy daemon",
    "Where systemd has the unit carbonio-policyd.service, by that; else the daemon runs in the "
    "background under a supervisor of its own, which holds the sockets and replaces a worker that "
    "dies. start and stop do nothing where it is so already, and wait until it is so.\n"
    "restart refuses no connection: the sockets stay while the worker changes. A changed port is "
    "taken over too; a changed pid_file, user or group takes stop and start. Where cbpolicyd "
    "itself "
    "was replaced, the supervisor is changed too, with a gap that Postfix bridges.\n"
    "reload has the configuration read again. status ends with 3 where the daemon does not run, "
    "does not answer or is in trouble.\n"
    "run stays in the foreground as the supervisor, for a service manager other than systemd.",
    "service restart\n"
    "service status --json",
    kOptions,
    1,
    run,
    Takes::other,
    "run start stop restart reload status",
    false};

}  // namespace limits
