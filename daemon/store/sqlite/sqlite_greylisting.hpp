// SPDX-License-Identifier: AGPL-3.0-only
// greylisting_tracking, greylisting_autowhitelist and greylisting_autoblacklist. Unlike counters
// they are read and written at once, in the batch's open transaction: a triplet is asked about a
// few times in its life, so a cache would not pay. Statements are prepared at their first use,
// since few servers greylist. Part of the SQLite store; the loop's thread.
#pragma once

#include <string>

#include "daemon/log/maillog.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/greylisting_tables.hpp"

namespace policyd {

class SqliteGreylisting final : private GreylistingTables {
 public:
  explicit SqliteGreylisting(Maillog& log) : log_(log) {}

  // `db` is null where nothing can be read or written; statements of a former one are dropped.
  void attach(sqlite3* db, const std::string& table_prefix);

  // The batch's transaction is open: the tables can be used from here on ...
  void begin_batch();
  // ... to here. SQLITE_OK, or the error after which the transaction must not be committed.
  int end_batch();
  // Null outside of the two, and after a failure.
  [[nodiscard]] GreylistingTables* tables() { return usable_ ? this : nullptr; }

 private:
  // Prepared where it is first used.
  struct Lazy {
    const char* text;
    sql::Statement statement;
  };

  std::optional<Triplet> find(std::string_view track_key, std::string_view sender,
                              std::string_view recipient) override;
  void insert(std::string_view track_key, std::string_view sender, std::string_view recipient,
              Time now) override;
  void deferred(const Triplet& triplet, Time now) override;
  void passed(const Triplet& triplet, Time now) override;
  TripletCounts count(std::string_view track_key, Time since) override;
  std::optional<Time> auto_whitelist_seen(std::string_view track_key) override;
  void renew_auto_whitelist(std::string_view track_key, Time now) override;
  void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) override;
  std::optional<Time> auto_blacklist_added(std::string_view track_key) override;
  void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) override;

  // Null where the tables cannot be used.
  sql::Statement* ready(Lazy& lazy);
  // Whether there is a row. The caller resets.
  bool row(sql::Statement& statement);
  void run(sql::Statement& statement);
  std::optional<Time> time_of(Lazy& lazy, std::string_view track_key);
  void fail(int code, const std::string& what);

  Maillog& log_;
  sqlite3* db_ = nullptr;
  std::string table_prefix_;
  bool usable_ = false;
  int code_ = SQLITE_OK;
  std::string logged_;  // the last failure, which is logged once

  Lazy find_{
      "SELECT rowid, FirstSeen, Tries FROM {p}greylisting_tracking"
      " WHERE TrackKey = ?1 AND Sender = ?2 AND Recipient = ?3",
      {}};
  Lazy insert_{
      "INSERT INTO {p}greylisting_tracking"
      " (TrackKey, Sender, Recipient, FirstSeen, LastUpdate, Tries, Count)"
      " VALUES (?1, ?2, ?3, ?4, ?4, 1, 0)",
      {}};
  Lazy deferred_{
      "UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Tries = Tries + 1 WHERE rowid = ?1", {}};
  Lazy passed_{
      "UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Count = Count + 1 WHERE rowid = ?1", {}};
  Lazy count_{
      "SELECT COUNT(*), COUNT(NULLIF(Count, 0)) FROM {p}greylisting_tracking"
      " WHERE TrackKey = ?1 AND FirstSeen >= ?2",
      {}};
  Lazy white_{"SELECT LastSeen FROM {p}greylisting_autowhitelist WHERE TrackKey = ?1", {}};
  Lazy renew_white_{"UPDATE {p}greylisting_autowhitelist SET LastSeen = ?2 WHERE TrackKey = ?1",
                    {}};
  Lazy put_white_{
      "INSERT INTO {p}greylisting_autowhitelist (TrackKey, Added, LastSeen, Comment)"
      " VALUES (?1, ?2, ?2, ?3) ON CONFLICT (TrackKey) DO UPDATE"
      " SET Added = excluded.Added, LastSeen = excluded.LastSeen, Comment = excluded.Comment",
      {}};
  Lazy black_{"SELECT Added FROM {p}greylisting_autoblacklist WHERE TrackKey = ?1", {}};
  Lazy put_black_{
      "INSERT INTO {p}greylisting_autoblacklist (TrackKey, Added, Comment) VALUES (?1, ?2, ?3)"
      " ON CONFLICT (TrackKey) DO UPDATE SET Added = excluded.Added, Comment = excluded.Comment",
      {}};
};

}  // namespace policyd
