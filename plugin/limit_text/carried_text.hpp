// SPDX-License-Identifier: AGPL-3.0-only
// Groups and rows as lines of a file of limits:
//   group sales alice@example.org @example.com
//   row policies Name=Mine Priority=10
// The rows after `row policies` belong to that policy, and a row of quotas_limits to the quota
// before it. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/rows/carried.hpp"

namespace limits {

std::string line_of(const CarriedGroup& group);
std::string line_of(const CarriedRow& row);

// Whether the line is one of these: its first word is `group` or `row`.
bool is_carried(std::string_view first_word);
// Adds what the words say; the Error does not name the line.
Result<void> add_line(const std::vector<std::string>& words, Carried& carried);

}  // namespace limits
