// SPDX-License-Identifier: AGPL-3.0-only
// `disable`: switches the policy service off, in Carbonio and on this host. The daemon is stopped
// only once Postfix no longer asks it, so no mail is deferred.
#include <fmt/core.h>

#include <array>
#include <string>
#include <vector>

#include "daemon/base/shell_words.hpp"
#include "hooks/carbonio/policy_attributes.hpp"
#include "hooks/service/service.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/host/host_service.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/postfix/stop_asking.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Entry;
using carbonio::EntryResult;

constexpr std::array<Option, 5> kDisableOptions = {{
    kServerOption,
    kAllMtaOption,
    {"dry-run", "", "print the commands without running them"},
    kProvTimeoutOption,
    kRewriteTimeoutOption,
}};

void print_disabling(const carbonio::Directory& directory, const Entry* here,
                     const HostService& host, const carbonio::Configd& configd, Context& context) {
  const auto changes = carbonio::disabling();
  std::vector<std::string> commands = commands_for(directory, changes);
  if (here != nullptr && !carbonio::command_for(*here, directory.global, changes).empty()) {
    commands.push_back(rewrite_as_typed(configd, "cbpolicyd mta"));
  }
  if (here != nullptr && !host.is_stopped()) {
    commands.push_back(context.advice.complete("carbonio-limits service stop"));
    commands.push_back(fmt::format(
        "rm -f {}", policyd::shell_word(carbonio::enabled_mark(context.zextras_home).string())));
  }
  print_dry_run(commands, context.output);
}

// Sync, which unlocks accounts once their blocks are over, runs only while the service is on.
void note_locked_accounts(const Arguments& arguments, Context& context) {
  std::vector<std::string> locked;
  const auto read = with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        const auto blocks = read_blocks(tables);
        if (!blocks) return tl::unexpected{blocks.error()};
        for (const StoredBlock& each : *blocks) {
          if (each.block.account.empty()) continue;
          locked.push_back(fmt::format("'{}'", unblock_command(each.block)));
        }
        return {};
      });
  // Without a database there are no blocks; doctor reports one that cannot be read.
  if (!read || locked.empty()) return;
  const bool one = locked.size() == 1;
  context.output.note(context.advice.complete(fmt::format(
      "{} locked while the service is off, also when the block is over; {} {}.",
      one ? "an account that a block has locked stays" : "accounts that blocks have locked stay",
      join_with_and(locked), one ? "unlocks it" : "unlock them")));
}

Outcome disable_servers(const ThisCarbonio& carbonio, const carbonio::Directory& directory,
                        const Entry* here, const HostService& host, Context& context) {
  StepReport steps{context.output};
  const auto changes = carbonio::disabling();
  const auto all = carbonio::change_all(carbonio.prov, directory, changes);
  Outcome changed = report_changes(all, steps);
  std::vector<std::string> others;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool done = all[i].state == EntryResult::State::done;
    if (&directory.entries[i] != here) {
      if (done) others.push_back(shown_name(all[i].name));
      continue;
    }
    if (!done && all[i].state != EntryResult::State::unchanged) continue;
    auto stopped = host.leave_postfix(done, steps);
    if (stopped) stopped = host.stop(steps);
    if (!stopped) {
      return failed(changed
                        ? stopped.error().message
                        : fmt::format("{}; {}", stopped.error().message, changed.error().message));
    }
  }
  if (!changed) return changed;
  context.output.line(steps.any_done() ? "The policy service is switched off; its database is kept."
                                       : "Nothing to change: the policy service is already off.");
  if (!others.empty()) {
    context.output.note(
        fmt::format("on {} this changed only the attribute; also run 'carbonio-limits disable' "
                    "there",
                    join_with_and(others)));
  }
  return {};
}

