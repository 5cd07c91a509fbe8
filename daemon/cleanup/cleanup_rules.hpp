// SPDX-License-Identifier: AGPL-3.0-only
// Which rows of each table are old enough to be removed (CBPolicyD, "Clean-up").
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

struct CleanupRule {
  std::string table;
  std::string condition;  // with ?1, the time before which rows are removed, and ?2, now
  std::string order;      // follows AND: by age if there is an index, otherwise by rowid from ?3 on
  bool by_age = false;
  bool removes = true;  // false: no row sets a period or there is no such table
  std::int64_t before_s = 0;
  std::int64_t now_s = 0;
  std::string reason;     // "ended more than 30 days ago"
  std::string problem;    // why this table cannot be cleaned; the others can
  std::int64_t rows = 0;  // to be removed, then removed
};

// A period is the largest of all rows, including disabled ones; if none or 0, nothing is removed.
std::vector<CleanupRule> cleanup_rules(sqlite3* db, std::string_view table_prefix,
                                       std::chrono::hours sessions, TimePoint now);

}  // namespace policyd
