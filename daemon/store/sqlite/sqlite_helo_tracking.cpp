// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_helo_tracking.hpp"

namespace policyd {

namespace {

constexpr const char* kUpdate =
    "UPDATE {p}checkhelo_tracking SET LastUpdate = ?3 WHERE Address = ?1 AND Helo = ?2";
constexpr const char* kInsert =
    "INSERT INTO {p}checkhelo_tracking (Address, Helo, LastUpdate) VALUES (?1, ?2, ?3)";
// `+` keeps SQLite from the index on LastUpdate, which would find the rows of all addresses.
constexpr const char* kBlacklisted =
    "SELECT EXISTS (SELECT 1 FROM {p}checkhelo_tracking t"
    " WHERE t.Address = ?1 AND +t.LastUpdate >= ?2 AND EXISTS"
    " (SELECT 1 FROM {p}checkhelo_blacklist b WHERE b.Helo = t.Helo AND b.Disabled = 0))";
constexpr const char* kNames =
    "SELECT COUNT(*) FROM (SELECT 1 FROM {p}checkhelo_tracking"
    " WHERE Address = ?1 AND +LastUpdate >= ?2 LIMIT ?3)";

std::int64_t to_number(HeloTracking::Time time) { return time.time_since_epoch().count(); }

std::int64_t first_number(const sql::Statement& row) { return row.integer(0); }

}  // namespace

void SqliteHeloTracking::note(std::string_view address, std::string_view helo, Time now) {
  const auto updated = run(kUpdate, address, helo, to_number(now));
  if (updated == 0) run(kInsert, address, helo, to_number(now));
}

bool SqliteHeloTracking::used_blacklisted(std::string_view address, Time since) {
  return first(kBlacklisted, first_number, address, to_number(since)).value_or(0) != 0;
}

std::int64_t SqliteHeloTracking::names_used(std::string_view address, Time since,
                                            std::int64_t enough) {
  return first(kNames, first_number, address, to_number(since), enough).value_or(0);
}

}  // namespace policyd
