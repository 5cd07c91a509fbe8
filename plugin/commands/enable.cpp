// SPDX-License-Identifier: AGPL-3.0-only
// `enable`: the policy service on, in the directory and on this host. The daemon runs before
// anything has Postfix ask it: where it cannot be started no mail is deferred.
#include "hooks/carbonio/policy_attributes.hpp"

#include <fmt/core.h>

#include <array>

#include "plugin/cli/typed_advice.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/host/host_service.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Changed;
using carbonio::Entry;
using carbonio::ModuleSwitch;

constexpr std::array<Option, 10> kOptions = {{
    kServerOption,
    kAllMtaOption,
    {"greylisting", "", "switch on Greylisting, too"},
    {"access-control", "", "switch on AccessControl, too"},
    {"check-helo", "", "switch on CheckHelo, too"},
    {"check-spf", "", "switch on CheckSPF, too"},
    {"accounting", "", "switch on Accounting, too"},
    {"dry-run", "", "print the commands that would do it, and change nothing"},
    kProvTimeoutOption,
    kRewriteTimeoutOption,
}};

std::vector<ModuleSwitch> modules_of(const Arguments& arguments) {
  std::vector<ModuleSwitch> out = {carbonio::kQuotasSwitch};
  for (const ModuleSwitch& module : carbonio::other_modules()) {
    if (arguments.has(std::string{module.option})) out.push_back(module);
  }
  return out;
}

std::vector<std::string> attributes_of(const std::vector<carbonio::Wish>& wishes) {
  std::vector<std::string> out;
  out.reserve(wishes.size());
  for (const carbonio::Wish& wish : wishes) out.push_back(wish.attribute);
  return out;
}

Outcome all_are_mta(const carbonio::Directory& directory) {
  for (const Entry& entry : directory.entries) {
    if (entry.attributes.has(carbonio::kServicesAttribute, carbonio::kMtaService)) continue;
    return failed(
        fmt::format("{} is no MTA host: its {} does not have {}; nothing was changed (--server and "
                    "--all-mta name MTA hosts)",
                    shown_name(entry.name), carbonio::kServicesAttribute, carbonio::kMtaService));
  }
  return {};
}

void say_others(const std::vector<std::string>& others, bool and_here, const Arguments& arguments,
                Output& output) {
  if (others.empty()) return;
  output.note(fmt::format(
      "of {} only the attributes are set from here. Where the daemon does not run there yet, "
      "Postfix defers all mail then: run 'carbonio-limits enable' there, best before this. The "
      "limits go along by: {} | ssh {} carbonio-limits import -",
      join_with_and(others), with_place("carbonio-limits export", arguments), others.front()));
  if (others.size() + (and_here ? 1 : 0) > 1) {
    output.note(fmt::format("each MTA host counts by itself: {} hosts are {} counts.",
                            others.size() + (and_here ? 1 : 0),
                            others.size() + (and_here ? 1 : 0)));
  }
}

class Enabling {
 public:
  Enabling(const Arguments& arguments, Context& context, ThisCarbonio carbonio, Configd configd)
      : arguments_(arguments),
        context_(context),
        carbonio_(std::move(carbonio)),
        configd_(configd),
        host_(context, configd),
        modules_(modules_of(arguments)),
        wishes_(carbonio::enabling(modules_)),
        steps_(context.output) {}

  Outcome run(const carbonio::Selection& selection) {
    auto asked = ask_about(carbonio_, selection, attributes_of(wishes_), carbonio::Inherited::with,
                           carbonio::seed_questions(carbonio_.server));
    if (!asked) return tl::unexpected{asked.error()};
    if (auto mta = all_are_mta(asked->directory); !mta) return mta;
    const auto wanted = carbonio::wanted_in(asked->more);
    if (!wanted) {
      return failed(fmt::format("{}; nothing was changed", wanted.error().message));
    }
    const Entry* here = entry_of(asked->directory, carbonio_.server);
    if (arguments_.has("dry-run")) return dry_run(asked->directory, here, *wanted);
    return change(asked->directory, here, *wanted);
  }

 private:
  Outcome dry_run(const carbonio::Directory& directory, const Entry* here,
                  const carbonio::Wanted& wanted) {
    std::vector<std::string> commands;
    bool rewriting = here != nullptr && !host_.is_followed(modules_);
    if (here != nullptr) {
      auto to_be_done = host_.to_be_done(wanted);
      if (!to_be_done) return failed(to_be_done.error());
      for (const std::string& command : *to_be_done) {
        commands.push_back(with_place(command, arguments_));
      }
    }
    for (const Entry& entry : directory.entries) {
      const auto command = carbonio::changing(entry, directory.global, wishes_);
      if (command.empty()) continue;
      commands.push_back(carbonio::as_typed(command));
      rewriting = rewriting || &entry == here;
    }
    if (rewriting) commands.push_back(rewrite_as_typed(configd_, "cbpolicyd mta"));
    print_dry_run(commands, context_.output);
    std::vector<std::string> others;
    for (const Entry& entry : directory.entries) {
      if (&entry != here) others.push_back(shown_name(entry.name));
    }
    say_others(others, here != nullptr, arguments_, context_.output);
    return {};
  }

