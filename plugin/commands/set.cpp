// SPDX-License-Identifier: AGPL-3.0-only
// `set`: other figures for a limit, by its ID; everything else of it stays.
#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kOptions = {{kDryRunOption}};

Outcome run(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the ID is missing; as in 'carbonio-limits set 3 200/h'");
  const auto id = parse_id(words.front());
  if (!id) return tl::unexpected{id.error()};
  if (words.size() == 1) {
    return wrong_use("the limit is missing; as in 'carbonio-limits set 3 200/h'");
  }
  std::string text;
  for (std::size_t i = 1; i < words.size(); ++i) text += (i > 1 ? "," : "") + words[i];
  const auto rates = parse_limit(text);
  if (!rates) return wrong_use(rates.error().message);
  return change_limits({*id}, arguments, context,
                       [&](Changes& changes, AllLimits& all, std::int64_t limit,
                           bool dry) -> Result<std::vector<std::string>> {
                         const auto put = set_rates(changes, all, limit, *rates);
                         if (!put) return tl::unexpected{put.error()};
                         return say_put(describe(all, put->limit), *put, dry);
                       });
}

}  // namespace

const Command kSet = {
    "set",
    "ID LIMIT... [--dry-run]",
    "Change the figures of a limit",
    "ID is the first column of 'list'. The verdict, the message, the name and whom the limit is "
    "for "
    "stay as they are; limits made by hand with SQL can be changed so too. What was counted so far "
    "goes on counting where a period stays.",
    "set 3 200/h\n"
    "set 3 20/min,200/h,1000/day",
    kOptions,
    9,
    run,
    Takes::id};

}  // namespace limits
