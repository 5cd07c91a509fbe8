// SPDX-License-Identifier: AGPL-3.0-only
// The groups internal_domains and internal_ips: whether they know this server, and how they come to
// do so. Only reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

struct GroupRows {
  std::optional<std::int64_t> id;
  bool enabled = false;
  // Enabled ones; among them the examples of a new database, which no one has confirmed, and those
  // that sync or hook wrote.
  std::size_t members = 0;
  std::size_t examples = 0;
  std::size_t synchronised = 0;
};
GroupRows read_group(const Tables& tables, std::string_view name);

// "name each domain of this server in place of DOMAIN: 'carbonio-limits hook
// domain-created DOMAIN'".
std::string how_to_fill(std::string_view own_group);

// Notes for the admin who creates a limit.

// Groups that the limit relies on but that are empty or contain only the example rows of a new
// database, and what fills them.
std::vector<std::string> example_groups(const Tables& tables, const WantedLimit& wanted,
                                        bool carbonio);

// One sentence about the domains that the limits name, or whose users they name, but that are not
// in internal_domains; empty if there are none, or if it does not matter.
Result<std::string> foreign_domains(const Tables& tables, const std::vector<WantedLimit>& wanted,
                                    bool carbonio);

}  // namespace limits
