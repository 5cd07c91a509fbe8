// SPDX-License-Identifier: AGPL-3.0-only
// What a plan changes, for people. Used by limits.cpp only. Pure functions.
#pragma once

#include <vector>

#include "plugin/rows/exceptions.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

// The limits as they will be, and their except-groups.
AllLimits limits_after(const std::vector<PlanEntry>& entries, const AllLimits& before,
                       ExceptGroups except_groups, std::vector<policyd::GroupRow> groups);

// What the commands on one entry changed about its own rows.
ApplyResult result_of(const PlanEntry& entry, const AllLimits& after);

// Adds what changed for the targets of other limits. `operations`: the entry of each result.
void report_exceptions(const std::vector<PlanEntry>& entries, const Exceptions& exceptions,
                       const std::vector<std::size_t>& operations,
                       std::vector<ApplyResult>& results);

}  // namespace limits
