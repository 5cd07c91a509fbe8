// SPDX-License-Identifier: AGPL-3.0-only
// Notes for the admin who creates a limit: what it expects in the groups internal_domains and
// internal_ips but is missing there. Only reads.
#pragma once

#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// Groups that the limit relies on but that are empty or contain only the example rows of a new
// database.
Result<std::vector<std::string>> example_groups(const Tables& tables, const WantedLimit& wanted);

// One sentence about the domains that the limits name, or whose users they name, but that are not
// in internal_domains; empty if there are none.
Result<std::string> foreign_domains(const Tables& tables, const std::vector<WantedLimit>& wanted);

}  // namespace limits
