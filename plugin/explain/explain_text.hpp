// SPDX-License-Identifier: AGPL-3.0-only
// What `explain` prints for people: the answer and why, the mail, and the tables of policies,
// limits and modules, fitted to the width of the screen.
#pragma once

#include "plugin/cli/command.hpp"
#include "plugin/explain/explain.hpp"

namespace limits {

// `now`: by the clock by which counters count.
void print_explanation(const Mail& mail, const Explanation& explanation, Context& context,
                       policyd::TimePoint now);

}  // namespace limits
