// SPDX-License-Identifier: AGPL-3.0-only
// A more specific limit replaces a more general one with the same direction and --per: the policy
// of the general one gets `!%NAME-except` on the side that names its target, and the target of the
// specific one becomes a member of that group. (Not by LastQuota, which would skip all limits that
// follow.) Targets that the admin exempts (--except) are in the same group, marked by a comment.
//
// Everything happens in the caller's transaction; `all` holds the current limits and is kept up to
// date. The changes are returned as sentences; whether
// they succeeded, `changes` knows.
#pragma once

#include <string>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

using Sentences = std::vector<std::string>;

// In the column Comment of policy_group_members.
inline constexpr std::string_view kExemptComment = "Exempt";

// Excludes the limit's target from more general limits, and the targets of more specific enabled
// limits from this one. If a policy also serves other limits or modules, an exception would apply
// to all of them, so the limit in question gets a copy of the policy.
Sentences override_general(ChangeSet& changes, AllLimits& all, std::int64_t id);

// The opposite, when a limit is removed or switched off: more general limits apply to its target
// again. Their except-groups are deleted once empty.
Sentences restore_general(ChangeSet& changes, AllLimits& all, std::int64_t id);

// Makes `except` the targets that are exempt from the limit without having another one.
void update_exempt(ChangeSet& changes, AllLimits& all, std::int64_t id,
                   const std::vector<Target>& except);
// The currently exempt ones as items: those marked so, and those that no enabled limit explains.
std::vector<std::string> exempt_items(const AllLimits& all, const StoredLimit& limit);

// Deletes an except-group unless a row still names it.
void delete_unused_group(ChangeSet& changes, const std::string& group);

}  // namespace limits
