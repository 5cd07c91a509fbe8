// SPDX-License-Identifier: AGPL-3.0-only
// The policies that match all mail: by a member that is any to any, or by several that together
// leave nothing out, such as '$*' and '$-'. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "daemon/rules/match/rows.hpp"

namespace policyd {

// By index of the `policies`. Of each, 64 members with one item are compared at most; '0.0.0.0/0'
// counts as everything, although mail by IPv6 is not within it.
[[nodiscard]] std::vector<bool> policies_for_all_mail(std::span<const MemberRow> members,
                                                      std::span<const GroupRow> groups,
                                                      std::size_t policies);

}  // namespace policyd
