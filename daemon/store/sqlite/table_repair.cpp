// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/table_repair.hpp"

#include <fmt/format.h>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"

namespace policyd {

bool TableRepair::recreation_is_due() const {
  return incomplete_since_ &&
         std::chrono::steady_clock::now() - *incomplete_since_ >= recreate_after_;
}

// A rule table that was dropped and recreated has lost its triggers: creates them again, after
// which all rules are reloaded. One that was only dropped is recreated a little later, since the
// script that drops it may be about to do that; until then the previous rules apply. A failure is
// logged and does not stop the batch.
int TableRepair::repair(DatabaseSession& session, std::int64_t rules_version) {
  if (!session.schema_changed()) return SQLITE_OK;
  const auto missing = missing_parts(session.db(), table_prefix_);
  if (!missing) return SQLITE_OK;
  if (missing->empty()) {
    incomplete_since_.reset();
  } else {
    if (!incomplete_since_) incomplete_since_ = std::chrono::steady_clock::now();
    if (!recreation_is_due()) return SQLITE_OK;
  }
  const auto repaired = repair_schema(session.db(), table_prefix_, rules_version);
  if (sqlite3_get_autocommit(session.db()) != 0) return SQLITE_ABORT;  // SQLite rolled back
  if (!repaired) {
    const std::string& what = repaired.error().message;
    if (what != repair_error_) {
      log_.error(fmt::format("tables of the database changed and cannot be repaired: {}", what));
      repair_error_ = what;
    }
    return SQLITE_OK;
  }
  repair_error_.clear();
  incomplete_since_.reset();
  if (!missing->empty()) {
    log_.warning(
        fmt::format("missing in the database, added empty: {}", fmt::join(*missing, ", ")));
  }
  if (*repaired) log_.notice("database tables were recreated: reloading all rules");
  session.remember_schema();
  return SQLITE_OK;
}

}  // namespace policyd
