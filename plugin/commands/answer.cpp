// SPDX-License-Identifier: AGPL-3.0-only
// `answer`: takes the steps that limits (--then) and signals name, once they are due. A process of
// its own, each minute: no mail waits for it.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "hooks/service/service.hpp"
#include "plugin/answers/answer_run.hpp"
#include "plugin/answers/bounces.hpp"
#include "plugin/answers/due_steps.hpp"
#include "plugin/answers/signal_levels.hpp"
#include "plugin/answers/signals.hpp"
#include "plugin/block/block_settings.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/carry_out_block.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/signal_files.hpp"
#include "plugin/commands/step_notes.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/events/since.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::EventKind;

constexpr std::array<Option, 2> kAnswerOptions = {{
    {"due", "",
     "take the steps that are due: run each minute by carbonio-limits-answer.timer or by "
     "cron"},
    {"dry-run", "", "show the steps that are due, and take none"},
}};

// What a run has found, and what it was found by.
struct Found {
  DueSteps due;
  OwnNames own;
  BlockSettings settings;
};

// Nothing of it is shared with other hosts of a cluster.
constexpr bool kOnThisHost = true;

enum class Keeps : std::uint8_t { nothing, what_was_read };

// Reads the mail log on; without the signal nothing of it is kept.
Result<std::vector<Bounced>> read_on(const SignalFiles& files, const OwnNames& own,
                                     const std::vector<StoredSignal>& signals, Keeps keeps,
                                     const Context& context) {
  const std::filesystem::path file = bounce_state_file(context.zextras_home);
  const auto is_set = [&](Signal::Kind kind) {
    return std::any_of(signals.begin(), signals.end(),
                       [&](const StoredSignal& each) { return each.signal.kind == kind; });
  };
  Output output = context.output;
  if (keeps == Keeps::nothing && is_set(Signal::Kind::countries) && !files.countries) {
    output.note(fmt::format("signal countries cannot be counted: {}.", files.no_countries));
  }
  if (!is_set(Signal::Kind::bounces)) {
    std::error_code ignored;
    if (keeps == Keeps::what_was_read) std::filesystem::remove(file, ignored);
    return {};
  }
  BounceState state = files.bounces.read(own, context.now);
  // Cron sends what a run prints, so a problem is printed once; doctor shows it while it lasts.
  const bool known =
      keeps == Keeps::what_was_read && state.problem == files.bounces.problem_before();
  if (!state.problem.empty() && !known) {
    output.note(fmt::format("signal bounces cannot be counted: {}.", state.problem));
  }
  if (keeps == Keeps::what_was_read) {
    if (auto written = write_bounce_state(file, state); !written) {
      return tl::unexpected{written.error()};
    }
  }
  return std::move(state.bounced);
}

tl::expected<Found, Failure> find_due_steps(const Arguments& arguments, const Context& context,
                                            bool rates, Keeps keeps) {
  Found out;
  std::vector<std::string> notes;
  const auto files = open_signal_files(arguments, context);
  if (!files) return failed(files.error());
  auto done = change_rules_for_now(
      arguments, context, kOnThisHost,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        auto settings = read_block_settings(policyd::own_config_of(daemon.file));
        if (!settings) return tl::unexpected{settings.error()};
        out.settings = std::move(*settings);
        const auto all = read_limits(tables);
        if (!all) return tl::unexpected{all.error()};
        auto own = read_own_names(tables);
        if (!own) return tl::unexpected{own.error()};
        out.own = std::move(*own);
        out.own.mailboxes = out.settings.mailboxes;
        auto due = read_due_steps(tables, *all, out.own, out.settings.after, context.now);
        if (!due) return tl::unexpected{due.error()};
        out.due = std::move(*due);
        if (pause_in_force(daemon, context.now)) out.due.steps.clear();
        const auto signals = read_signals(tables);
        if (!signals) return tl::unexpected{signals.error()};
        const auto bounced = read_on(*files, out.own, *signals, keeps, context);
        if (!bounced) return tl::unexpected{bounced.error()};
        auto more = read_due_signals({tables, out.own, *bounced, files->known_countries()},
                                     *signals, out.due.taken, context.now, rates);
        if (!more) return tl::unexpected{more.error()};
        for (DueStep& each : *more) out.due.steps.push_back(std::move(each));
        for (DueStep& each : out.due.steps) {
          const auto why = why_unnamed(each.about.track_key);
          if (!why.empty()) only_notify(each, why);
        }
        return {};
      },
      notes);
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Context as_actor(const Context& context, const DueStep& due, const std::string& what) {
  Context out = context;
  out.actor = {due.by, what};
  return out;
}