  Outcome change(const carbonio::Directory& directory, const Entry* here,
                 const carbonio::Wanted& wanted) {
    if (here != nullptr) {
      if (auto done = prepare(wanted); !done) {
        return failed(fmt::format(
            "{}; no attribute was changed{}", done.error().message,
            host_.was_on()
                ? ", but Postfix may ask it already, and defers all mail then: 'carbonio-"
                  "limits disable' ends that"
                : ", so mail flows as before"));
      }
    }
    const auto all = carbonio::change_all(carbonio_.prov, directory, wishes_);
    Outcome changed = say_changed(all, steps_);
    std::vector<std::string> others;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool done = all[i].state == Changed::State::done;
      const bool is_so = done || all[i].state == Changed::State::was_so;
      if (&directory.entries[i] != here) {
        if (is_so) others.push_back(shown_name(all[i].name));
        continue;
      }
      if (!is_so) continue;
      host_.follow(modules_, done, steps_);
      host_.verify(steps_);
    }
    if (changed && !steps_.any_wrong()) conclude(here != nullptr);
    say_others(others, here != nullptr, arguments_, context_.output);
    if (!changed) return changed;
    if (!steps_.any_wrong()) return {};
    return failed(
        "not all is as it should be, see what is WRONG above; mend it and give the same command "
        "again, or see 'carbonio-limits doctor'");
  }

  policyd::Result<void> prepare(const carbonio::Wanted& wanted) {
    auto done = host_.have_configuration(steps_);
    if (done) done = host_.have_database(wanted, steps_, context_.output);
    if (done) done = host_.start(steps_);
    return done;
  }

  void conclude(bool here) {
    const char* done = here ? "The policy service is switched on."
                            : "The attributes are set, by which the policy service is on there.";
    const char* was_so = here ? "Nothing to change: the policy service is on."
                              : "Nothing to change: the attributes are set.";
    context_.output.line(steps_.any_done() ? done : was_so);
    if (!here || !steps_.any_done()) return;
    context_.output.line(with_place(
        "Next: 'carbonio-limits send 100/h' limits each user of this server to 100 an hour.",
        arguments_));
  }

  const Arguments& arguments_;
  Context& context_;
  ThisCarbonio carbonio_;
  Configd configd_;
  HostService host_;
  std::vector<ModuleSwitch> modules_;
  std::vector<carbonio::Wish> wishes_;
  StepReport steps_;
};

Outcome run(const Arguments& arguments, Context& context) {
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use("--database does not go with enable: the daemon's configuration names it");
  }
  auto carbonio = find_this_carbonio(context.zextras_home, arguments);
  if (!carbonio) return tl::unexpected{carbonio.error()};
  const auto configd = configd_of(*carbonio, arguments);
  if (!configd) return tl::unexpected{configd.error()};
  const auto selection = selected_servers(arguments, carbonio->server);
  if (!selection) return tl::unexpected{selection.error()};
  return Enabling{arguments, context, std::move(*carbonio), *configd}.run(*selection);
}

}  // namespace

const Command kEnable = {
    "enable",
    "[--server HOST... | --all-mta] [--greylisting] [--access-control] [--check-helo] "
    "[--check-spf] [--accounting] [--dry-run] [--prov-timeout SECONDS] [--rewrite-timeout SECONDS]",
    "Switch the policy service on",
    "On this host, which must be an MTA: makes the database where there is none, with Carbonio's "
    "domains and networks in its groups, starts the service, now and at boot, has Carbonio switch "
    "it and Quotas on (zimbraServiceEnabled, zimbraCBPolicydQuotasEnabled) and configd rewrite the "
    "configuration of both the daemon and Postfix, and looks whether all of it is so. Only what "
    "differs is changed; given again it changes nothing.\n"
    "Of other servers only the attributes can be set from here; run it there, too, best first: "
    "Postfix defers all mail where it asks a daemon that does not run. Each MTA host counts by "
    "itself.\n"
    "What does not work is said, and what is left to be done is done by the same command given "
    "again. Run it as root or as zextras.",
    "enable --dry-run\n"
    "enable\n"
    "enable --greylisting\n"
    "enable --all-mta",
    kOptions,
    0,
    run,
    Takes::other,
    {},
    false};

}  // namespace limits
