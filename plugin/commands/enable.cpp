// SPDX-License-Identifier: AGPL-3.0-only
// `enable`: switches the policy service on, in Carbonio and on this host. The daemon is started
// before Postfix begins to ask it: if it cannot start, no mail is deferred.
#include "hooks/carbonio/policy_attributes.hpp"

#include <fmt/core.h>

#include <array>

#include "daemon/base/shell_words.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/host/group_sync.hpp"
#include "plugin/host/host_service.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Entry;
using carbonio::EntryResult;
using carbonio::ModuleSwitch;

constexpr std::array<Option, 10> kEnableOptions = {{
    kServerOption,
    kAllMtaOption,
    {"greylisting", "", "also switch on Greylisting"},
    {"access-control", "", "also switch on AccessControl"},
    {"check-helo", "", "also switch on CheckHelo"},
    {"check-spf", "", "also switch on CheckSPF"},
    {"accounting", "", "also switch on Accounting"},
    {"dry-run", "", "print the commands without running them"},
    kProvTimeoutOption,
    kRewriteTimeoutOption,
}};

std::vector<ModuleSwitch> modules_of(const Arguments& arguments) {
  std::vector<ModuleSwitch> out = {carbonio::kQuotasSwitch};
  for (const ModuleSwitch& module : carbonio::kOtherModules) {
    if (arguments.has(std::string{module.option})) out.push_back(module);
  }
  return out;
}

std::vector<std::string> attributes_of(const std::vector<carbonio::AttributeChange>& changes) {
  std::vector<std::string> out;
  out.reserve(changes.size());
  for (const carbonio::AttributeChange& change : changes) out.push_back(change.attribute);
  return out;
}

Outcome check_all_are_mta(const carbonio::Directory& directory) {
  for (const Entry& entry : directory.entries) {
    if (entry.attributes.has(carbonio::kServicesAttribute, carbonio::kMtaService)) continue;
    return failed(
        fmt::format("{} is not an MTA host: its {} lacks {}; nothing was changed (choose MTA hosts "
                    "with --server or --all-mta)",
                    shown_name(entry.name), carbonio::kServicesAttribute, carbonio::kMtaService));
  }
  return {};
}

void print_others(const std::vector<std::string>& others, bool and_here, Context& context) {
  if (others.empty()) return;
  context.output.note(fmt::format(
      "on {} this changes only the attributes. If the daemon does not run there yet, Postfix "
      "then defers all mail: run 'carbonio-limits enable' there, preferably first. To copy the "
      "limits: {} | ssh {} carbonio-limits import -",
      join_with_and(others), context.advice.complete("carbonio-limits export"),
      policyd::shell_word(others.front())));
  const std::size_t hosts = others.size() + (and_here ? 1 : 0);
  const bool shared =
      !find_daemon_config(std::nullopt, context.zextras_home).config.cluster_url.empty();
  if (hosts > 1 && !shared) {
    context.output.note(context.advice.complete(fmt::format(
        "each MTA host counts separately: {0} hosts are {0} counts. To make them one "
        "by Redis or Valkey, on each of them: carbonio-limits cluster join redis://HOST",
        hosts)));
  }
}

class Enabling {
 public:
  Enabling(const Arguments& arguments, Context& context, ServerTask task)
      : arguments_(arguments),
        context_(context),
        task_(std::move(task)),
        host_(context, task_.configd),
        modules_(modules_of(arguments)),
        changes_(carbonio::enabling(modules_)),
        steps_(context.output) {}

  Outcome run() {
    auto answers = ask_about(
        task_, attributes_of(changes_), carbonio::Inherited::with,
        carbonio::group_questions(task_.carbonio.server, networks_wanted(context_.zextras_home)));
    if (!answers) return tl::unexpected{answers.error()};
    if (auto mta = check_all_are_mta(answers->directory); !mta) return mta;
    const auto wanted = carbonio::wanted_in(answers->more);
    if (!wanted) return unchanged(wanted.error());
    const Entry* here = entry_of(answers->directory, task_.carbonio.server);
    if (arguments_.has("dry-run")) return dry_run(answers->directory, here, *wanted);
    return change(answers->directory, here, *wanted);
  }

