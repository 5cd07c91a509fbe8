// SPDX-License-Identifier: AGPL-3.0-only
// Tables that another program has dropped while the database is open: those that it created again
// get their triggers back, those that stay missing are recreated. Part of the SQLite store, in its
// transactions; the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/store/sqlite/database_session.hpp"

namespace policyd {

class TableRepair {
 public:
  // `recreate_after`: so long tables may be missing.
  TableRepair(Maillog& log, std::string table_prefix, Millis recreate_after)
      : log_(log), table_prefix_(std::move(table_prefix)), recreate_after_(recreate_after) {}

  // Whether tables have been missing for so long that repair() recreates them.
  [[nodiscard]] bool recreation_is_due() const;
  // In the open transaction, which must not be committed if this is not SQLITE_OK. After a repair
  // the version of the rules exceeds `rules_version`.
  int repair(DatabaseSession& session, std::int64_t rules_version);

 private:
  Maillog& log_;
  std::string table_prefix_;
  Millis recreate_after_;
  // Since when tables are missing; they are not recreated at once.
  std::optional<std::chrono::steady_clock::time_point> incomplete_since_;
  std::string repair_error_;  // logged already
};

}  // namespace policyd
