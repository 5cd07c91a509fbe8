// SPDX-License-Identifier: AGPL-3.0-only
// What a new limit expects of the groups internal_domains and internal_ips, and does not find
// there: sentences for whoever makes it. Only reads.
#pragma once

#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// Groups that the limit relies on and that hold nothing but the example rows of a fresh database.
Result<std::vector<std::string>> example_groups(const Tables& tables, const WantedLimit& wanted);

// The domains that the limits name, or whose users they name, and that are not in internal_domains,
// in one sentence; empty where there is none.
Result<std::string> foreign_domains(const Tables& tables, const std::vector<WantedLimit>& wanted);

}  // namespace limits
