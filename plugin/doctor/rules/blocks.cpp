// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: who is blocked, and blocks that somebody has switched off by halves.
#include <fmt/core.h>

#include "daemon/base/clock.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/problems.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

void check_blocks(const RuleRows& rows, Findings& findings) {
  const auto blocks = read_blocks(rows.tables);
  if (!blocks) return;
  const policyd::TimePoint now = policyd::wall_clock();
  std::vector<std::string> names;
  for (const StoredBlock& each : *blocks) {
    if (each.is_over(now)) continue;
    const std::string who = escaped(each.block.who);
    if (each.in_force(now)) {
      names.push_back(who);
      continue;
    }
    const std::string what = fmt::format("{} is listed as blocked but is not", who);
    constexpr std::string_view kWhy = "its mail passes; 'carbonio-limits unblock' would be clear";
    if (each.items.empty()) {
      findings.wrong(problem::kBlockOff, what, std::string{kWhy},
                     command(command_about("block", each.block.who)));
      continue;
    }
    findings.wrong(
        problem::kBlockOff, what, std::string{kWhy},
        rows.sql({fmt::format("UPDATE {} SET Disabled = 0 WHERE ID = {}", rows.table("policies"),
                              each.policy_id),
                  fmt::format("UPDATE {} SET Verdict = 'REJECT', Disabled = 0 WHERE ID = {}",
                              rows.table("access_control"), each.row_id)}));
  }
  if (names.empty()) return;
  findings.well("rules.blocked", fmt::format("blocked, as 'carbonio-limits blocked' shows: {}",
                                             join_with_and(names)));
}

}  // namespace limits
