// SPDX-License-Identifier: AGPL-3.0-only
// Columns that lack another, in modules whose rows are merged: for CheckHelo and Greylisting the
// rows of all policies that match count as one, later values over earlier ones, so whether UseHRP
// has its HRPPeriod is seen only on all of them. Used by rules.cpp, as the last step of loading.
#pragma once

#include <vector>

#include "daemon/rules/rules.hpp"

namespace policyd {

// Appends to rules.problems whatever defers mail: what is wrong with each policy's rows together
// with those of the policies that match all mail (`for_all`, by place in rules.policies). Where the
// rows of others that match may mend it, the problem says so.
void check_merged_rows(Rules& rules, const std::vector<bool>& for_all);

}  // namespace policyd
