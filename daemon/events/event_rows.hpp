// SPDX-License-Identifier: AGPL-3.0-only
// The table limits_events: how events get into it, how they are read, and what bounds it. For the
// daemon's event writer and for commands; the thread of the connection.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/events/event.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

inline constexpr std::int64_t kMaxEventRows = 100'000;
inline constexpr std::chrono::hours kMaxEventAge{24 * 30};

// Writes events within the caller's transaction.
class EventRows {
 public:
  // An Error if there is no such table, as in a database that no daemon of this version has opened.
  static Result<EventRows> of(sqlite3* db, std::string_view table_prefix);

  enum class Stored : std::uint8_t { added, joined, refused, failed };
  // Joins the row of the same kind, counter and minute, or adds one; `refused` if that is not
  // allowed, `failed` if SQLite says so.
  Stored put(const Event& event, bool may_add = true);

 private:
  sql::Statement join_;
  sql::Statement add_;
};

// The columns that event_of() reads, in its order.
inline constexpr std::string_view kEventColumns =
    "ID, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, LastSeen, Times, Client, Login, "
    "Sender, Recipient, Used, CounterLimit, FreeAt, Who, Detail";
// A row of a query for these columns; nullopt if another version wrote a kind that this one does
// not know.
std::optional<Event> event_of(const sql::Statement& row);

// Adds one event by itself, if there is the table, within the caller's transaction. For commands,
// which go on without it: what they do counts, not that it is remembered.
void announce(sqlite3* db, std::string_view table_prefix, const Event& event);

}  // namespace policyd
