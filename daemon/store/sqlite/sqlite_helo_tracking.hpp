// SPDX-License-Identifier: AGPL-3.0-only
// checkhelo_tracking and checkhelo_blacklist; no query touches more than the rows of one address.
// Part of the SQLite store; the loop's thread.
#pragma once

#include "daemon/store/helo_tracking.hpp"
#include "daemon/store/sqlite/lazy_statements.hpp"

namespace policyd {

class SqliteHeloTracking final : public LazyStatements, private HeloTracking {
 public:
  explicit SqliteHeloTracking(Maillog& log)
      : LazyStatements(log, "CheckHelo", "HELO names are not tracked") {}

  // Null outside of a batch, and after a failure.
  [[nodiscard]] HeloTracking* tables() { return usable() ? this : nullptr; }

 private:
  void note(std::string_view address, std::string_view helo, Time now) override {
    const auto updated =
        run("UPDATE {p}checkhelo_tracking SET LastUpdate = ?3 WHERE Address = ?1 AND Helo = ?2",
            address, helo, to_number(now));
    if (updated != 0) return;
    run("INSERT INTO {p}checkhelo_tracking (Address, Helo, LastUpdate) VALUES (?1, ?2, ?3)",
        address, helo, to_number(now));
  }

  // `+` keeps SQLite from the index on LastUpdate, which would find the rows of all addresses.
  bool used_blacklisted(std::string_view address, Time since) override {
    const auto used = first(
        "SELECT EXISTS (SELECT 1 FROM {p}checkhelo_tracking t"
        " WHERE t.Address = ?1 AND +t.LastUpdate >= ?2 AND EXISTS"
        " (SELECT 1 FROM {p}checkhelo_blacklist b WHERE b.Helo = t.Helo AND b.Disabled = 0))",
        first_number, address, to_number(since));
    return used.value_or(0) != 0;
  }

  std::int64_t names_used(std::string_view address, Time since, std::int64_t enough) override {
    const auto names = first(
        "SELECT COUNT(*) FROM (SELECT 1 FROM {p}checkhelo_tracking"
        " WHERE Address = ?1 AND +LastUpdate >= ?2 LIMIT ?3)",
        first_number, address, to_number(since), enough);
    return names.value_or(0);
  }

  static std::int64_t first_number(const sql::Statement& row) { return row.integer(0); }
  static std::int64_t to_number(Time time) { return time.time_since_epoch().count(); }
};

}  // namespace policyd