// That nobody was stopped.
Outcome announce_only(const Arguments& arguments, const Context& context, const DueStep& due) {
  policyd::Event event = due.about;
  event.kind = EventKind::suspect;
  event.verdict = due.only_notifies ? std::string{kOnlyNotified} : step_text(due.step);
  event.times = 1;
  const Context own = as_actor(context, due, due.reason);
  std::vector<std::string> notes;
  return change_rules_for_now(
      arguments, own, kOnThisHost,
      [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        ChangeSet changes{tables, own.actor};
        if (auto begun = changes.begin(); !begun) return begun;
        changes.announce(event);
        return changes.commit();
      },
      notes);
}

// Why a step must not stop them; empty if it may.
std::string why_not(const Target& whom, const Found& found, std::size_t stopped) {
  if (whom.who == Who::client) {
    const auto client = policyd::IpNetwork::parse(whom.name);
    if (client && found.own.has_client(client->address)) {
      return "clients of own networks are never stopped automatically";
    }
  }
  if (stopped >= found.settings.per_hour) {
    return fmt::format("{} stopped automatically in the last hour, and [block] per_hour allows {}",
                       stopped, found.settings.per_hour);
  }
  return {};
}

Outcome stop_sender(const Arguments& arguments, const Context& context, const DueStep& due,
                    const Target& whom, MadeBlock& made, std::vector<std::string>& lines) {
  WantedBlock wanted;
  wanted.whom = whom;
  wanted.duration = due.step.duration;
  wanted.holds = due.step.kind == Step::Kind::hold;
  wanted.lock = due.step.kind == Step::Kind::lock && whom.who != Who::client;
  wanted.hold_queue = true;
  wanted.by_itself = due.about;
  wanted.by_itself->kind = EventKind::locked;
  wanted.by_itself->verdict = step_text(due.step);
  wanted.by_itself->times = 1;
  StepLines steps;
  const Context own = as_actor(context, due, due.reason);
  auto done = carry_out_block(arguments, own, wanted, made, steps, [] {});
  for (std::vector<std::string>* each : {&steps.done, &steps.trouble, &made.notes}) {
    for (std::string& line : *each) lines.push_back(std::move(line));
  }
  return done;
}

// Whether somebody was stopped.
tl::expected<bool, Failure> take_step(const Arguments& arguments, const Context& context,
                                      const DueStep& due, const Found& found, std::size_t stopped) {
  Output output = context.output;
  const std::string name = name_of_counter(due.about.track_key);
  const std::string who = key_text(due.about.track_key);
  const auto whom = parse_whom(name);
  DueStep told = due;
  if (due.step.kind != Step::Kind::notify) {
    std::string why =
        whom ? why_not(*whom, found, stopped) : std::string{why_unnamed(due.about.track_key)};
    if (why.empty()) {
      std::vector<std::string> lines;
      MadeBlock made;
      const auto done = stop_sender(arguments, context, due, *whom, made, lines);
      if (done) {
        output.line(
            fmt::format("{}: {}, {} ({}).", escaped(who), step_text(due.step), due.reason, due.by));
        for (const std::string& line : lines) output.line("  " + line);
        return true;
      }
      if (made.already) return false;  // by another limit, or on another host
      why = done.error().message;
    }
    only_notify(told, why);
  }
  if (auto done = announce_only(arguments, context, told); !done) {
    return tl::unexpected{done.error()};
  }
  output.line(fmt::format("{}: notify, {} ({}).", escaped(who), told.reason, told.by));
  return false;
}

void print_due_steps(const Found& found, Output& output) {
  if (found.due.steps.empty()) output.line("Nothing is due.");
  for (const DueStep& due : found.due.steps) {
    output.line(fmt::format("{}: {}, {} ({}).", escaped(key_text(due.about.track_key)),
                            step_text(due.step), due.reason, due.by));
  }
}

Outcome take_due_steps(const Arguments& arguments, const Context& context) {
  const std::filesystem::path file = answers_file(context.zextras_home);
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  auto run = [&]() -> policyd::Result<AnswerRun> {
    const auto owner = AsOwner::of(daemon->config.database);
    if (!owner) return tl::unexpected{owner.error()};
    return AnswerRun::begin(file, context.now);
  }();
  if (!run) return failed(run.error());
  if (run->other_runs()) return {};
  const auto found = find_due_steps(arguments, context, run->rates_are_due(), Keeps::what_was_read);
  if (!found) return tl::unexpected{found.error()};
  std::size_t stopped = found->due.stopped_lately;
  Outcome out;
  for (const DueStep& due : found->due.steps) {
    const auto taken = take_step(arguments, context, due, *found, stopped);
    if (!taken && out) out = tl::unexpected{taken.error()};  // the others are not to blame
    if (taken && *taken) ++stopped;
  }
  if (out) run->finish();
  return out;
}

