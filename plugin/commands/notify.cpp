// SPDX-License-Identifier: AGPL-3.0-only
// `notify`: has the admin told what limits do, by mail or by a program.
#include <fmt/core.h>

#include <array>
#include <functional>
#include <string>
#include <system_error>

#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "hooks/service/service.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/config_section.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/database/own_config.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/notify/due_notices.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/notify/send_notice.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::array<Option, 4> kNotifyOptions = {{
    {"to", "ADDRESS", "send notices to these mail addresses, and one to try", true},
    {"command", "PROGRAM",
     "give notices as JSON to this program, an absolute path with its words, and one to try"},
    {"off", "", "stop sending notices"},
    {"due", "", "send what is due: run each minute by carbonio-limits-notify.timer or by cron"},
}};

constexpr const char* kNotifyTimer = "carbonio-limits-notify.timer";
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

std::string recipients_of(const DaemonConfig& daemon) {
  std::vector<std::string> all = daemon.config.notify_to;
  if (!daemon.config.notify_command.empty()) {
    all.push_back("the program " + escaped(daemon.config.notify_command));
  }
  return join_with_and(all);
}

Outcome switch_notices_on(const Arguments& arguments, const Context& context) {
  constexpr std::size_t kMaxAddresses = 10;
  constexpr std::size_t kMaxCommand = 1024;
  const auto addresses = arguments.values("to");
  for (const std::string& address : addresses) {
    if (!policyd::is_notice_address(address)) {
      return wrong_use(fmt::format(
          "not a valid mail address: '{}'; give one such as admin@example.org", shown(address)));
    }
  }
  if (addresses.size() > kMaxAddresses) {
    return wrong_use(fmt::format("--to takes at most {} addresses", kMaxAddresses));
  }
  SectionKeys keys;
  for (const std::string& address : addresses) keys["to"] += address + ' ';
  if (const auto program = arguments.value("command")) {
    if (!program->starts_with('/') || program->size() > kMaxCommand ||
        !policyd::is_printable(*program)) {
      return wrong_use(fmt::format("not a valid program: '{}'; give an absolute path, with words",
                                   shown(*program)));
    }
    keys["command"] = *program;
  }
  const DaemonConfig before = find_daemon_config(std::nullopt, context.zextras_home);
  if (!before.read) {
    return failed(fmt::format("{}; 'carbonio-limits enable' creates it", before.why_not));
  }
  auto written = edit_notify_section(
      before, [&](std::string_view text) { return with_section_keys(text, "notify", keys); });
  if (!written) return unchanged(written.error());
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  if (!daemon.read || daemon.config.notify_to != addresses) {
    return failed(
        fmt::format("section [notify] of {} or carbonio-limits.conf beside it also sets "
                    "'to'; correct it by hand",
                    daemon.file.string()));
  }
  if (auto begun = begin_notices(daemon, context); !begun) return failed(begun.error());
  if (auto timer = set_timer(context, "start"); !timer) return failed(timer.error());
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  if (auto sent = send_notice_to_try(daemon, context); !sent) {
    return failed(
        fmt::format("notices are on, but the one to try was not sent: {}; fix that and "
                    "run the command again, or 'carbonio-limits notify --off'",
                    sent.error().message));
  }
  Output output = context.output;
  output.line(fmt::format(
      "Notices go to {}. One to try was sent by {}; look whether it has arrived.",
      recipients_of(daemon), sendmail_program(daemon.config, context.zextras_home).string()));
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
      return equal_ignoring_case(key, "to") || equal_ignoring_case(key, "command");
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
  output.line(fmt::format("Notices go to {}, at most one per {}.", recipients_of(daemon),
                          period_text(daemon.config.notify_every)));
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
  return {};
}

Outcome run_notify(const Arguments& arguments, Context& context) {
  const int actions = static_cast<int>(arguments.has("to") || arguments.has("command")) +
                      static_cast<int>(arguments.has("off")) +
                      static_cast<int>(arguments.has("due"));
  if (actions > 1) return wrong_use("use only one of --off, --due, and --to or --command");
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(
        "notify does not accept --database: the daemon's configuration names the database");
  }
  if (arguments.has("to") || arguments.has("command")) return switch_notices_on(arguments, context);
  if (arguments.has("off")) return switch_notices_off(context);
  if (!arguments.has("due")) return show_notices(context);
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  return send_due_notices(daemon, context);
}

}  // namespace

const Command kNotify = {
    "notify",
    "[[--to ADDRESS...] [--command PROGRAM] | --off | --due]",
    "Be told by mail what limits do",
    "Off until --to, which writes section [notify] of carbonio-limits.conf and sends a mail to "
    "try. "
    "From then on the first refusal of a sender is told within two minutes, and further ones at "
    "most once an hour ([notify] every), however many there are: the top ten, each with the "
    "command "
    "that clears its counter and the one that stops the sender. A sender who continues to be "
    "refused is "
    "told "
    "once a day. The same mail has counters that are nearly used up ([notify] near), and what "
    "limits with verdict none would have refused.\n"
    "What is wrong with the service is told within ten minutes, and when it is over: all mail "
    "deferred, no daemon, database trouble, Postfix that does not ask, a cluster that is lost; so "
    "are limits that were changed by hand.\n"
    "Mail goes by the local sendmail program, which no limit counts; with --command a program gets "
    "each notice as JSON on standard input, instead or as well. Both have 20 seconds; what cannot "
    "be sent is tried again with the next notice. Without an option: "
    "shows whom notices go to, and whether the last one was sent.",
    "notify --to admin@example.org\n"
    "notify\n"
    "notify --off",
    kNotifyOptions,
    0,
    run_notify,
    Takes::other,
    {},
    false};

}  // namespace limits
