// SPDX-License-Identifier: AGPL-3.0-only
// `set`: changes the figures of a limit, given by its ID, and nothing else.
#include <fmt/core.h>

#include <array>

#include "daemon/base/shell_words.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kSetOptions = {{kDryRunOption}};

Outcome run_set(const Arguments& arguments, Context& context) {
  const auto wanted = parse_new_figures(arguments.words());
  if (!wanted) return tl::unexpected{wanted.error()};
  ChangeOfEach change;
  change.change = [&](LimitPlan& plan, std::int64_t limit) {
    plan.set_rates(limit, wanted->rates);
  };
  change.lines = [](const ApplyResult& result, bool dry) {
    return report_change(describe(result.limit), result, dry);
  };
  change.warnings = [](const ApplyResult& result) {
    return warnings_of(result, [&](const std::vector<Rate>& all) {
      return fmt::format("carbonio-limits set {} {}", result.limit.id,
                         policyd::shell_word(format_limit(all)));
    });
  };
  return change_each({wanted->id}, arguments, context, change);
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
