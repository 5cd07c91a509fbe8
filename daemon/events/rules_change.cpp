// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/rules_change.hpp"

#include <algorithm>

#include "daemon/events/event_rows.hpp"

namespace policyd {

RulesChange::RulesChange(sqlite3* db, std::string_view table_prefix)
    : db_(db), table_prefix_(table_prefix), before_(version()) {}

std::optional<std::int64_t> RulesChange::version() const {
  return sql::first_integer(db_, "SELECT Version FROM {p}limits_rules_version", table_prefix_);
}

void RulesChange::announce(const Actor& by, TimePoint now) {
  const auto after = version();
  if (!before_ || !after || *before_ == *after) return;
  Event event = rules_event(*before_, *after, now);
  event.who = by.who;
  event.detail = by.what;
  ::policyd::announce(db_, table_prefix_, event);
}

Event rules_event(std::int64_t from, std::int64_t to, TimePoint now) {
  Event event;
  event.kind = EventKind::rules;
  event.row_id = to;
  event.used = static_cast<double>(from);
  event.first = event.last = now;
  return event;
}

bool is_announced(sqlite3* db, std::string_view table_prefix, Event& event) {
  if (event.kind != EventKind::rules || !event.used || !event.detail.empty()) return false;
  auto rows = sql::Statement::prepare(
      db,
      "SELECT Used, RowID FROM {p}limits_events WHERE Kind = 'rules' AND RowID > ?1 ORDER BY RowID",
      table_prefix);
  if (!rows) return false;
  auto known = static_cast<std::int64_t>(*event.used);
  rows->bind(1, known);
  while (known < event.row_id && rows->step() == SQLITE_ROW) {
    if (rows->integer(0) > known) break;  // in between there were others
    known = std::max(known, rows->integer(1));
  }
  if (known >= event.row_id) return true;
  event.detail = "not by carbonio-limits: typed by hand, or by another program";
  return false;
}

}  // namespace policyd
