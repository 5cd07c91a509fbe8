// SPDX-License-Identifier: AGPL-3.0-only
// Switches without the column they need, in modules whose rows are merged: CheckHelo and
// Greylisting take the rows of all matching policies as one, later values over earlier ones, so
// UseHRP and its HRPPeriod may come from different policies. Used by rules_loader.cpp as the last
// step of loading.
#pragma once

#include <vector>

#include "daemon/rules/rules.hpp"

namespace policyd {

// Appends a problem to rules.problems for each policy whose rows, together with those of the
// policies that match all mail (`for_all`, by index in rules.policies), defer mail. Mail that
// matches more policies is not considered: the modules log it when it comes.
void check_merged_rows(Rules& rules, const std::vector<bool>& for_all);

}  // namespace policyd
