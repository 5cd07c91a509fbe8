// SPDX-License-Identifier: AGPL-3.0-only
// checkhelo_tracking and checkhelo_blacklist, read and written at once in the batch's open
// transaction; no query touches more than the rows of one address. Statements are prepared at
// their first use. Part of the SQLite store; the loop's thread.
#pragma once

#include <string>

#include "daemon/log/maillog.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/helo_tracking.hpp"

namespace policyd {

class SqliteHeloTracking final : private HeloTracking {
 public:
  explicit SqliteHeloTracking(Maillog& log) : log_(log) {}

  // `db` is null where nothing can be read or written; statements of a former one are dropped.
  void attach(sqlite3* db, const std::string& table_prefix);

  // The batch's transaction is open: the tables can be used from here on ...
  void begin_batch();
  // ... to here. SQLITE_OK, or the error after which the transaction must not be committed.
  int end_batch();
  // Null outside of the two, and after a failure.
  [[nodiscard]] HeloTracking* tables() { return usable_ ? this : nullptr; }

 private:
  // Kept by the text they are made from.
  struct Lazy {
    const char* text;
    sql::Statement statement;
  };

  void note(std::string_view address, std::string_view helo, Time now) override;
  bool used_blacklisted(std::string_view address, Time since) override;
  std::int64_t names_used(std::string_view address, Time since, std::int64_t enough) override;

  // Null where the tables cannot be used.
  sql::Statement* ready(Lazy& lazy);
  // The one number that a query answers with; 0 where it fails. Resets.
  std::int64_t number(sql::Statement& select);
  bool run(sql::Statement& statement);
  void fail(int code, const std::string& what);

  Maillog& log_;
  sqlite3* db_ = nullptr;
  std::string table_prefix_;
  bool usable_ = false;
  int code_ = SQLITE_OK;
  std::string logged_;  // the last failure, which is logged once

  Lazy update_{"UPDATE {p}checkhelo_tracking SET LastUpdate = ?3 WHERE Address = ?1 AND Helo = ?2",
               {}};
  Lazy insert_{"INSERT INTO {p}checkhelo_tracking (Address, Helo, LastUpdate) VALUES (?1, ?2, ?3)",
               {}};
  // `+`: the index on LastUpdate would find everybody's rows.
  Lazy blacklisted_{
      "SELECT EXISTS (SELECT 1 FROM {p}checkhelo_tracking t"
      " WHERE t.Address = ?1 AND +t.LastUpdate >= ?2 AND EXISTS"
      " (SELECT 1 FROM {p}checkhelo_blacklist b WHERE b.Helo = t.Helo AND b.Disabled = 0))",
      {}};
  Lazy names_{
      "SELECT COUNT(*) FROM (SELECT 1 FROM {p}checkhelo_tracking"
      " WHERE Address = ?1 AND +LastUpdate >= ?2 LIMIT ?3)",
      {}};
};

}  // namespace policyd
