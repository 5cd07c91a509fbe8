// SPDX-License-Identifier: AGPL-3.0-only
// `remove`: deletes a limit with all its rows and counters.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kRemoveOptions = {{kDryRunOption}};

std::vector<std::string> removal_lines(const ApplyResult& result, bool dry) {
  std::vector<std::string> out = {fmt::format("{} limit {}: {}.", dry ? "Would remove" : "Removed",
                                              result.limit.id, describe(result.limit))};
  for (const std::string& text : result.consequences) out.push_back(consequence_line(text));
  return out;
}

Outcome run_remove(const Arguments& arguments, Context& context) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  ChangeOfEach change;
  change.change = [](LimitPlan& plan, std::int64_t id) { plan.remove(id); };
  change.lines = removal_lines;
  return change_each(*ids, arguments, context, change);
}

}  // namespace

const Command kRemove = {
    "remove",
    "ID... [--dry-run]",
    "Remove a limit and its counters",
    "IDs are in the first column of 'list'. A more general limit that this one replaced applies "
    "to its target again. To keep a copy that 'import' can read, run 'export' first; to disable "
    "a limit without removing it, use 'off'.",
    "remove 3\n"
    "remove 3 4 5 --dry-run",
    kRemoveOptions,
    kMaxIds,
    run_remove,
    Takes::id};

}  // namespace limits
