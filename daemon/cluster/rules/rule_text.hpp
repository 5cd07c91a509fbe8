// SPDX-License-Identifier: AGPL-3.0-only
// All rows of the rule tables as bytes, by which MTAs compare and hand over their rules: equal
// rules are equal bytes. Only the columns that every CBPolicyD database has; IDs included, so that
// a limit is the same limit everywhere. What comes from outside is bounded and taken as values,
// never as statements. The thread of the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Larger rules are not shared: some half a million rows.
inline constexpr std::size_t kMaxRuleBytes = 64UL * 1024 * 1024;

// In the caller's transaction. An Error if a table cannot be read, or they or a value are too
// large.
Result<std::string> save_rules(sqlite3* db, std::string_view table_prefix);

// Replaces the rows of all rule tables, in the caller's transaction, which must not be committed
// after an Error: `saved` is not what save_rules() returned, or a row cannot be written.
Result<void> replace_rules(sqlite3* db, std::string_view table_prefix, std::string_view saved);

// The rows as statements that a person can read, and type into sqlite3.
Result<std::string> rules_as_sql(std::string_view saved, std::string_view table_prefix);

// Forty hexadecimal digits, SHA-1: tell rules apart, and installations.
std::string sha1_of(std::string_view saved);

// How many policies and limits (rows of quotas) they have, for messages. 0 for other bytes.
struct RuleCounts {
  std::uint64_t policies = 0;
  std::uint64_t quotas = 0;
};
RuleCounts count_rules(std::string_view saved);

}  // namespace policyd
