// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: whether notices that [notify] asks for are sent. Nothing where they are off.
#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "daemon/base/printable.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRunCheck = "notices.run";
constexpr const char* kSentCheck = "notices.sent";

// Switches on what [notify] says already, and sends one to try.
std::string switch_on(const policyd::Config& config) {
  std::string out = "carbonio-limits notify";
  if (!config.notify_to.empty()) out += " --to";
  for (const std::string& address : config.notify_to) out += " " + policyd::shell_word(address);
  if (!config.notify_command.empty()) {
    out += " --command " + policyd::shell_word(config.notify_command);
  }
  return out;
}

// As cron's line looks for it; without D-Bus systemctl answers root only, whom doctor no longer is.
bool has_timer() {
  std::error_code code;
  return fs::is_directory("/run/systemd/system", code) &&
         (fs::exists(fs::path{"/usr/lib/systemd/system"} / kNotifyTimer, code) ||
          fs::exists(fs::path{"/lib/systemd/system"} / kNotifyTimer, code));
}

Fix run_each_minute() {
  if (!has_timer()) {
    return advice("have cron run this each minute: carbonio-limits notify --due");
  }
  return advice(
      fmt::format("start the timer: systemctl start {}; if it is active, this shows why its "
                  "service fails: systemctl status carbonio-limits-notify.service",
                  kNotifyTimer));
}

}  // namespace

void check_notices(const DoctorQuestion& question, Findings& findings) {
  const policyd::Config& config = question.daemon.config;
  if (!question.daemon.read || (config.notify_to.empty() && config.notify_command.empty())) return;
  const auto file = notice_state_file(question.zextras_home);
  const auto state = read_notice_state(file);
  if (!state) {
    return findings.not_checked(kRunCheck,
                                fmt::format("whether notices are sent: {}", state.error().message));
  }
  if (!*state) {
    return findings.wrong(problem::kNoticesOff,
                          "section [notify] of carbonio-limits.conf names who gets notices, but "
                          "they were never switched on",
                          "no one is told what limits do", command(switch_on(config)));
  }
  if (const auto stalled = stalled_since(file, policyd::wall_clock())) {
    findings.wrong(problem::kNoticesStalled,
                   fmt::format("nothing has run 'carbonio-limits notify --due' since {}",
                               local_time_text(*stalled)),
                   "no one is told what limits do, or that they are not in force",
                   run_each_minute());
  } else {
    findings.well(kRunCheck, "notices are sent when they are due");
  }
  for (const auto& [name, channel] : (*state)->channels) {
    if (channel.problem.empty()) continue;
    findings.wrong(
        problem::kNoticesNotSent,
        fmt::format("the last notice was not sent: {}", policyd::printable(channel.problem)),
        "no one is told what limits do until it is",
        advice(fmt::format("correct that, then send a test notice: {}", switch_on(config))));
  }
  findings.well_unless_wrong(kSentCheck, "no notice failed to be sent");
}

}  // namespace limits
