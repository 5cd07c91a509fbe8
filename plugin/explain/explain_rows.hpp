// SPDX-License-Identifier: AGPL-3.0-only
// The parts of an explanation that come from rows: which policies match and by which item, and the
// counters that apply to a mail. Used by explain.cpp only.
#pragma once

#include <span>
#include <vector>

#include "daemon/store/sqlite/reading_transaction.hpp"
#include "plugin/explain/explain.hpp"

namespace limits {

// `matched` are the indexes in rules.policies that the daemon's index found.
Result<std::vector<ExplainedPolicy>> explain_policies(const Tables& tables,
                                                      const policyd::Rules& rules,
                                                      const policyd::Request& request,
                                                      std::span<const std::uint32_t> matched,
                                                      const policyd::Extensions& extensions);

// Of all matched policies, in the order in which they are checked; if `alone`, with this host's
// part of each limit.
std::vector<ExplainedLimit> explain_limits(policyd::ReadingTransaction& store,
                                           const policyd::Config& config,
                                           const policyd::Request& request,
                                           std::span<const std::uint32_t> matched,
                                           const policyd::Extensions& extensions,
                                           const std::optional<Alone>& alone);

}  // namespace limits
