// SPDX-License-Identifier: AGPL-3.0-only
// `enable`: switches the policy service on, in Carbonio and on this host. The daemon is started
// before Postfix begins to ask it: if it cannot start, no mail is deferred.
#include "hooks/carbonio/policy_attributes.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/shell_words.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/host/group_sync.hpp"
#include "plugin/host/host_service.hpp"
#include "plugin/host/other_mtas.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Entry;
using carbonio::EntryResult;
using carbonio::ModuleSwitch;

constexpr Option kEvenIfNotRunning = {"even-if-not-running", "",
                                      "also switch on other hosts whose daemon is not known to "
                                      "run: where it does not, Postfix answers "
                                      "451 to all mail"};

constexpr std::array<Option, 11> kEnableOptions = {{
    kServerOption,
    kAllMtaOption,
    kEvenIfNotRunning,
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

// The selected servers other than this one: only those that are known to run are switched on.
class Others {
 public:
  explicit Others(Context& context)
      : context_(context), daemon_(find_daemon_config(std::nullopt, context.zextras_home)) {}

  // Removes from `directory` the servers that must not be switched on from here.
  void leave_out(carbonio::Directory& directory, const std::string& here,
                 const std::vector<std::string>& all_mta, bool even_if_not_running) {
    const auto service = carbonio::enabling({});
    const auto is_safe = [&](const Entry& entry) {
      return equal_ignoring_case(entry.name, here) || is_running(entry.name) ||
             carbonio::command_for(entry, directory.global, service).empty();
    };
    with_here_ = entry_of(directory, here) != nullptr;
    auto& entries = directory.entries;
    if (std::all_of(entries.begin(), entries.end(), is_safe)) return;
    known_ = find_running(daemon_, all_mta);
    if (even_if_not_running) return;
    std::erase_if(entries, [&](const Entry& entry) {
      if (is_safe(entry)) return false;
      left_out_.push_back(shown_name(entry.name));
      return true;
    });
  }

  // What is left to do on those where the attributes were set.
  void print_to_do(const std::vector<std::string>& changed) const {
    std::vector<std::string> running;
    std::vector<std::string> unknown;
    for (const std::string& name : changed) (is_running(name) ? running : unknown).push_back(name);
    if (!running.empty()) {
      context_.output.note(fmt::format(
          "on {} this changes only the attributes: to have the daemon start there at boot, and to "
          "check the result, run 'carbonio-limits enable' there, too",
          join_with_and(running)));
    }
    if (!unknown.empty()) {
      context_.output.note(fmt::format(
          "on {} this changes only the attributes. If the daemon does not run there, Postfix then "
          "answers 451 to all mail: run 'carbonio-limits enable' there at once",
          join_with_and(unknown)));
    }
    print_left_out();
    print_sharing(changed);
  }

  [[nodiscard]] Outcome outcome(bool any_changed) const {
    if (left_out_.empty()) return {};
    return failed(fmt::format(
        "{} {} not switched on, since the policy daemon may not run there{}; run 'carbonio-limits "
        "enable' {}, or use --{}",
        join_with_and(left_out_), of_number(left_out_.size(), "was", "were"),
        any_changed ? "" : ", and nothing was changed",
        of_number(left_out_.size(), "on that host", "on each of these hosts"),
        kEvenIfNotRunning.name));
  }

 private:
  [[nodiscard]] bool is_running(const std::string& server) const {
    return std::any_of(known_.running.begin(), known_.running.end(),
                       [&](const std::string& name) { return equal_ignoring_case(name, server); });
  }
  [[nodiscard]] bool is_shared() const {
    return daemon_.read && !daemon_.config.cluster_url.empty();
  }

  void print_left_out() const {
    if (left_out_.empty()) return;
    Output& output = context_.output;
    output.line(fmt::format(
        "Left out: {}. Postfix answers 451 to all mail where the daemon does not run, and whether "
        "it runs there is not known: {}. Type there:",
        join_with_and(left_out_),
        known_.why_not_known.empty() ? "the cluster does not see it" : known_.why_not_known));
    for (const std::string& name : left_out_) {
      output.line(fmt::format("  on {}: carbonio-limits enable", name));
      if (is_shared()) output.line(fmt::format("  on {}: {}", name, join_command(daemon_.config)));
    }
    for (const std::string& name : known_.nameless) {
      output.note(
          fmt::format("the cluster has a host {}, and Carbonio no server of that name. If it is "
                      "{}, type there: "
                      "carbonio-limits cluster join --node {}",
                      name, left_out_.front(), policyd::shell_word(left_out_.front())));
    }
  }

  void print_sharing(const std::vector<std::string>& changed) const {
    const std::size_t hosts = changed.size() + left_out_.size() + (with_here_ ? 1 : 0);
    if (is_shared() || hosts < 2) return;
    const std::string& other = changed.empty() ? left_out_.front() : changed.front();
    context_.output.note(context_.advice.complete(fmt::format(
        "each MTA host counts separately: {0} hosts are {0} counts. To make them one by "
        "Redis or Valkey, on each of them: {1} (this command then knows which of them "
        "run, too). To copy only the limits: carbonio-limits export | ssh {2} "
        "carbonio-limits import -",
        hosts, join_command(daemon_.config), policyd::shell_word(other))));
  }

  Context& context_;
  const DaemonConfig daemon_;
  OtherMtas known_;
  bool with_here_ = false;
  std::vector<std::string> left_out_;
};

class Enabling {
 public:
  Enabling(const Arguments& arguments, Context& context, ServerTask task)
      : arguments_(arguments),
        context_(context),
        task_(std::move(task)),
        host_(context, task_.configd),
        modules_(modules_of(arguments)),
        changes_(carbonio::enabling(modules_)),
        others_(context),
        steps_(context.output) {}

  Outcome run() {
    auto answers = ask_about(
        task_, attributes_of(changes_), carbonio::Inherited::with,
        carbonio::group_questions(task_.carbonio.server, networks_wanted(context_.zextras_home)));
    if (!answers) return tl::unexpected{answers.error()};
    carbonio::Directory& directory = answers->directory;
    if (auto mta = check_all_are_mta(directory); !mta) return mta;
    const auto wanted = carbonio::wanted_in(answers->more);
    if (!wanted) return unchanged(wanted.error());
    others_.leave_out(directory, task_.carbonio.server, carbonio::mta_names_in(answers->more),
                      arguments_.has(std::string{kEvenIfNotRunning.name}));
    const Entry* here = entry_of(directory, task_.carbonio.server);
    if (arguments_.has("dry-run")) return dry_run(directory, here, *wanted);
    if (!directory.entries.empty()) {
      if (auto done = change(directory, here, *wanted); !done) return done;
    } else {
      others_.print_to_do({});
    }
    return others_.outcome(steps_.any_done());
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
    others_.print_to_do(others);
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
    others_.print_to_do(others);
    if (!changed) return changed;
    if (!steps_.any_wrong()) return {};
    return failed(
        "some steps failed (see PROBLEM above); fix them and rerun the command, or run "
        "'carbonio-limits doctor'");
  }

  policyd::Result<void> prepare(const carbonio::WantedMembers& wanted) {
    auto done = host_.ensure_configuration(steps_);
    if (done) done = host_.ensure_postfix_settings(steps_);
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
  Others others_;
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
    "[--server HOST... | --all-mta] [--even-if-not-running] [--greylisting] [--access-control] "
    "[--check-helo] "
    "[--check-spf] [--accounting] [--dry-run] [--prov-timeout SECONDS] [--rewrite-timeout SECONDS]",
    "Switch the policy service on",
    "On this host, which must be an MTA: creates the database if it is missing, with Carbonio's "
    "domains and networks in its groups; starts the service, now and at boot; switches the service "
    "and Quotas on in Carbonio (zimbraServiceEnabled, zimbraCBPolicydQuotasEnabled); has configd "
    "rewrite the configuration of the daemon and of Postfix; has the daemon use Postfix's "
    "recipient_delimiter and myorigin (in carbonio-limits.conf); and checks the result. Only what "
    "differs is changed: running it again changes nothing.\n"
    "On other servers only the attributes can be set from here, and where the daemon does not run, "
    "Postfix then answers 451 to all mail. So only those are switched on that the cluster sees "
    "running (see 'cluster join'), by Carbonio's name for them: their host name, with or without "
    "domain, or their --node. The others are named, with what to type there; until then the exit "
    "status is 2. Each MTA host counts separately, unless 'cluster join' makes them one.\n"
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
