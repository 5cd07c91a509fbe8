// SPDX-License-Identifier: AGPL-3.0-only
// Blocks as people read them, and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "plugin/block/blocks.hpp"

namespace limits {

// "login anna@example.org, login anna and sender anna@example.org", "client 192.0.2.1".
std::string items_text(std::span<const std::string> items);

// "until 2026-11-26 04:00:00", "until unblocked".
// "anna@example.org and 192.0.2.1": whom they block.
std::string names_text(std::span<const StoredBlock> blocks);
// That a database with other contents has the same blocks.
std::string kept_text(std::span<const StoredBlock> blocks);
std::string until_text(const policyd::Block& block);

// The command that ends the block; `options`: "--release".
std::string unblock_command(const policyd::Block& block, std::string_view options = {});

// "in force", "over", "not in force".
std::string_view state_text(const StoredBlock& block, policyd::TimePoint now);

nlohmann::json json_of(const StoredBlock& block, policyd::TimePoint now);

}  // namespace limits
