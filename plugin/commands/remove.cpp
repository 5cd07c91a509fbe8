// SPDX-License-Identifier: AGPL-3.0-only
// `remove`: a limit with all its rows and counters.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kOptions = {{kDryRunOption}};

Outcome run(const Arguments& arguments, Context& context) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  return change_limits(*ids, arguments, context,
                       [](Changes& changes, AllLimits& all, std::int64_t id,
                          bool dry) -> Result<std::vector<std::string>> {
                         const std::string what = describe(all, *find_limit(all, id));
                         const auto put = remove_limit(changes, all, id);
                         if (!put) return tl::unexpected{put.error()};
                         std::vector<std::string> out = {fmt::format(
                             "{} limit {}: {}.", dry ? "Would remove" : "Removed", id, what)};
                         for (const std::string& text : put->consequences)
                           out.push_back(say_consequence(text));
                         return out;
                       });
}

}  // namespace

const Command kRemove = {
    "remove",
    "ID... [--dry-run]",
    "Remove a limit, with what it has counted",
    "ID is the first column of 'list'. A more general limit that this one replaced concerns its "
    "target again. 'export' first keeps a copy that 'import' reads; 'off' only switches a limit "
    "off.",
    "remove 3\n"
    "remove 3 4 5 --dry-run",
    kOptions,
    1000,
    run,
    Takes::id};

}  // namespace limits
