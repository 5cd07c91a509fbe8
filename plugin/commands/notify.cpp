// SPDX-License-Identifier: AGPL-3.0-only
// `notify`: has the admin told what limits do, by mail or by a program.
#include <fmt/core.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/base/shell_words.hpp"
#include "daemon/config/notice_command.hpp"
#include "daemon/config/time_of_day.hpp"
#include "hooks/service/service.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/config_section.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/database/own_config.hpp"
#include "plugin/doctor/examine.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/notify/due_notices.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/notify/send_notice.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::array<Option, 5> kNotifyOptions = {{
    {"to", "ADDRESS", "send notices to these mail addresses, and a test notice", true},
    {"command", "PROGRAM",
     "give notices as JSON to this program, an absolute path with its words, and a test notice"},
    {"report", "HH:MM",
     "send a report each day at this time, and one now as a test; off: no longer"},
    {"off", "", "stop sending notices and reports"},
    {"due", "", "send what is due: run each minute by carbonio-limits-notify.timer or by cron"},
}};

constexpr std::chrono::seconds kTimerWithin{30};

// The timer begins to run only if the file of notices exists; without systemd cron looks for that.
policyd::Result<void> set_timer(const Context& context, const char* verb) {
  const fs::path systemctl = carbonio::systemctl_knowing(kNotifyTimer, context.zextras_home);
  if (systemctl.empty()) return {};
  const auto done = carbonio::run_program(
      {{systemctl.string(), "--no-ask-password", verb, kNotifyTimer}, kTimerWithin});
  if (done && done->status == 0) return {};
  return policyd::failure(fmt::format(
      "systemctl {} {}: {}; run this command as root", verb, kNotifyTimer,
      done ? fmt::format("failed with status {}", done->status) : done.error().message));
}

policyd::Result<void> edit_notify_section(
    const DaemonConfig& daemon, const std::function<std::string(std::string_view)>& edit) {
  const fs::path file = policyd::own_config_of(daemon.file);
  const auto owner = AsOwner::of(file);
  if (!owner) return tl::unexpected{owner.error()};
  return edit_own_config(
      file, [&](std::string_view text) -> policyd::Result<std::string> { return edit(text); });
}

// " by /usr/sbin/sendmail"
std::string sent_by(const DaemonConfig& daemon, const Context& context) {
  if (daemon.config.notify_to.empty()) return {};
  return " by " + escaped(sendmail_program(daemon.config, context.zextras_home).string());
}

std::string recipients_of(const DaemonConfig& daemon) {
  std::vector<std::string> all = daemon.config.notify_to;
  if (!daemon.config.notify_command.empty()) {
    all.push_back("the program " + escaped(daemon.config.notify_command));
  }
  return join_with_and(all);
}

// What doctor finds, for the report.
std::vector<NoticeItem> problems_found(const DaemonConfig& daemon, const Context& context) {
  DoctorQuestion question;
  question.zextras_home = context.zextras_home;
  question.daemon = daemon;
  question.search_path = context.search_path;
  const auto findings = examine(question);
  std::vector<NoticeItem> out;
  if (!findings) {
    out.push_back({findings.error().message + ".", {}});
    return out;
  }
  for (const Finding& finding : findings->all()) {
    if (finding.health != Health::wrong) continue;
    NoticeItem item{fmt::format("{}; {}.", finding.what, finding.why), {}};
    const std::string fix = context.advice.complete(finding.fix.text);
    if (finding.fix.is_command) {
      item.commands.emplace_back("To fix it", fix);
    } else {
      item.text += fmt::format(" To fix it: {}.", fix);
    }
    out.push_back(std::move(item));
  }
  return out;
}

