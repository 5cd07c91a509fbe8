// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the daemon's configuration, its process and what it says of itself.
#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <thread>

#include "daemon/modules/make_modules.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kAnswerWithin{3};
// The daemon looks for changes each second, and says so a second later at most.
constexpr std::chrono::seconds kInForceWithin{4};
constexpr std::chrono::milliseconds kLookAgain{100};

std::string address_of(const policyd::Config& config) {
  if (config.unix_socket) return config.port;
  return fmt::format("{}:{}", config.host == "*" ? "localhost" : config.host, config.port);
}

void check_config(const DoctorQuestion& question, Findings& findings) {
  if (!question.daemon.read) {
    std::error_code code;
    const std::string file = question.daemon.file.string();
    findings.wrong("daemon.configuration",
                   fs::exists(file, code) ? question.daemon.why_not
                                          : fmt::format("there is no configuration {}", file),
                   "the daemon cannot start without it",
                   is_carbonio(question) ? "echo 'REWRITE cbpolicyd' | nc localhost 7171"
                                         : "write it; README.md has an example");
    return;
  }
  for (const std::string& warning : question.daemon.warnings) {
    findings.wrong("daemon.configuration", escaped(warning),
                   "the daemon does not do what that line was meant for",
                   fmt::format("mend the line, then: cbpolicyd --config {} --check-config",
                               question.daemon.file.string()));
  }
  findings.well_unless_wrong("daemon.configuration",
                             fmt::format("{} can be read", question.daemon.file.string()));
  if (question.daemon.config.quotas) {
    findings.well("daemon.quotas", "Quotas is switched on");
    return;
  }
  findings.wrong("daemon.quotas", "Quotas is switched off", "no limit is in force",
                 is_carbonio(question)
                     ? "carbonio-limits enable"
                     : fmt::format("enable=1 in section [Quotas] of {}, then restart the daemon",
                                   question.daemon.file.string()));
}

// Whether this user, who is the daemon's, may write it, or make it.
void check_writable(const fs::path& file, const char* check, const char* what, const char* why,
                    const DoctorQuestion& question, Findings& findings) {
  if (file.empty()) return;
  std::error_code code;
  const bool there = fs::exists(file, code);
  // A pid file is replaced: that takes the folder.
  const bool folder = !there || std::string_view{check} == "daemon.pid_file";
  const fs::path tried = folder ? file.parent_path() : file;
  if (::access(tried.c_str(), W_OK) == 0) {
    findings.well(check, fmt::format("{} {} can be written", what, file.string()));
    return;
  }
  const std::string& user = question.daemon.config.user;
  const std::string whom = user.empty() ? "USER" : user;
  findings.wrong(
      check, fmt::format("{} {} cannot be written by {}", what, file.string(), whom), why,
      fs::exists(tried, code) ? fmt::format("chown {} {}", whom, tried.string())
                              : fmt::format("install -d -o {} {}", whom, tried.string()));
}

// The rules in force are those of the database, perhaps in a moment.
void check_rules_in_force(const fs::path& file, policyd::Status status, sqlite3* db,
                          const DoctorQuestion& question, Findings& findings) {
  const auto now = policyd::read_rules_version(db, question.daemon.config.table_prefix);
  if (!now) {
    findings.not_checked("daemon.rules",
                         "whether the rules of now are in force: the database does "
                         "not count its changes yet");
    return;
  }
  const auto until = std::chrono::steady_clock::now() + kInForceWithin;
  while (status.rules_version.value_or(-1) < *now && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kLookAgain);
    auto again = policyd::read_status(file);
    if (again && *again) status = std::move(**again);
  }
  if (status.rules_version.value_or(-1) >= *now) {
    findings.well("daemon.rules", "the rules of now are in force");
    return;
  }
  findings.wrong("daemon.rules",
                 fmt::format("the daemon works with rules of version {}, the database has {}",
                             status.rules_version.value_or(0), *now),
                 "the latest changes to limits are not in force", kRestart);
}

// What its trouble with the database means for the mail.
std::string effect_of_trouble(const policyd::Status& status, const DoctorQuestion& question) {
  if (status.rules_version) return "it counts in memory only, and forgets that when it ends";
  return question.daemon.config.bypass_mode == policyd::Bypass::tempfail
             ? "it could not read any limits, so ALL MAIL IS DEFERRED (bypass_mode=tempfail)"
             : "it could not read any limits, so all mail passes unlimited (bypass_mode=pass)";
}