 private:
  Outcome dry_run(const carbonio::Directory& directory, const Entry* here,
                  const carbonio::WantedMembers& wanted) {
    std::vector<std::string> commands;
    if (here != nullptr) {
      auto needed = host_.commands_for(wanted);
      if (!needed) return failed(needed.error());
      for (const std::string& command : *needed) {
        commands.push_back(context_.advice.complete(command));
      }
    }
    for (std::string& command : commands_for(directory, changes_)) {
      commands.push_back(std::move(command));
    }
    if (here != nullptr && (!host_.attributes_applied(modules_) ||
                            !carbonio::command_for(*here, directory.global, changes_).empty())) {
      commands.push_back(rewrite_as_typed(task_.configd, "cbpolicyd mta"));
    }
    print_dry_run(commands, context_.output);
    std::vector<std::string> others;
    for (const Entry& entry : directory.entries) {
      if (&entry != here) others.push_back(shown_name(entry.name));
    }
    print_others(others, here != nullptr, context_);
    return {};
  }

  Outcome change(const carbonio::Directory& directory, const Entry* here,
                 const carbonio::WantedMembers& wanted) {
    if (here != nullptr) {
      if (auto done = prepare(wanted); !done) {
        return failed(fmt::format(
            "{}; no attribute was changed{}", done.error().message,
            host_.was_on() ? ", but Postfix may already ask the daemon and then defers all mail: "
                             "'carbonio-limits disable' stops that"
                           : ", so mail flow is unaffected"));
      }
    }
    const auto all = carbonio::change_all(task_.carbonio.prov, directory, changes_);
    Outcome changed = report_changes(all, steps_);
    std::vector<std::string> others;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool done = all[i].state == EntryResult::State::done;
      const bool applied = done || all[i].state == EntryResult::State::unchanged;
      if (&directory.entries[i] != here) {
        if (applied) others.push_back(shown_name(all[i].name));
        continue;
      }
      if (!applied) continue;
      host_.apply_attributes(modules_, done, steps_);
      host_.verify(steps_);
    }
    if (changed && !steps_.any_wrong()) conclude(here != nullptr);
    print_others(others, here != nullptr, context_);
    if (!changed) return changed;
    if (!steps_.any_wrong()) return {};
    return failed(
        "some steps failed (see PROBLEM above); fix them and rerun the command, or run "
        "'carbonio-limits doctor'");
  }

  policyd::Result<void> prepare(const carbonio::WantedMembers& wanted) {
    auto done = host_.ensure_configuration(steps_);
    if (done) done = host_.ensure_delimiter(steps_);
    if (done) done = host_.ensure_database(wanted, steps_, context_.output);
    if (done) done = host_.start(steps_);
    return done;
  }

  void conclude(bool here) {
    const char* done = here ? "The policy service is switched on."
                            : "The attributes are set: the policy service is switched on there.";
    const char* unchanged = here ? "Nothing to change: the policy service is already on."
                                 : "Nothing to change: the attributes are already set.";
    context_.output.line(steps_.any_done() ? done : unchanged);
    if (!here || !steps_.any_done()) return;
    context_.output.line(context_.advice.complete(
        "Next: 'carbonio-limits send 100/h' limits each user of this server to 100 an hour."));
  }

  const Arguments& arguments_;
  Context& context_;
  ServerTask task_;
  HostService host_;
  std::vector<ModuleSwitch> modules_;
  std::vector<carbonio::AttributeChange> changes_;
  StepReport steps_;
};

Outcome run_enable(const Arguments& arguments, Context& context) {
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(
        "enable does not accept --database: the daemon's configuration names the database");
  }
  auto task = server_task(arguments, context);
  if (!task) return tl::unexpected{task.error()};
  return Enabling{arguments, context, std::move(*task)}.run();
}

}  // namespace

const Command kEnable = {
    "enable",
    "[--server HOST... | --all-mta] [--greylisting] [--access-control] [--check-helo] "
    "[--check-spf] [--accounting] [--dry-run] [--prov-timeout SECONDS] [--rewrite-timeout SECONDS]",
    "Switch the policy service on",
    "On this host, which must be an MTA: creates the database if it is missing, with Carbonio's "
    "domains and networks in its groups; starts the service, now and at boot; switches the service "
    "and Quotas on in Carbonio (zimbraServiceEnabled, zimbraCBPolicydQuotasEnabled); has configd "
    "rewrite the configuration of the daemon and of Postfix; has the daemon use Postfix's "
    "recipient_delimiter (in carbonio-limits.conf); and checks the result. Only what "
    "differs is changed: running it again changes nothing.\n"
    "On other servers only the attributes can be set from here. Run it there, too, preferably "
    "first: Postfix defers all mail if it asks a daemon that does not run. Each MTA host counts "
    "separately, unless 'cluster join' makes them one.\n"
    "Failed steps are reported; rerun the command and it resumes where it stopped. Run it as root "
    "or as zextras.",
    "enable --dry-run\n"
    "enable\n"
    "enable --greylisting\n"
    "enable --all-mta",
    kEnableOptions,
    0,
    run_enable,
    Takes::other,
    {},
    false};

}  // namespace limits
