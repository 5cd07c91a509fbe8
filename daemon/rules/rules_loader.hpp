// SPDX-License-Identifier: AGPL-3.0-only
// Reads the rule tables into a snapshot: on the loop's thread if the rows are few, else on another
// thread, to be swapped in as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/rules/rules.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Why there is no snapshot.
struct RulesFailure {
  bool too_many_rows = false;  // more than `row_limit`: load on another thread, without a limit
  std::string message;
};

// Reads a consistent snapshot, inside the caller's transaction or in one of its own.
// shared_ptr: the decisions of a batch keep the snapshot they were made with.
tl::expected<std::shared_ptr<const Rules>, RulesFailure> load_rules(
    sqlite3* db, const std::string& table_prefix, std::optional<std::size_t> row_limit);

// The rules version as committed; nullopt if it cannot be read.
std::optional<std::int64_t> read_rules_version(sqlite3* db, const std::string& table_prefix);

}  // namespace policyd
