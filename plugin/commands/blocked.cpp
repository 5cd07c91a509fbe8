// SPDX-License-Identifier: AGPL-3.0-only
// `blocked`: who is blocked, since when, until when and by whom.
#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kBlockedOptions = {{{"json", "", "print JSON"}}};

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
               {until ? local_time_text(*until) : "unblock"},
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

Outcome run_blocked(const Arguments& arguments, Context& context) {
  return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) {
    return list_blocked(tables, daemon, arguments, context);
  });
}

}  // namespace

const Command kBlocked = {
    "blocked",
    "[--json]",
    "Show who is blocked, since when, until when and by whom",
    "Lists what 'block' has blocked, also blocks that are over, until 'sync' removes them, which "
    "runs once an hour.",
    "blocked\n"
    "blocked --json",
    kBlockedOptions,
    0,
    run_blocked};

}  // namespace limits