void check_status(const policyd::Status& status, const fs::path& file, sqlite3* db,
                  const DoctorQuestion& question, Findings& findings) {
  findings.well("daemon.running", fmt::format("cbpolicyd {} runs (pid {}), {} requests since it "
                                              "was started",
                                              status.version, status.pid, status.requests));
  if (status.trouble) {
    findings.wrong(
        "daemon.trouble",
        fmt::format("the daemon is in trouble with its database: {}; {} counters wait to "
                    "be stored",
                    escaped(status.trouble->what), status.trouble->unstored),
        effect_of_trouble(status, question),
        fmt::format("mend what is wrong with the database (above); the daemon tries again by "
                    "itself, every {} s where it has no limits",
                    question.daemon.config.bypass_timeout.count()));
  } else {
    findings.well("daemon.trouble", "it stores what it counts");
  }
  std::error_code code;
  if (!fs::equivalent(status.database, question.daemon.config.database, code)) {
    findings.wrong(
        "daemon.database",
        fmt::format("the daemon works on another database, {}", escaped(status.database)),
        "limits made here are not in force", kRestart);
  } else if (db != nullptr) {
    check_rules_in_force(file, status, db, question, findings);
  }
  std::vector<std::string> wanted;
  for (const auto& module : policyd::make_modules(question.daemon.config, nullptr)) {
    wanted.emplace_back(module->name());
  }
  if (question.daemon.read && wanted != status.modules) {
    findings.wrong("daemon.modules",
                   fmt::format("its modules are {}, the configuration says {}",
                               status.modules.empty() ? "none" : join_with_and(status.modules),
                               wanted.empty() ? "none" : join_with_and(wanted)),
                   "the configuration was changed and is not in force yet",
                   fmt::format("kill -HUP {}", status.pid));
  }
}

// A process that wrote the pid file, but no status: the Perl daemon, or one that is stuck.
bool runs_by_pid_file(const fs::path& file) {
  pid_t pid = 0;
  std::ifstream{file} >> pid;
  return pid > 1 && (::kill(pid, 0) == 0 || errno == EPERM);
}

}  // namespace

void check_daemon(const DoctorQuestion& question, sqlite3* db, Findings& findings) {
  const policyd::Config& config = question.daemon.config;
  check_config(question, findings);
  if (!question.daemon.read) {
    findings.not_checked("daemon.running",
                         "whether the daemon runs and answers: the configuration "
                         "says where it listens");
    return;
  }
  const fs::path file = policyd::status_file_of(config.pid_file);
  // In this order: a daemon that answers has written its status.
  const auto answer = carbonio::ask_daemon(config, kAnswerWithin);
  const auto status = policyd::read_status(file);
  if (!status) {
    findings.not_checked("daemon.status", status.error().message);
  } else if (*status) {
    check_status(**status, file, db, question, findings);
  } else if (answer || runs_by_pid_file(config.pid_file)) {
    findings.wrong("daemon.running", "a policy daemon runs that does not say what it does",
                   "it is another one (the Perl daemon?) or cannot write its status file, and its "
                   "limits may not mean what they say",
                   kRestart);
  } else {
    findings.wrong("daemon.running", "the daemon does not run",
                   "Postfix answers 451 to all mail where it asks a closed port, or nothing is "
                   "limited where it does not ask",
                   kStart);
  }
  if (answer) {
    findings.well("daemon.answers", fmt::format("it answers on {}", address_of(config)));
  } else if (!findings.is_wrong("daemon.running")) {
    findings.wrong(
        "daemon.answers",
        fmt::format("it does not answer on {}: {}", address_of(config), answer.error().message),
        "Postfix answers 451 to all mail", kRestart);
  }
  check_writable(config.log_file, "daemon.log", "the log", "nobody sees what it refuses", question,
                 findings);
  check_writable(config.pid_file, "daemon.pid_file", "the pid file",
                 "Carbonio's programs cannot see that it runs, and this command not what it does",
                 question, findings);
}

}  // namespace limits
