// SPDX-License-Identifier: AGPL-3.0-only
// What a change of limits has to know about the rest of the database: who else uses a policy, which
// names and IDs are taken. Only reads.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "plugin/database/change_set.hpp"
#include "plugin/rows/row_changes.hpp"

namespace limits {

struct Surroundings {
  std::unordered_map<std::int64_t, std::size_t> quotas_of_policy;  // how many
  std::unordered_set<std::int64_t> policies_of_modules;  // that have rows of other modules
  std::unordered_set<std::string> groups;                // the names of all
  // How many rows name each except-group, whether it exists or not.
  std::unordered_map<std::string, std::size_t> mentions;
  NextIds ids;
};

Result<Surroundings> read_surroundings(const Tables& tables);

}  // namespace limits
