// SPDX-License-Identifier: AGPL-3.0-only
// What one command did as one change, for `changes` and the daily report: a block also changes
// rules, and a reset clears several counters. Pure.
#pragma once

#include <vector>

#include "daemon/events/event.hpp"

namespace limits {

// Adds `event` to those read before, the latest first, unless it is part of the same change. Of a
// reset of several counters `times` is how many, and the key is empty.
void add_change(std::vector<policyd::Event>& changes, policyd::Event event);

}  // namespace limits