// The keys of [notify] that the options set.
tl::expected<SectionKeys, Failure> notify_keys(const Arguments& arguments) {
  constexpr std::size_t kMaxAddresses = 10;
  SectionKeys keys;
  const auto addresses = arguments.values("to");
  for (const std::string& address : addresses) {
    if (!policyd::is_notice_address(address)) {
      return wrong_use(fmt::format(
          "not a valid mail address: '{}'; give one such as admin@example.org", shown(address)));
    }
    keys["to"] += (keys["to"].empty() ? "" : " ") + address;
  }
  if (addresses.size() > kMaxAddresses) {
    return wrong_use(fmt::format("--to takes at most {} addresses", kMaxAddresses));
  }
  if (const auto program = arguments.value("command")) {
    if (!policyd::split_shell_words(*program, policyd::HashMark::text)) {
      return wrong_use(fmt::format(
          "not a valid program: '{}'; the closing quotation mark is missing", shown(*program)));
    }
    if (!policyd::notice_command_words(*program) || !policyd::is_printable(*program)) {
      return wrong_use(fmt::format("not a valid program: '{}'; give an absolute path, with words",
                                   shown(*program)));
    }
    keys["command"] = *program;
  }
  if (const auto time = arguments.value("report")) {
    if (*time != "off" && !policyd::is_time_of_day(*time)) {
      return wrong_use(fmt::format("not a valid time of day: '{}'; give one such as 07:00, or off",
                                   shown(*time)));
    }
    keys["report"] = *time == "off" ? std::string{} : *time;
  }
  return keys;
}

// Whether cbpolicyd.conf, or a second section of ours, does not say otherwise.
bool is_in_force(const SectionKeys& keys, const Arguments& arguments,
                 const policyd::Config& config) {
  const auto holds = [&](const char* key, const auto& value, const auto& wanted) {
    return !keys.contains(key) || value == wanted;
  };
  return holds("to", config.notify_to, arguments.values("to")) &&
         holds("command", config.notify_command, arguments.value("command").value_or("")) &&
         holds("report", config.notify_report,
               keys.contains("report") ? keys.at("report") : std::string{});
}

Outcome switch_notices_on(const Arguments& arguments, const Context& context) {
  const auto keys = notify_keys(arguments);
  if (!keys) return tl::unexpected{keys.error()};
  const DaemonConfig before = find_daemon_config(std::nullopt, context.zextras_home);
  if (!before.read) {
    return failed(why_not_with_advice(before));
  }
  const bool to_others = keys->contains("to") || keys->contains("command");
  if (!to_others && recipients_of(before).empty()) {
    return wrong_use("there is no one to send a report to; give --to ADDRESS as well");
  }
  auto written = edit_notify_section(
      before, [&](std::string_view text) { return with_section_keys(text, "notify", *keys); });
  if (!written) return unchanged(written.error());
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  if (!daemon.read || !is_in_force(*keys, arguments, daemon.config)) {
    return failed(
        fmt::format("section [notify] of {} or carbonio-limits.conf beside it sets other "
                    "values; correct it by hand",
                    daemon.file.string()));
  }
  if (auto begun = begin_notices(daemon, context); !begun) return failed(begun.error());
  if (auto timer = set_timer(context, "start"); !timer) return failed(timer.error());
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  Output output = context.output;
  const auto not_sent = [](const char* on, const char* what, const NotSent& error) {
    const std::string why = error.only_program
                                ? fmt::format("{}; the mail was sent, but the program failed", on)
                                : fmt::format("{}, but the {} was not sent", on, what);
    return failed(
        fmt::format("{}: {}; fix that and run the command again, or 'carbonio-limits notify --off'",
                    why, error.message));
  };
  if (to_others) {
    if (auto sent = send_notice_to_try(daemon, context); !sent) {
      return not_sent("notices are on", "test notice", sent.error());
    }
    output.line(
        fmt::format("Notices go to {}. A test notice was sent{}; check whether it has arrived.",
                    recipients_of(daemon), sent_by(daemon, context)));
  }
  if (!keys->contains("report")) return {};
  if (daemon.config.notify_report.empty()) {
    output.line("The daily report is off.");
    return {};
  }
  if (auto sent =
          send_report_to_try(daemon, context, [&] { return problems_found(daemon, context); });
      !sent) {
    return not_sent("the daily report is on", "test report", sent.error());
  }
  output.line(
      fmt::format("A report goes to {} each day at {}. A report on the last 24 hours was sent now.",
                  recipients_of(daemon), daemon.config.notify_report));
  return {};
}

