// SPDX-License-Identifier: AGPL-3.0-only
// From the words of `send` and `receive`, on the command line or in a file of limits, to the limits
// they say. Pure functions.
#pragma once

#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// One limit for each target named. Checked completely: what it returns can be written.
tl::expected<std::vector<WantedLimit>, Failure> wanted_limits(Direction direction,
                                                              const Arguments& arguments);

}  // namespace limits