// Without Carbonio Postfix's configuration is the admin's: as long as it asks the daemon, this says
// how to change it, and changes nothing.
Outcome disable_without_carbonio(const Arguments& arguments, Context& context) {
  if (arguments.has("server") || arguments.has("all-mta")) {
    return wrong_use("this host has no Carbonio, so --server and --all-mta cannot be used");
  }
  const auto daemon = find_database(std::nullopt, context.zextras_home);
  if (!daemon) return failed(daemon.error());
  const PostfixFacts facts = read_postfix(context.zextras_home, context.search_path, std::nullopt);
  const std::string again = context.advice.complete("carbonio-limits disable");
  if (facts.why_not.empty() && asks_us(facts, daemon->config)) {
    const auto commands = stop_asking_commands(facts, policy_service_names(daemon->config));
    if (commands.empty()) {
      return failed(fmt::format(
          "Postfix asks the daemon, and would answer 451 to all mail without it; nothing was "
          "changed: remove its check_policy_service from Postfix's configuration, run 'postfix "
          "reload', and run '{}' again",
          again));
    }
    context.output.line(
        "Postfix asks the daemon, and would answer 451 to all mail without it. Run:");
    for (const std::string& command : commands) context.output.line("  " + escaped(command));
    context.output.line("  postfix reload");
    context.output.line("  " + again);
    return failed("nothing was changed: Postfix still asks the daemon; see above");
  }
  const HostService host{context, {}};
  if (arguments.has("dry-run")) {
    std::vector<std::string> commands;
    if (!host.is_stopped()) {
      commands.push_back(context.advice.complete("carbonio-limits service stop"));
      commands.push_back(fmt::format(
          "rm -f {}", policyd::shell_word(carbonio::enabled_mark(context.zextras_home).string())));
    }
    print_dry_run(commands, context.output);
    return {};
  }
  StepReport steps{context.output};
  auto left = host.leave_postfix(false, steps);
  if (left) left = host.stop(steps);
  if (!left) return failed(left.error());
  context.output.line(steps.any_done()
                          ? "The policy daemon is stopped; its database is kept."
                          : "Nothing to change: the policy daemon is already stopped.");
  return {};
}

Outcome run_disable(const Arguments& arguments, Context& context) {
  if (!carbonio::is_carbonio(context.zextras_home)) {
    return disable_without_carbonio(arguments, context);
  }
  const auto task = server_task(arguments, context);
  if (!task) return tl::unexpected{task.error()};
  const auto answers = ask_about(*task, {carbonio::kServicesAttribute}, carbonio::Inherited::with);
  if (!answers) return tl::unexpected{answers.error()};
  const Entry* here = entry_of(answers->directory, task->carbonio.server);
  const HostService host{context, task->configd};
  if (!arguments.has("dry-run")) {
    auto done = disable_servers(task->carbonio, answers->directory, here, host, context);
    if (done && here != nullptr) note_locked_accounts(arguments, context);
    return done;
  }
  print_disabling(answers->directory, here, host, task->configd, context);
  if (here != nullptr) note_locked_accounts(arguments, context);
  return {};
}

}  // namespace

const Command kDisable = {
    "disable",
    "[--server HOST... | --all-mta] [--dry-run] [--prov-timeout SECONDS] "
    "[--rewrite-timeout SECONDS]",
    "Switch the policy service off",
    "Removes cbpolicyd from zimbraServiceEnabled and waits until Postfix no longer asks the "
    "daemon; then stops the service on this host, which no longer starts at boot. If Postfix keeps "
    "asking, the service keeps running: without it Postfix would defer all mail. Database and "
    "limits are kept. A note names the accounts that a block has locked, since 'sync' no longer "
    "runs.\n"
    "On a host without Carbonio it stops the service, unless Postfix asks it: then it prints the "
    "commands that change that, and changes nothing. To let all mail pass for a while, use pause.",
    "disable --dry-run\n"
    "disable",
    kDisableOptions,
    0,
    run_disable};

}  // namespace limits
