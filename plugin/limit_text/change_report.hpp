// SPDX-License-Identifier: AGPL-3.0-only
// Reports what happens to a limit, in sentences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// `limit`: its description, "each user of this server may send 100 messages an hour". `dry`:
// nothing was committed.
std::vector<std::string> report_change(const std::string& limit, const ApplyResult& result,
                                       bool dry);

// What the change takes away without being asked to, and the command that keeps it; to be said
// before it is made. `command`: writes the command that was given, with other rates.
std::vector<std::string> warnings_of(
    const ApplyResult& result,
    const std::function<std::string(const std::vector<Rate>& rates)>& command);

// "  Limit 3 (100/h for everyone) applies to news@example.org again."
std::string consequence_line(const std::string& consequence);

}  // namespace limits
