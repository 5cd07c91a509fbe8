// SPDX-License-Identifier: AGPL-3.0-only
// From rows back to the options of a limit: the inverse of target.hpp. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "plugin/limit/target.hpp"

namespace limits {

// What the rows mean, as far as our options can express it.
struct Recognised {
  std::optional<Direction> direction;
  std::optional<Per> per;
  std::optional<Target> target;
  std::optional<std::string> except_group;
  std::vector<std::string> except_senders;  // of the member for mail without a login
};
// The members of internal_domains: "@example.org".
using OwnDomains = std::unordered_set<std::string>;

// `hint` decides if the rows are the same for both directions (anyone, by client or as a whole).
Recognised recognise(std::span<const MemberText> members, std::string_view track, Direction hint,
                     const OwnDomains& own);

// Describes members that are not recognised: "@example.net to anyone".
std::string members_text(std::span<const MemberText> members);

}  // namespace limits
