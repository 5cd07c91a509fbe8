// SPDX-License-Identifier: AGPL-3.0-only
// What `init` and `sync` share: asking Carbonio for its domains and networks, and saying what
// became of the two groups. Carbonio is asked as its own user, so before this process becomes the
// owner of the database.
#pragma once

#include <filesystem>

#include "hooks/carbonio/group_sync.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/host/this_carbonio.hpp"

namespace limits {

// What is wanted for this host, as local config names it.
tl::expected<carbonio::Wanted, Failure> ask_carbonio(const std::filesystem::path& zextras_home,
                                                     const Arguments& arguments);

// One note for all that Carbonio named and that is neither a domain nor a network.
void say_skipped(const carbonio::Wanted& wanted, Output& output);

// "internal_domains: 2 added, 1 removed, 5 unchanged", and each that was, or would be.
void say_change(const carbonio::SeedChange& change, bool dry_run, Output& output);

}  // namespace limits
