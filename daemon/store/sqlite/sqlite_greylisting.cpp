// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_greylisting.hpp"

#include <algorithm>

namespace policyd {

namespace {

using Time = std::chrono::sys_seconds;

constexpr const char* kFind =
    "SELECT rowid, FirstSeen, Tries FROM {p}greylisting_tracking"
    " WHERE TrackKey = ?1 AND Sender = ?2 AND Recipient = ?3";
constexpr const char* kInsert =
    "INSERT INTO {p}greylisting_tracking"
    " (TrackKey, Sender, Recipient, FirstSeen, LastUpdate, Tries, Count)"
    " VALUES (?1, ?2, ?3, ?4, ?4, 1, 0)";
constexpr const char* kDeferred =
    "UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Tries = Tries + 1 WHERE rowid = ?1";
constexpr const char* kPassed =
    "UPDATE {p}greylisting_tracking SET LastUpdate = ?2, Count = Count + 1 WHERE rowid = ?1";
constexpr const char* kCount =
    "SELECT COUNT(*), COUNT(NULLIF(Count, 0)) FROM {p}greylisting_tracking"
    " WHERE TrackKey = ?1 AND FirstSeen >= ?2";
constexpr const char* kWhite =
    "SELECT LastSeen FROM {p}greylisting_autowhitelist WHERE TrackKey = ?1";
constexpr const char* kRenewWhite =
    "UPDATE {p}greylisting_autowhitelist SET LastSeen = ?2 WHERE TrackKey = ?1";
constexpr const char* kPutWhite =
    "INSERT INTO {p}greylisting_autowhitelist (TrackKey, Added, LastSeen, Comment)"
    " VALUES (?1, ?2, ?2, ?3) ON CONFLICT (TrackKey) DO UPDATE"
    " SET Added = excluded.Added, LastSeen = excluded.LastSeen, Comment = excluded.Comment";
constexpr const char* kBlack = "SELECT Added FROM {p}greylisting_autoblacklist WHERE TrackKey = ?1";
constexpr const char* kPutBlack =
    "INSERT INTO {p}greylisting_autoblacklist (TrackKey, Added, Comment) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (TrackKey) DO UPDATE SET Added = excluded.Added, Comment = excluded.Comment";

// Columns may hold anything. Beyond any plausible time, and far from what a sum could overflow.
constexpr std::int64_t kMax = std::int64_t{1} << 40;

std::int64_t bounded(std::int64_t number) { return std::clamp<std::int64_t>(number, 0, kMax); }

Time to_time(std::int64_t seconds) { return Time{std::chrono::seconds{bounded(seconds)}}; }

std::int64_t to_number(Time time) { return time.time_since_epoch().count(); }

Time first_time(const sql::Statement& row) { return to_time(row.integer(0)); }

}  // namespace

std::optional<Triplet> SqliteGreylisting::find(std::string_view track_key, std::string_view sender,
                                               std::string_view recipient) {
  return first(
      kFind,
      [](const sql::Statement& row) {
        return Triplet{row.integer(0), to_time(row.integer(1)), bounded(row.integer(2))};
      },
      track_key, sender, recipient);
}

void SqliteGreylisting::insert(std::string_view track_key, std::string_view sender,
                               std::string_view recipient, Time now) {
  run(kInsert, track_key, sender, recipient, to_number(now));
}

void SqliteGreylisting::deferred(const Triplet& triplet, Time now) {
  run(kDeferred, triplet.id, to_number(now));
}

void SqliteGreylisting::passed(const Triplet& triplet, Time now) {
  run(kPassed, triplet.id, to_number(now));
}

TripletCounts SqliteGreylisting::count(std::string_view track_key, Time since) {
  const auto counts = first(
      kCount,
      [](const sql::Statement& row) {
        return TripletCounts{row.integer(0), row.integer(1)};
      },
      track_key, to_number(since));
  return counts.value_or(TripletCounts{});
}

std::optional<Time> SqliteGreylisting::auto_whitelist_seen(std::string_view track_key) {
  return first(kWhite, first_time, track_key);
}

void SqliteGreylisting::renew_auto_whitelist(std::string_view track_key, Time now) {
  run(kRenewWhite, track_key, to_number(now));
}

void SqliteGreylisting::auto_whitelist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  run(kPutWhite, track_key, to_number(now), comment);
}

std::optional<Time> SqliteGreylisting::auto_blacklist_added(std::string_view track_key) {
  return first(kBlack, first_time, track_key);
}

void SqliteGreylisting::auto_blacklist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  run(kPutBlack, track_key, to_number(now), comment);
}

}  // namespace policyd
