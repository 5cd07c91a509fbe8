// SPDX-License-Identifier: AGPL-3.0-only
// A more special limit replaces a more general one of the same direction and --per: the general
// one's policy gets `!%NAME-except` on the side that names its target, and the special one's target
// joins that group. (Not by LastQuota, which would end the walk for every limit that follows.) Whom
// the admin exempts (--except) is in the same group, with a comment that says so.
//
// All of it inside the caller's transaction; `all` is what the database holds now and is brought up
// to date. What was done comes back in sentences.
#pragma once

#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

using Sentences = std::vector<std::string>;

// In the column Comment of policy_group_members.
inline constexpr std::string_view kExemptComment = "Exempt";

// Takes the limit out of those that cover it, and the enabled ones that it covers out of itself. A
// policy that serves other limits or modules too is left to them, and the limit in question gets a
// copy of it, since an exception would be one for all of them.
Result<Sentences> replace_general_ones(Changes& changes, AllLimits& all, std::int64_t id);

// The opposite, where a limit goes or is switched off: those that cover it concern its target
// again. Their except-groups go when they are empty.
Result<Sentences> give_back(Changes& changes, AllLimits& all, std::int64_t id);

// Makes `except` those whom the limit does not concern though they have no limit instead.
Result<void> bring_exempt(Changes& changes, AllLimits& all, std::int64_t id,
                          const std::vector<Target>& except);
// Those it is so for now, as items: marked ones, and others that no enabled limit explains.
std::vector<std::string> exempt_items(const AllLimits& all, const StoredLimit& limit);

// The limit's own except-group, where no row names it any more.
Result<void> delete_unused_group(Changes& changes, const std::string& group);

}  // namespace limits
