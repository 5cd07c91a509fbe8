// SPDX-License-Identifier: AGPL-3.0-only
// Shared by `init` and `sync`: asks Carbonio for its domains and networks, and prints what changed
// in the two groups. Carbonio is asked as its own user, so before this process becomes the owner of
// the database.
#pragma once

#include <filesystem>

#include "hooks/carbonio/group_sync.hpp"
#include "hooks/carbonio/server_attributes.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/host/this_carbonio.hpp"

namespace limits {

// Whose networks this host's groups have.
carbonio::NetworksOf networks_wanted(const std::filesystem::path& zextras_home);

// The members for this host, whose name is in local config.
tl::expected<carbonio::WantedMembers, Failure> ask_carbonio(
    const std::filesystem::path& zextras_home, const Arguments& arguments);

// One note for everything that Carbonio listed and that is neither a domain nor a network.
void print_skipped(const carbonio::WantedMembers& wanted, Output& output);

// "internal_domains: 2 added, 1 removed, 5 unchanged", and the members that were (with `dry_run`:
// would be) added or removed.
void print_change(const carbonio::GroupsChange& change, bool dry_run, Output& output);

}  // namespace limits
