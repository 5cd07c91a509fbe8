// SPDX-License-Identifier: AGPL-3.0-only
// The options of `send` and `receive`, and what they mean: from the words on the command line or in
// a file of limits to the limits themselves. Pure functions.
#pragma once

#include <span>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

std::span<const Option> limit_options(Direction direction);

// One limit for each target named. Fully checked: whatever it returns can be written.
tl::expected<std::vector<WantedLimit>, Failure> wanted_limits(Direction direction,
                                                              const Arguments& arguments);

}  // namespace limits
