// SPDX-License-Identifier: AGPL-3.0-only
// Blocks as rows: each is a policy of its own, before all others, with a row of access_control that
// refuses, and whom it stands for as Source of its members. The policy's name has its end, the
// row's Comment who made it (daemon/modules/block.hpp). Nothing here knows the time of the host.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/events/event.hpp"
#include "daemon/modules/block.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

struct StoredBlock {
  std::int64_t policy_id = 0;
  std::int64_t row_id = 0;  // of access_control
  policyd::Block block;
  bool enabled = true;             // the policy and the row, which still refuses
  std::string verdict;             // of the row, in capitals: "REJECT"
  std::string data;                // what a refusal says
  std::vector<std::string> items;  // of the enabled members

  // Accepts mail and holds it instead.
  [[nodiscard]] bool holds() const { return verdict == "HOLD"; }
  [[nodiscard]] bool is_over(policyd::TimePoint now) const {
    return block.until && *block.until <= now;
  }
  [[nodiscard]] bool in_force(policyd::TimePoint now) const {
    return enabled && !items.empty() && !is_over(now);
  }
};

// By their IDs. None in a database without the tables.
Result<std::vector<StoredBlock>> read_blocks(const Tables& tables);

// Those for the same account or client, in whatever spelling.
std::vector<StoredBlock> blocks_of(std::span<const StoredBlock> blocks, const Target& whom,
                                   std::span<const std::string> items);

// The rows of a new block. `verdict`: REJECT or HOLD, or another that somebody chose. `data`: what
// the sender reads.
Result<std::vector<RowChange>> rows_of_block(const Tables& tables, const policyd::Block& block,
                                             std::string_view verdict, std::string_view data,
                                             std::span<const std::string> items);
// Data of a new block.
std::string_view data_of_block(const Target& whom);
std::vector<RowChange> rows_to_delete(std::span<const StoredBlock> blocks);
// Ends a block at `now`, for the Perl daemon too, and keeps what it knows of the account.
std::vector<RowChange> rows_to_end(const StoredBlock& block, policyd::TimePoint now);

// `blocks` of another database instead of those that are there, which are returned. They are not
// made again: what they know of accounts, and when they were made, stays.
Result<std::vector<StoredBlock>> replace_blocks(const Tables& tables,
                                                std::span<const StoredBlock> blocks);

// Those of networks that the client is in, for which `unblock` of the client itself finds nothing.
std::vector<StoredBlock> blocks_around(std::span<const StoredBlock> blocks, const Target& client);

// An event, `locked` or `released`, about whom a block is for.
policyd::Event event_about(policyd::EventKind kind, const policyd::Block& block);
// One for each name that it stands for, so that the counters of all of them begin anew; a login is
// also its address of this domain.
std::vector<policyd::Event> events_about(policyd::EventKind kind, const StoredBlock& block,
                                         const std::string& login_domain);
// `released` without a person's doing: the steps about them go on.
policyd::Event event_of_end(const policyd::Block& block);

}  // namespace limits
