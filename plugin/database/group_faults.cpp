// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/group_faults.hpp"

#include <fmt/core.h>

#include <unordered_map>

#include "daemon/base/printable.hpp"

namespace limits {

using policyd::GroupRow;
using policyd::Side;
using policyd::sql::Statement;

Result<std::vector<GroupRow>> read_groups(const Tables& tables) {
  std::vector<GroupRow> out;
  std::unordered_map<std::int64_t, std::size_t> enabled;
  auto done = tables.each("SELECT ID, Name, Disabled IS 0 FROM {p}policy_groups ORDER BY ID", {},
                          [&](const Statement& row) {
                            if (row.integer(2) != 0) enabled.emplace(row.integer(0), out.size());
                            out.push_back({row.integer(0), std::string{row.text(1)}, {}});
                          });
  if (done) {
    done = tables.each(
        "SELECT ID, PolicyGroupID, Member FROM {p}policy_group_members WHERE Disabled = 0 ORDER BY "
        "ID",
        {}, [&](const Statement& row) {
          const auto group = enabled.find(row.integer(1));
          if (group == enabled.end()) return;
          out[group->second].members.push_back({row.integer(0), std::string{row.text(2)}});
        });
  }
  if (!done) return tl::unexpected{done.error()};
  return out;
}

GroupFaults faults_of(const std::vector<GroupRow>& groups) {
  return {policyd::broken_groups(groups, Side::source),
          policyd::broken_groups(groups, Side::destination)};
}

std::string describe(std::string_view name, const policyd::BrokenGroup& broken) {
  const std::string which = broken.group == name
                                ? std::string{"its"}
                                : fmt::format("group {}'s", policyd::printable(broken.group));
  return fmt::format(
      "group {} cannot be used in a limit, because {} member {} {}; correct or "
      "remove that member first",
      policyd::printable(name), which, policyd::in_quotes(broken.item),
      !broken.in_circle      ? "is not a valid address or network"
      : broken.group == name ? "makes it contain itself"
                             : "makes that group contain itself");
}

}  // namespace limits
