// SPDX-License-Identifier: AGPL-3.0-only
// `set`: changes the figures of a limit, given by its ID, and nothing else.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kSetOptions = {{kDryRunOption}};

Outcome run_set(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the ID is missing; example: carbonio-limits set 3 200/h");
  const auto id = parse_id(words.front());
  if (!id) return tl::unexpected{id.error()};
  if (words.size() == 1) {
    return wrong_use("the limit is missing; example: carbonio-limits set 3 200/h");
  }
  std::string text;
  for (std::size_t i = 1; i < words.size(); ++i) text += (i > 1 ? "," : "") + words[i];
  const auto rates = parse_limit(text);
  if (!rates) return wrong_use(rates.error().message);
  ChangeOfEach change;
  change.change = [&](LimitPlan& plan, std::int64_t limit) { plan.set_rates(limit, *rates); };
  change.lines = [](const ApplyResult& result, bool dry) {
    return report_change(describe(result.limit), result, dry);
  };
  change.warnings = [](const ApplyResult& result) {
    return warnings_of(result, [&](const std::vector<Rate>& all) {
      return fmt::format("carbonio-limits set {} {}", result.limit.id, format_limit(all));
    });
  };
  return change_each({*id}, arguments, context, change);
}

}  // namespace

const Command kSet = {
    "set",
    "ID LIMIT... [--dry-run]",
    "Change the figures of a limit",
    "IDs are in the first column of 'list'. Target, verdict, message and name stay unchanged. This "
    "also works for limits that were created with SQL. Counters are kept for periods that stay the "
    "same.",
    "set 3 200/h\n"
    "set 3 20/min,200/h,1000/day",
    kSetOptions,
    1 + kMaxRates,
    run_set,
    Takes::id};

}  // namespace limits
