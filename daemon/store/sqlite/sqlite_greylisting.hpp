// SPDX-License-Identifier: AGPL-3.0-only
// greylisting_tracking, greylisting_autowhitelist and greylisting_autoblacklist. A triplet is asked
// about a few times in its life, so unlike counters they are not cached. Part of the SQLite store;
// the loop's thread.
#pragma once

#include <algorithm>

#include "daemon/store/greylisting_tables.hpp"
#include "daemon/store/sqlite/lazy_statements.hpp"

namespace policyd {

class SqliteGreylisting final : public LazyStatements, private GreylistingTables {
 public:
  explicit SqliteGreylisting(Maillog& log)
      : LazyStatements(log, "Greylisting", "mail passes without greylisting") {}

  // Null outside of a batch, and after a failure.
  [[nodiscard]] GreylistingTables* tables() { return usable() ? this : nullptr; }

 private:
  std::optional<Triplet> find(std::string_view track_key, std::string_view sender,
                              std::string_view recipient) override {
    const auto read = [](const sql::Statement& row) {
      return Triplet{row.integer(0), to_time(row.integer(1)), bounded(row.integer(2)),
                     to_time(row.integer(3)), bounded(row.integer(4))};
    };
    return first(
        "SELECT rowid, FirstSeen, Tries, LastUpdate, Count FROM {p}greylisting_tracking"
        " WHERE TrackKey = ?1 AND Sender = ?2 AND Recipient = ?3",
        read, track_key, sender, recipient);
  }

  void insert(std::string_view track_key, std::string_view sender, std::string_view recipient,
              Time now) override {
    run("INSERT INTO {p}greylisting_tracking"
        " (TrackKey, Sender, Recipient, FirstSeen, LastUpdate, Tries, Count)"
        " VALUES (?1, ?2, ?3, ?4, ?4, 1, 0)",
        track_key, sender, recipient, to_number(now));
  }

  void set_first_seen(const Triplet& triplet, Time first_seen) override {
    run("UPDATE {p}greylisting_tracking SET FirstSeen = ?2 WHERE rowid = ?1", triplet.id,
        to_number(first_seen));
  }

  void deferred(const Triplet& triplet, Time now) override {
    run("UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Tries = Tries + 1 WHERE rowid = ?1",
        triplet.id, to_number(now));
  }

  void passed(const Triplet& triplet, Time now) override {
    run("UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Count = Count + 1 WHERE rowid = ?1",
        triplet.id, to_number(now));
  }

  TripletCounts count(std::string_view track_key, Time since) override {
    const auto read = [](const sql::Statement& row) {
      return TripletCounts{row.integer(0), row.integer(1)};
    };
    const auto counts = first(
        "SELECT COUNT(*), COUNT(NULLIF(Count, 0)) FROM {p}greylisting_tracking"
        " WHERE TrackKey = ?1 AND FirstSeen >= ?2",
        read, track_key, to_number(since));
    return counts.value_or(TripletCounts{});
  }

  std::optional<Time> auto_whitelist_seen(std::string_view track_key) override {
    return first("SELECT LastSeen FROM {p}greylisting_autowhitelist WHERE TrackKey = ?1",
                 first_time, track_key);
  }

  void renew_auto_whitelist(std::string_view track_key, Time now) override {
    run("UPDATE {p}greylisting_autowhitelist SET LastSeen = ?2 WHERE TrackKey = ?1", track_key,
        to_number(now));
  }

  void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) override {
    run("INSERT INTO {p}greylisting_autowhitelist (TrackKey, Added, LastSeen, Comment)"
        " VALUES (?1, ?2, ?2, ?3) ON CONFLICT (TrackKey) DO UPDATE"
        " SET Added = excluded.Added, LastSeen = excluded.LastSeen, Comment = excluded.Comment",
        track_key, to_number(now), comment);
  }

  std::optional<Time> auto_blacklist_added(std::string_view track_key) override {
    return first("SELECT Added FROM {p}greylisting_autoblacklist WHERE TrackKey = ?1", first_time,
                 track_key);
  }

  void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) override {
    run("INSERT INTO {p}greylisting_autoblacklist (TrackKey, Added, Comment) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (TrackKey) DO UPDATE SET Added = excluded.Added, Comment = excluded.Comment",
        track_key, to_number(now), comment);
  }

  // Columns may hold anything. Beyond any plausible time, and far from what a sum could overflow.
  static constexpr std::int64_t kMax = std::int64_t{1} << 40;
  static std::int64_t bounded(std::int64_t number) {
    return std::clamp<std::int64_t>(number, 0, kMax);
  }
  static Time to_time(std::int64_t seconds) { return Time{std::chrono::seconds{bounded(seconds)}}; }
  static Time first_time(const sql::Statement& row) { return to_time(row.integer(0)); }
  static std::int64_t to_number(Time time) { return time.time_since_epoch().count(); }
};

}  // namespace policyd
