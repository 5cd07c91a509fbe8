// SPDX-License-Identifier: AGPL-3.0-only
// What became of a limit, in sentences.
#pragma once

#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// `limit`: what it says, "each user of this server may send 100 messages an hour". `dry`: it was
// only tried.
std::vector<std::string> say_put(const std::string& limit, const Put& put, bool dry);

// "  Limit 3 (100/h for everyone) concerns news@example.org again."
std::string say_consequence(const std::string& consequence);

}  // namespace limits
