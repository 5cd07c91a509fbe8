// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the daemon's configuration, its process and its status file.
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "daemon/base/shell_words.hpp"
#include "daemon/modules/make_modules.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/status/pause_file.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kAnswerWithin{3};
// The daemon checks for changes every second, and reports them at most a second later.
constexpr std::chrono::seconds kInForceWithin{4};
constexpr std::chrono::milliseconds kInterval{100};

std::string address_of(const policyd::Config& config) {
  if (config.unix_socket) return config.port;
  return fmt::format("{}:{}", config.host == "*" ? "localhost" : config.host, config.port);
}

void check_config(const DoctorQuestion& question, Findings& findings) {
  if (!question.daemon.read) {
    std::error_code code;
    const std::string file = question.daemon.file.string();
    const bool exists = fs::exists(file, code);
    findings.wrong(
        exists ? problem::kConfiguration : problem::kNoConfiguration,
        exists ? question.daemon.why_not : fmt::format("configuration {} does not exist", file),
        "the daemon cannot start without it",
        is_carbonio(question) ? command("echo 'REWRITE cbpolicyd' | nc localhost 7171")
        : exists              ? advice("correct it, then: carbonio-limits service start")
                              : advice("create it (README.md has an example), then: "
                                                    "carbonio-limits service start"));
    return;
  }
  for (const std::string& warning : question.daemon.warnings) {
    findings.wrong(
        problem::kConfigurationLine, escaped(warning),
        "that line does not have its intended effect",
        advice(fmt::format("correct the line, then: cbpolicyd --config {} --check-config",
                           question.daemon.file.string())));
  }
  findings.well_unless_wrong("daemon.configuration",
                             fmt::format("{} is readable", question.daemon.file.string()));
  if (question.daemon.config.quotas) {
    findings.well("daemon.quotas", "Quotas is switched on");
    return;
  }
  findings.wrong(
      problem::kQuotasOff, "Quotas is switched off", "no limit is in force",
      is_carbonio(question)
          ? command("carbonio-limits enable")
          : advice(fmt::format("set enable=1 in section [Quotas] of {}, then: carbonio-limits "
                               "service reload",
                               question.daemon.file.string())));
}

void check_pause(const policyd::Config& config, Findings& findings) {
  const auto pause = policyd::read_pause(policyd::pause_file_of(config.pid_file));
  if (!pause) {
    findings.wrong(problem::kPauseFile, escaped(pause.error().message),
                   "the daemon ignores this file, so limits are in force",
                   command("carbonio-limits resume"));
  } else if (*pause && (*pause)->in_force(policyd::wall_clock())) {
    findings.wrong(problem::kPaused, pause_text(**pause), "no limit is in force until then",
                   command("carbonio-limits resume"));
  }
}

// Whether this user, who is the daemon's, may write or create the file.
void check_writable(const fs::path& file, const Problem& problem, const char* what, const char* why,
                    const DoctorQuestion& question, Findings& findings) {
  if (file.empty()) return;
  const std::string check{problem.check};
  std::error_code code;
  const bool exists = fs::exists(file, code);
  // A pid file is replaced, which needs write access to its folder.
  const bool folder = !exists || problem.name == problem::kPidFile.name;
  const fs::path tried = folder ? file.parent_path() : file;
  if (::access(tried.c_str(), W_OK) == 0) {
    findings.well(check, fmt::format("{} {} is writable", what, file.string()));
    return;
  }
  const std::string& user = question.daemon.config.user;
  const std::string name = user.empty() ? "USER" : user;
  findings.wrong(
      problem, fmt::format("{} {} is not writable for {}", what, file.string(), name), why,
      command(fmt::format("{} {} {}", fs::exists(tried, code) ? "chown" : "install -d -o", name,
                          policyd::shell_word(tried.string()))));
}

// Whether the daemon uses the rules of the database; waits until it has reloaded them.
void check_rules_in_force(const fs::path& file, policyd::Status status, sqlite3* db,
                          const DoctorQuestion& question, Findings& findings) {
  const auto now = policyd::read_rules_version(db, question.daemon.config.table_prefix);
  if (!now) {
    findings.not_checked(check::kDaemonRules,
                         "whether the current rules are in force: the database has no "
                         "rules version yet");
    return;
  }
  const bool in_force = carbonio::wait_until(kInForceWithin, kInterval, [&] {
    if (status.rules_version.value_or(-1) >= *now) return true;
    auto reread = policyd::read_status(file);
    if (reread && *reread) status = std::move(**reread);
    return false;
  });
  if (in_force) {
    findings.well(check::kDaemonRules, "the current rules are in force");
    return;
  }
  findings.wrong(problem::kOldRules,
                 fmt::format("the daemon uses version {} of the rules, the database has version {}",
                             status.rules_version.value_or(0), *now),
                 "the latest changes to limits are not in force", command(kRestart));
}

// What database trouble means for mail.
std::string effect_of_trouble(const policyd::Status& status, const DoctorQuestion& question) {
  if (status.rules_version) return "it counts in memory only";
  return question.daemon.config.bypass_mode == policyd::Bypass::tempfail
             ? "it could not read any limits, so ALL MAIL IS DEFERRED (bypass_mode=tempfail)"
             : "it could not read any limits, so all mail passes unlimited (bypass_mode=pass)";
}

