// SPDX-License-Identifier: AGPL-3.0-only
// What `block` has put on hold in the queue of this host: Postfix does not remember who held a
// message, and an admin may hold others for reasons of his own. A file beside the database, a line
// of JSON for each time, kept for kHeldFor or until the mail is released. Called as the owner of
// the database.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

inline constexpr std::chrono::hours kHeldFor{24 * 30};

std::filesystem::path held_record_file(const std::filesystem::path& database);

// Before they are held: `items` as of a block's members, `mails` as identity_of() them. An Error,
// with the file's name, if they cannot be stored.
policyd::Result<void> record_held(const std::filesystem::path& file,
                                  std::span<const std::string> items,
                                  const std::vector<std::string>& mails, policyd::TimePoint now);

// After the mail held for one of `items` was released or deleted: others hold what is held later.
policyd::Result<void> record_settled(const std::filesystem::path& file,
                                     std::span<const std::string> items, policyd::TimePoint now);

// What was held for one of some items.
struct HeldRecord {
  std::unordered_set<std::string> mails;
  std::optional<policyd::TimePoint> settled;  // the last time, in whole seconds
};
// Damaged lines are passed over.
policyd::Result<HeldRecord> read_held_record(const std::filesystem::path& file,
                                             std::span<const std::string> items,
                                             policyd::TimePoint now);

}  // namespace limits
