// SPDX-License-Identifier: AGPL-3.0-only
// Whose rules hold when a host joins a cluster: its own, or those that the cluster has published.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/cluster/rules/reconcile.hpp"

namespace limits {

enum class WhoseRules : std::uint8_t {
  first,   // none are published: this host's become the cluster's
  equal,   // nothing to choose
  theirs,  // this host takes the cluster's
  ours,    // the cluster takes this host's
};

// How many limits these rules have (policyd::save_rules), but for the examples of a new database.
policyd::Result<std::size_t> limits_in(std::string_view rules);

struct RulesSides {
  std::optional<std::size_t> theirs;  // number of limits; nullopt: none are published
  std::size_t ours = 0;
  bool equal = false;
};
// An Error that names both options, where both have limits and differ and `asked` is nothing.
policyd::Result<WhoseRules> whose_rules(const RulesSides& sides,
                                        std::optional<policyd::RuleChoice> asked);

}  // namespace limits