// Requests that the daemon could not use: wrong if the last one was within a day.
void check_refused_requests(const policyd::RefusedRequests& refused, Findings& findings) {
  constexpr const char* kCheck = "daemon.requests";
  if (refused.count == 0 || refused.last_at + std::chrono::hours{24} < policyd::wall_clock()) {
    findings.well(kCheck, "the daemon could use all requests of the last 24 hours");
    return;
  }
  const auto last_at = std::chrono::system_clock::to_time_t(refused.last_at);
  findings.wrong(problem::kRefusedRequests,
                 fmt::format("requests that the daemon could not use since its start: {}; the "
                             "last, at {:%Y-%m-%d %H:%M:%S}: {}",
                             refused.count, fmt::localtime(last_at), escaped(refused.last)),
                 "Postfix defers such mail, and nothing is counted",
                 advice("find the program that sent it by the address above; only Postfix should "
                        "connect to this port; then: carbonio-limits service restart"));
}

void check_status(const policyd::Status& status, const fs::path& file, sqlite3* db,
                  const DoctorQuestion& question, Findings& findings) {
  findings.well(check::kDaemonRunning,
                fmt::format("cbpolicyd {} is running (pid {}), {} since its start", status.version,
                            status.pid, counted(status.requests, "request")));
  if (status.trouble) {
    findings.wrong(
        problem::kTrouble,
        fmt::format("the daemon cannot use its database: {}; not stored yet: {}",
                    escaped(status.trouble->what), counted(status.trouble->unstored, "counter")),
        effect_of_trouble(status, question),
        advice("fix the database (see above); the daemon tries again each second"));
  } else {
    findings.well(check::kDaemonTrouble, "the daemon can store its counters");
  }
  if (status.lost_log_lines > 0) {
    findings.wrong(
        problem::kLostLines,
        fmt::format("the daemon cannot write its log: {}; lines lost so far: {}",
                    escaped(status.lost_log_why), status.lost_log_lines),
        "refusals are not logged",
        advice(fmt::format("free space there (df -h {}); the daemon writes again by "
                           "itself",
                           escaped(question.daemon.config.log_file.parent_path().string()))));
  }
  check_refused_requests(status.refused_requests, findings);
  std::error_code code;
  if (!fs::equivalent(status.database, question.daemon.config.database, code)) {
    findings.wrong(problem::kOtherDatabase,
                   fmt::format("the daemon uses another database, {}", escaped(status.database)),
                   "limits in this database are not in force", command(kRestart));
  } else if (db != nullptr) {
    check_rules_in_force(file, status, db, question, findings);
  }
  const std::vector<std::string> wanted = policyd::module_names(question.daemon.config);
  if (question.daemon.read && wanted != status.modules) {
    findings.wrong(problem::kOtherModules,
                   fmt::format("the daemon's modules are {}, the configuration has {}",
                               status.modules.empty() ? "none" : join_with_and(status.modules),
                               wanted.empty() ? "none" : join_with_and(wanted)),
                   "the configuration was changed and is not in force yet",
                   command("carbonio-limits service reload"));
  }
}

// A process that wrote the pid file but no status: the Perl daemon, or one that hangs.
bool runs_by_pid_file(const fs::path& file) {
  const auto pid = carbonio::read_pid_file(file);
  return pid && (::kill(*pid, 0) == 0 || errno == EPERM);
}

}  // namespace

void check_daemon(const DoctorQuestion& question, sqlite3* db, Findings& findings) {
  const policyd::Config& config = question.daemon.config;
  check_config(question, findings);
  if (!question.daemon.read) {
    findings.not_checked(check::kDaemonRunning,
                         "whether the daemon is running and answers: its address is "
                         "in the configuration");
    return;
  }
  check_pause(config, findings);
  const fs::path file = policyd::status_file_of(config.pid_file);
  // In this order: a daemon that answers has written its status.
  const auto answer = carbonio::probe_daemon(config, kAnswerWithin);
  const auto status = policyd::read_status(file);
  if (!status) {
    findings.not_checked("daemon.status", status.error().message);
  } else if (*status) {
    check_status(**status, file, db, question, findings);
  } else if (runs_by_pid_file(config.pid_file)) {
    findings.wrong(problem::kOtherProgram, "the policy daemon that is running has no status file",
                   "it is another program (the Perl daemon?) or cannot write the file; its limits "
                   "may not be exact",
                   command(kRestart));
  } else if (answer) {
    findings.wrong(problem::kForeignProgram,
                   fmt::format("another program answers on {}", address_of(config)),
                   "it has neither our pid file nor a status file, so its limits are not these",
                   advice(fmt::format("stop it ('ss -ltnp' shows who listens on port {}), then: "
                                      "carbonio-limits service start",
                                      config.port)));
  } else {
    findings.wrong(problem::kNotRunning, "the daemon is not running",
                   "if Postfix asks the closed port, it answers 451 to all mail; if it does not "
                   "ask, nothing is limited",
                   command(kStart));
  }
  if (answer) {
    findings.well(check::kDaemonAnswers,
                  fmt::format("the daemon answers on {}", address_of(config)));
  } else if (!findings.is_wrong(check::kDaemonRunning)) {
    findings.wrong(problem::kNoAnswer,
                   fmt::format("the daemon does not answer on {}: {}", address_of(config),
                               answer.error().message),
                   "Postfix answers 451 to all mail", command(kRestart));
  }
  check_writable(config.log_file, problem::kLog, "the log", "refusals are not logged", question,
                 findings);
  check_writable(config.pid_file, problem::kPidFile, "the pid file",
                 "Carbonio's programs cannot see that it is running, and this command cannot "
                 "read its status",
                 question, findings);
}

}  // namespace limits