void print_steps_taken(const std::vector<policyd::Event>& events, Context& context) {
  Table table{{{"WHEN"},
               {"WHO", false, Shrinks::last},
               {"STEP"},
               {"BY"},
               {"BECAUSE", false, Shrinks::first}}};
  for (const policyd::Event& event : events) {
    table.add({{short_time_text(event.first, context.now)},
               {key_text(event.track_key)},
               {escaped(event.verdict)},
               {escaped(event.who)},
               {escaped(event.detail)}});
  }
  if (!events.empty()) context.output.print(table);
}

Result<void> show_steps(const Tables& tables, const DaemonConfig& daemon, Context& context) {
  Output& output = context.output;
  const auto settings = read_block_settings(policyd::own_config_of(daemon.file));
  if (!settings) return tl::unexpected{settings.error()};
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  std::vector<Step> steps;
  const auto add = [&](const std::vector<Step>& more) {
    steps.insert(steps.end(), more.begin(), more.end());
  };
  for (const StoredLimit& limit : all->limits) {
    const auto then = parse_steps(limit.then());
    if (limit.then().empty() || !then || !limit.partly_enabled()) continue;
    add(*then);
    output.line(
        fmt::format("limit {}: {}, once someone is refused {} times in a row or twice in a "
                    "day.",
                    limit.id, steps_text(*then), settings->after));
  }
  const auto signals = read_signals(tables);
  if (!signals) return tl::unexpected{signals.error()};
  for (const StoredSignal& each : *signals) {
    add(each.signal.steps);
    output.line(fmt::format("signal {}: {}, {}.", signal_text(each.signal),
                            steps_text(each.signal.steps), meaning_of(each.signal)));
  }
  if (steps.empty()) {
    output.line(context.advice.complete(
        "No steps are set. Of a limit --then sets them, such as: carbonio-limits send 100/h --per "
        "account --then notify,block:1h"));
    return {};
  }
  output.line(fmt::format("At most {} an hour are stopped automatically ([block] per_hour).",
                          counted(settings->per_hour, "account")));
  EventFilter filter;
  filter.kinds = {EventKind::locked, EventKind::suspect};
  filter.since = context.now - kStepsWithin;
  std::vector<policyd::Event> events;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    if (!stored.event.verdict.empty()) events.push_back(std::move(stored.event));
    return true;
  });
  if (!done) return done;
  print_steps_taken(events, context);
  for (const std::string& note : step_notes(steps, daemon.config)) {
    output.note(context.advice.complete(note) + ".");
  }
  if (const auto last = last_answer_run(context.zextras_home);
      !last || context.now - *last > kAnswersWithin) {
    output.note(fmt::format(
        "nothing has run 'carbonio-limits answer --due'{}; carbonio-limits-answer.timer or cron "
        "should, each minute.",
        last ? " since " + local_time_text(*last) : ""));
  }
  return {};
}

Outcome run_answer(const Arguments& arguments, Context& context) {
  const bool dry = arguments.has("dry-run");
  if (dry && arguments.has("due")) return wrong_use("--due and --dry-run cannot be combined");
  if (dry) {
    constexpr bool kAlsoRates = true;
    const auto found = find_due_steps(arguments, context, kAlsoRates, Keeps::nothing);
    if (!found) return tl::unexpected{found.error()};
    print_due_steps(*found, context.output);
    return {};
  }
  if (!arguments.has("due")) {
    return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) {
      return show_steps(tables, daemon, context);
    });
  }
  const bool off = carbonio::is_carbonio(context.zextras_home) &&
                   !carbonio::is_switched_on(context.zextras_home);
  return off ? Outcome{} : take_due_steps(arguments, context);
}

}  // namespace

const Command kAnswer = {
    "answer",
    "[--due | --dry-run]",
    "Take the steps that limits and signals name, and show them",
    "A limit with --then and a signal name steps: notify, hold, block, lock. 'answer --due' takes "
    "the next one once someone was refused by the limit 50 times in a row ([block] after), that is "
    "with no pause of an hour between two refusals, or twice in a day with such a pause, or stands "
    "out by the signal. What an admin has cleared with 'reset', or let pass by a higher limit, no "
    "longer counts, and in a pause no limit has a step. It reads what the "
    "daemon has remembered, so no mail waits for it. Each step is an event, shown here and told by "
    "'notify' with the command that ends it; after a day, or once a person has blocked or "
    "unblocked them, the first step comes again.\n"
    "At most 5 an hour are stopped automatically ([block] per_hour), each host of a cluster for "
    "itself; beyond that, and where a block is not allowed, the admin is only told. Clients of own "
    "networks are never stopped automatically, and neither is anyone whose address others can use: "
    "by a "
    "limit --per user, or by mail without a login from an own network, unless it comes from this "
    "host or from [block] mailboxes.\n"
    "Without an option: the steps that are set, and those taken in the last day.",
    "answer\n"
    "answer --dry-run",
    kAnswerOptions,
    0,
    run_answer};

}  // namespace limits
