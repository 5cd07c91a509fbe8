// SPDX-License-Identifier: AGPL-3.0-only
// Which rows of which table are too old (CBPolicyD, "Clean-up"). Part of the clean-up.
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
  std::string condition;  // on ?1, the time before which rows go, and ?2, now
  std::string order;      // after AND: by age (with an index), else by rowid from ?3 on
  bool by_age = false;
  bool removes = true;  // false: no row sets a period, so nothing goes
  std::int64_t before_s = 0;
  std::int64_t now_s = 0;
  std::string reason;     // "older than 30 days"
  std::int64_t rows = 0;  // to be removed, then removed
};

// Periods are the largest of any row, disabled ones too; none or 0: nothing goes.
Result<std::vector<CleanupRule>> cleanup_rules(sqlite3* db, std::string_view table_prefix,
                                               std::chrono::hours sessions, TimePoint now);

}  // namespace policyd
