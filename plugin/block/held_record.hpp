// SPDX-License-Identifier: AGPL-3.0-only
// What `block` has put on hold in the queue of this host: Postfix does not remember who held a
// message, and an admin may hold others for reasons of his own. A file beside the database, a line
// of JSON for each time, kept for kHeldFor. Called as the owner of the database.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

inline constexpr std::chrono::hours kHeldFor{24 * 30};

std::filesystem::path held_record_file(const std::filesystem::path& database);

// Before they are held: `items` as of a block's members, `queue_ids` as Postfix shows them. An
// Error, with the file's name, if they cannot be stored.
policyd::Result<void> record_held(const std::filesystem::path& file,
                                  std::span<const std::string> items,
                                  const std::vector<std::string>& queue_ids,
                                  policyd::TimePoint now);

// The queue IDs of those that were held for one of `items`. Damaged lines are passed over.
policyd::Result<std::unordered_set<std::string>> held_for(const std::filesystem::path& file,
                                                          std::span<const std::string> items,
                                                          policyd::TimePoint now);

}  // namespace limits