Outcome switch_notices_off(const Context& context) {
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  if (!daemon.read) return failed(daemon.why_not);
  Output output = context.output;
  const fs::path file = notice_state_file(context.zextras_home);
  std::error_code code;
  if (!fs::exists(file, code) && recipients_of(daemon).empty()) {
    output.line("Nothing to change: notices are off.");
    return {};
  }
  auto written = edit_notify_section(daemon, [](std::string_view text) {
    return without_section_keys(text, "notify", [](std::string_view key) {
      return equal_ignoring_case(key, "to") || equal_ignoring_case(key, "command") ||
             equal_ignoring_case(key, "report");
    });
  });
  if (!written) return unchanged(written.error());
  {
    const auto owner = AsOwner::of(daemon.config.database);
    if (!owner) return failed(owner.error());
    fs::remove(file, code);
    if (code) return failed(fmt::format("cannot remove {}: {}", file.string(), code.message()));
  }
  if (auto timer = set_timer(context, "stop"); !timer) return failed(timer.error());
  output.line("Notices are off.");
  return {};
}

Outcome show_notices(Context& context) {
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  if (!daemon.read) return failed(daemon.why_not);
  const auto state = read_notice_state(notice_state_file(context.zextras_home));
  if (!state) return failed(state.error());
  Output& output = context.output;
  if (!*state || recipients_of(daemon).empty()) {
    output.line("Notices are off; 'carbonio-limits notify --to ADDRESS' switches them on.");
    return {};
  }
  output.line(fmt::format("Notices go to {}, at most one per {}{}.", recipients_of(daemon),
                          period_text(daemon.config.notify_every),
                          daemon.config.notify_report.empty()
                              ? std::string{}
                              : ", and a report each day at " + daemon.config.notify_report));
  for (const auto& [name, channel] : (*state)->channels) {
    if (!channel.at) continue;
    const std::string what = name == "mail" ? "mail" : "the program";
    if (channel.problem.empty()) {
      output.line(
          fmt::format("The last one by {} was sent {}.", what, local_time_text(*channel.at)));
    } else {
      output.line(fmt::format("The last one by {} was not sent ({}): {}", what,
                              local_time_text(*channel.at), escaped(channel.problem)));
    }
  }
  const auto stalled = stalled_since(notice_state_file(context.zextras_home), context.now);
  if (stalled) {
    output.note(
        fmt::format("Nothing has run 'carbonio-limits notify --due' since {}; "
                    "'carbonio-limits doctor' shows what fixes it.",
                    local_time_text(*stalled)));
  }
  return {};
}

Outcome run_notify(const Arguments& arguments, Context& context) {
  const bool on = arguments.has("to") || arguments.has("command") || arguments.has("report");
  if (static_cast<int>(on) + static_cast<int>(arguments.has("off")) +
          static_cast<int>(arguments.has("due")) >
      1) {
    return wrong_use("use only one of --off, --due, and --to, --command or --report");
  }
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(
        "notify does not accept --database: the daemon's configuration names the database");
  }
  if (on) return switch_notices_on(arguments, context);
  if (arguments.has("off")) return switch_notices_off(context);
  if (!arguments.has("due")) return show_notices(context);
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  return send_due_notices(daemon, context, [&] { return problems_found(daemon, context); });
}

}  // namespace

const Command kNotify = {
    "notify",
    "[[--to ADDRESS...] [--command PROGRAM] [--report HH:MM] | --off | --due]",
    "Send notices and reports by mail",
    "Off until --to, which writes section [notify] of carbonio-limits.conf and sends a test "
    "mail. From then on the first refusal of a sender is reported within two minutes, and further "
    "ones at most once an hour ([notify] every), however many there are: the top ten, each with "
    "the command that clears its counter and the one that stops the sender. A sender who continues "
    "to be refused is reported once a day. The same mail has counters that are nearly used up "
    "([notify] "
    "near), and what limits with verdict none would have refused.\n"
    "What is wrong with the service is reported within ten minutes, and so is its end: all mail "
    "deferred, no daemon, database trouble, Postfix that does not ask, a cluster that is lost; so "
    "are limits that were changed by hand.\n"
    "--report adds a mail a day: what doctor finds, what was refused, nearly used up or watched, "
    "and who sent most, beside the same day a week before, and who changed what. If there is "
    "nothing to tell, it is one line, or is not sent ([notify] report_always).\n"
    "Mail goes by the local sendmail program, which no limit counts; with --command a program gets "
    "each notice as JSON on standard input, instead or as well. Both have 20 seconds; what cannot "
    "be sent is tried again with the next notice. Without an option: shows whom notices go to, and "
    "whether the last one was sent.",
    "notify --to admin@example.org\n"
    "notify --report 07:00\n"
    "notify\n"
    "notify --off",
    kNotifyOptions,
    0,
    run_notify,
    Takes::other,
    {},
    false};

}  // namespace limits
