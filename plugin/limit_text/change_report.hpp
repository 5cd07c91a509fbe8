// SPDX-License-Identifier: AGPL-3.0-only
// Reports what happened to a limit, in sentences.
#pragma once

#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// `limit`: its description, "each user of this server may send 100 messages an hour". `dry`:
// nothing was committed.
std::vector<std::string> report_change(const std::string& limit, const ApplyResult& result,
                                       bool dry);

// "  Limit 3 (100/h for everyone) applies to news@example.org again."
std::string consequence_line(const std::string& consequence);

}  // namespace limits
