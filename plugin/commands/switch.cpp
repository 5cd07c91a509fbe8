// SPDX-License-Identifier: AGPL-3.0-only
// `on` and `off`: enable and disable a limit; its rows and counters are kept.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kSwitchOptions = {{kDryRunOption}};

std::vector<std::string> switch_lines(const ApplyResult& result, bool dry, bool on) {
  const std::int64_t id = result.limit.id;
  const std::string_view word = on ? "on" : "off";
  std::string what;
  if (result.kind == ApplyResult::Kind::unchanged) {
    what = fmt::format("Nothing to change, limit {} is already {}", id, word);
  } else {
    what = fmt::format("{} limit {} {}", dry ? "Would switch" : "Switched", id, word);
  }
  std::vector<std::string> out = {fmt::format("{}: {}.", what, describe(result.limit))};
  for (const std::string& text : result.consequences) out.push_back(consequence_line(text));
  return out;
}

Outcome run_switch(const Arguments& arguments, Context& context, bool on) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  ChangeOfEach change;
  change.change = [on](LimitPlan& plan, std::int64_t id) { plan.switch_limit(id, on); };
  change.lines = [on](const ApplyResult& result, bool dry) {
    return switch_lines(result, dry, on);
  };
  return change_each(*ids, arguments, context, change);
}

Outcome run_on(const Arguments& arguments, Context& context) {
  return run_switch(arguments, context, true);
}
Outcome run_off(const Arguments& arguments, Context& context) {
  return run_switch(arguments, context, false);
}

}  // namespace

const Command kOn = {
    "on",
    "ID... [--dry-run]",
    "Switch a limit on again",
    "IDs are in the first column of 'list'. If the limit replaces a more general one for its "
    "target, it does so again.",
    "on 3",
    kSwitchOptions,
    kMaxIds,
    run_on,
    Takes::id};

const Command kOff = {
    "off",
    "ID... [--dry-run]",
    "Switch a limit off; 'on' switches it on again",
    "IDs are in the first column of 'list'. While the limit is off, a more general limit that it "
    "replaced applies to its target. Its counters are kept.",
    "off 3\n"
    "off 3 4 5",
    kSwitchOptions,
    kMaxIds,
    run_off,
    Takes::id};

}  // namespace limits
