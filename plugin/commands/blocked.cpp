// SPDX-License-Identifier: AGPL-3.0-only
// `blocked`: who is blocked, since when, until when and by whom.
#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 3> kBlockedOptions = {{
    {"past", "", "show who was blocked and unblocked, and by whom, the latest first"},
    {"since", "TIME", "with --past: since then, as of 'refused' (default: all, of 30 days)"},
    {"json", "", "print JSON"},
}};

// A block or its end, as limits_events remembers them.
struct PastStep {
  policyd::Event event;

  [[nodiscard]] bool blocked() const { return event.kind == policyd::EventKind::locked; }
};

Result<std::vector<PastStep>> read_past(const Tables& tables,
                                        const std::optional<policyd::TimePoint>& since) {
  EventFilter filter;
  filter.kinds = {policyd::EventKind::locked, policyd::EventKind::released};
  filter.since = since;
  std::vector<PastStep> out;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    out.push_back({std::move(stored.event)});
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

void print_past(const std::vector<PastStep>& steps, Context& context) {
  if (steps.empty()) {
    context.output.line("No one was blocked.");
    return;
  }
  Table table{{{"WHEN"},
               {"WHO", false, Shrinks::last},
               {"WHAT"},
               {"BY", false, Shrinks::first},
               {"COMMAND", false, Shrinks::first}}};
  for (const PastStep& each : steps) {
    table.add({{short_time_text(each.event.first, context.now)},
               {key_text(each.event.track_key)},
               {each.blocked() ? "blocked" : "unblocked"},
               {escaped(each.event.who)},
               {escaped(each.event.detail)}});
  }
  context.output.print(table);
}

nlohmann::json json_of(const PastStep& step) {
  return {{"at", policyd::to_seconds(step.event.first)},
          {"who", key_text(step.event.track_key)},
          {"blocked", step.blocked()},
          {"by", step.event.who},
          {"command", step.event.detail}};
}

void print_blocked(const std::vector<StoredBlock>& blocks, Context& context) {
  Output& output = context.output;
  if (blocks.empty()) {
    output.line(context.advice.complete(
        "No one is blocked. To block an account: carbonio-limits block ADDRESS"));
    return;
  }
  Table table{{{"WHO", false, Shrinks::last},
               {"SINCE"},
               {"UNTIL"},
               {"BY", false, Shrinks::first},
               {"STATE"}}};
  bool without_effect = false;
  for (const StoredBlock& each : blocks) {
    const bool in_force = each.in_force(context.now);
    without_effect = without_effect || (!in_force && !each.is_over(context.now));
    const auto& until = each.block.until;
    table.add({{each.block.who},
               {short_time_text(each.block.since, context.now)},
               {until ? local_time_text(*until) : "unblocked"},
               {each.block.by},
               {std::string{state_text(each, context.now)}, in_force ? Colour::red : Colour::dim}});
  }
  output.print(table);
  output.line(context.advice.complete("'carbonio-limits unblock WHO' ends a block."));
  if (without_effect) {
    output.note(context.advice.complete(
        "a block whose rows were switched off or changed by hand is not in force; 'carbonio-limits "
        "block WHO' writes them again."));
  }
}

Result<void> list_blocked(const Tables& tables, const DaemonConfig& daemon,
                          const Arguments& arguments, Context& context) {
  const auto blocks = read_blocks(tables);
  if (!blocks) return tl::unexpected{blocks.error()};
  const auto warnings = headlines(daemon, context.now);
  if (!arguments.has("json")) {
    print_headlines(warnings, context.advice, context.output);
    print_blocked(*blocks, context);
    return {};
  }
  nlohmann::json list = nlohmann::json::array();
  for (const StoredBlock& each : *blocks) list.push_back(json_of(each, context.now));
  context.output.print(nlohmann::json{{"blocked", std::move(list)},
                                      {"now", policyd::to_seconds(context.now)},
                                      {"warnings", texts_of(warnings)}});
  return {};
}

Result<void> list_past(const Tables& tables, const std::optional<policyd::TimePoint>& since,
                       bool json, Context& context) {
  const auto steps = read_past(tables, since);
  if (!steps) return tl::unexpected{steps.error()};
  if (!json) {
    print_past(*steps, context);
    return {};
  }
  nlohmann::json list = nlohmann::json::array();
  for (const PastStep& each : *steps) list.push_back(json_of(each));
  context.output.print(nlohmann::json{{"past", std::move(list)}});
  return {};
}

Outcome run_blocked(const Arguments& arguments, Context& context) {
  const bool past = arguments.has("past");
  std::optional<policyd::TimePoint> since;
  if (const auto text = arguments.value("since")) {
    if (!past) return wrong_use("--since needs --past: 'blocked' shows who is blocked now");
    const auto time = parse_since(*text, context.now);
    if (!time) return wrong_use(time.error().message);
    since = *time;
  }
  if (past) {
    return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig&) {
      return list_past(tables, since, arguments.has("json"), context);
    });
  }
  return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) {
    return list_blocked(tables, daemon, arguments, context);
  });
}

}  // namespace

const Command kBlocked = {
    "blocked",
    "[--past [--since TIME]] [--json]",
    "Show who is blocked, since when, until when and by whom",
    "Lists what 'block' has blocked, also blocks that are over, until 'sync' removes them, which "
    "runs once an hour. --past lists blocks and their ends of the last 30 days; one that ended by "
    "itself is unblocked when 'sync' removes it. Each host of a cluster remembers its own "
    "commands.",
    "blocked\n"
    "blocked --past --since 7day\n"
    "blocked --json",
    kBlockedOptions,
    0,
    run_blocked};

}  // namespace limits
