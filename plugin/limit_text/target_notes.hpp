// SPDX-License-Identifier: AGPL-3.0-only
// Notes for the admin who gives a limit: what its targets do not mean, although one may think so.
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// `wanted`: the limits of one command. `after`: all limits.
std::vector<std::string> target_notes(const std::vector<WantedLimit>& wanted,
                                      const AllLimits& after);

}  // namespace limits
