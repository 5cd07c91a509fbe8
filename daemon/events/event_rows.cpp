// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_rows.hpp"

#include <chrono>

namespace policyd {
namespace {

std::int64_t milliseconds(TimePoint time) { return time.time_since_epoch().count(); }

std::int64_t minute_of(TimePoint time) {
  return std::chrono::floor<std::chrono::minutes>(time).time_since_epoch().count();
}

constexpr std::string_view kJoin = R"(
UPDATE {p}limits_events SET FirstSeen = min(FirstSeen, ?7), LastSeen = max(LastSeen, ?8),
  Times = Times + ?9, Client = coalesce(?10, Client), Login = coalesce(?11, Login),
  Sender = coalesce(?12, Sender), Recipient = coalesce(?13, Recipient), Used = coalesce(?14, Used),
  CounterLimit = coalesce(?15, CounterLimit), FreeAt = coalesce(?16, FreeAt),
  Detail = coalesce(?18, Detail)
WHERE Minute = ?1 AND Kind = ?2 AND Module = ?3 AND RowID = ?4 AND TrackKey = ?5 AND Verdict = ?6
  AND coalesce(Who, '') = coalesce(?17, ''))";

constexpr std::string_view kAdd = R"(
INSERT INTO {p}limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, LastSeen,
  Times, Client, Login, Sender, Recipient, Used, CounterLimit, FreeAt, Who, Detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18))";

void bind_text(sql::Statement& statement, int index, std::string_view text) {
  if (text.empty()) {
    statement.bind_null(index);
  } else {
    statement.bind(index, cut(text, Event::kMaxText));
  }
}

void bind_event(sql::Statement& statement, const Event& event) {
  statement.bind(1, minute_of(event.first))
      .bind(2, name_of(event.kind))
      .bind(3, cut(event.module, Event::kMaxText))
      .bind(4, event.row_id)
      .bind(5, cut(event.track_key, Event::kMaxKey))
      .bind(6, cut(event.verdict, Event::kMaxText))
      .bind(7, milliseconds(event.first))
      .bind(8, milliseconds(event.last))
      .bind(9, static_cast<std::int64_t>(event.times));
  bind_text(statement, 10, event.client);
  bind_text(statement, 11, event.login);
  bind_text(statement, 12, event.sender);
  bind_text(statement, 13, event.recipient);
  event.used ? statement.bind(14, *event.used) : statement.bind_null(14);
  event.limit ? statement.bind(15, *event.limit) : statement.bind_null(15);
  event.free_at ? statement.bind(16, milliseconds(*event.free_at)) : statement.bind_null(16);
  bind_text(statement, 17, event.who);
  bind_text(statement, 18, event.detail);
}

TimePoint time_of(const sql::Statement& row, int column) {
  return TimePoint{Millis{row.integer(column)}};
}

}  // namespace

Result<EventRows> EventRows::of(sqlite3* db, std::string_view table_prefix) {
  EventRows rows;
  auto done = rows.join_.assign(db, kJoin, table_prefix);
  if (done) done = rows.add_.assign(db, kAdd, table_prefix);
  if (!done) return tl::unexpected{done.error()};
  return rows;
}

EventRows::Stored EventRows::put(const Event& event, bool may_add) {
  bind_event(join_, event);
  if (join_.run() != SQLITE_DONE) return Stored::failed;
  if (sqlite3_changes(sqlite3_db_handle(join_.get())) > 0) return Stored::joined;
  if (!may_add) return Stored::refused;
  bind_event(add_, event);
  return add_.run() == SQLITE_DONE ? Stored::added : Stored::failed;
}

std::optional<Event> event_of(const sql::Statement& row) {
  const auto kind = parse_event_kind(row.text(1));
  if (!kind) return std::nullopt;
  Event event;
  event.kind = *kind;
  event.module = row.text(2);
  event.row_id = row.integer(3);
  event.track_key = row.text(4);
  event.verdict = row.text(5);
  event.first = time_of(row, 6);
  event.last = time_of(row, 7);
  event.times = static_cast<std::uint64_t>(row.integer(8));
  event.client = row.text(9);
  event.login = row.text(10);
  event.sender = row.text(11);
  event.recipient = row.text(12);
  if (!row.is_null(13)) event.used = row.real(13);
  if (!row.is_null(14)) event.limit = row.real(14);
  if (!row.is_null(15)) event.free_at = time_of(row, 15);
  event.who = row.text(16);
  event.detail = row.text(17);
  return event;
}

void announce(sqlite3* db, std::string_view table_prefix, const Event& event) {
  auto rows = EventRows::of(db, table_prefix);
  if (rows) static_cast<void>(rows->put(event));
}

}  // namespace policyd
