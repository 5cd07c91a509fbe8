// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/headlines.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "daemon/status/pause_file.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_process.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::Status;

using Kind = Headline::Kind;

std::optional<Headline> paused_line(const DaemonConfig& daemon, policyd::TimePoint now) {
  const auto pause = pause_in_force(daemon, now);
  if (!pause) return std::nullopt;
  return Headline{Kind::paused,
                  fmt::format("{}; 'carbonio-limits resume' ends the pause.", pause_text(*pause))};
}

// A row that the daemon cannot use, and that applies to all mail.
std::optional<Headline> all_mail_line(const Status& status) {
  if (status.all_mail_deferred.empty()) return std::nullopt;
  return Headline{Kind::all_mail,
                  fmt::format("{}; 'carbonio-limits doctor' shows the statement that fixes it, and "
                              "'carbonio-limits pause' lets mail pass until then.",
                              escaped(status.all_mail_deferred))};
}

// Postfix answers 451 itself if it asks a daemon that does not run.
std::optional<Headline> not_running_line(const DaemonConfig& daemon) {
  if (carbonio::find_daemon(daemon.file, daemon.config.pid_file)) return std::nullopt;
  return Headline{
      Kind::not_running,
      "The policy daemon is not running: no limit is in force, and Postfix answers 451 to all mail "
      "if it asks the daemon; 'carbonio-limits service start' starts it."};
}

std::optional<Headline> no_rules_line(const DaemonConfig& daemon, const Status& status) {
  if (!status.trouble || status.rules_version) return std::nullopt;
  const std::string why = escaped(status.trouble->what);
  if (daemon.config.bypass_mode == policyd::Bypass::pass) {
    return Headline{Kind::no_rules,
                    fmt::format("No limit is in force: the daemon could not read any limits ({}); "
                                "see 'carbonio-limits doctor'.",
                                why)};
  }
  return Headline{
      Kind::no_rules,
      fmt::format("ALL MAIL IS DEFERRED: the daemon could not read any limits ({}); see "
                  "'carbonio-limits doctor'. 'carbonio-limits pause' lets mail pass until that is "
                  "fixed.",
                  why)};
}

std::optional<Headline> quotas_line(const DaemonConfig& daemon,
                                    const std::optional<Status>& status) {
  const bool on = status ? std::find(status->modules.begin(), status->modules.end(), "Quotas") !=
                               status->modules.end()
                         : daemon.config.quotas;
  if (on) return std::nullopt;
  return Headline{Kind::quotas_off,
                  "Quotas is switched off: no limit is in force; see 'carbonio-limits doctor'."};
}

}  // namespace

std::string local_time_text(policyd::TimePoint time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}",
                     fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

std::optional<policyd::Pause> pause_in_force(const DaemonConfig& daemon, policyd::TimePoint now) {
  if (!daemon.configured || !daemon.read) return std::nullopt;
  const auto pause = policyd::read_pause(policyd::pause_file_of(daemon.config.pid_file));
  if (!pause || !*pause || !(*pause)->in_force(now)) return std::nullopt;
  return **pause;
}

std::string pause_text(const policyd::Pause& pause) {
  return fmt::format("Limits are paused until {}: all mail passes, and is {}",
                     local_time_text(pause.until), pause.counted ? "counted" : "not counted");
}

std::vector<Headline> headlines(const DaemonConfig& daemon, policyd::TimePoint now) {
  std::vector<Headline> out;
  if (!daemon.configured || !daemon.read) return out;
  const auto add = [&](std::optional<Headline> line) {
    if (line) out.push_back(std::move(*line));
  };
  add(paused_line(daemon, now));
  const bool paused = !out.empty();
  const auto status = policyd::read_status(policyd::status_file_of(daemon.config.pid_file));
  if (!status) return out;
  if (!*status) add(not_running_line(daemon));
  if (*status && !paused) {
    add(no_rules_line(daemon, **status));
    add(all_mail_line(**status));
  }
  add(quotas_line(daemon, *status));
  return out;
}

void print_headlines(const std::vector<Headline>& lines, const TypedAdvice& advice,
                     Output& output) {
  for (const Headline& line : lines) {
    print_wrapped(output, {"Warning: ", Colour::red}, {advice.complete(line.text)});
  }
  if (!lines.empty()) output.line("");
}

std::vector<std::string> texts_of(const std::vector<Headline>& lines) {
  std::vector<std::string> out;
  out.reserve(lines.size());
  for (const Headline& line : lines) out.push_back(line.text);
  return out;
}

}  // namespace limits
