// SPDX-License-Identifier: AGPL-3.0-only
// Groups that the daemon cannot use as they are meant (daemon/rules/match/broken_groups.hpp): a
// list with `!` and such a group matches no mail, and so the limit that has it holds for no one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/rules/match/broken_groups.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// As the daemon reads them: disabled groups have no members.
Result<std::vector<policyd::GroupRow>> read_groups(const Tables& tables);

struct GroupFaults {
  policyd::BrokenGroups sources;
  policyd::BrokenGroups destinations;
};
GroupFaults faults_of(const std::vector<policyd::GroupRow>& groups);

// "group sales cannot be used in a limit, because its member '192.0.2.300' is not a valid address
// or network; correct or remove that member first".
std::string describe(std::string_view name, const policyd::BrokenGroup& broken);

}  // namespace limits
