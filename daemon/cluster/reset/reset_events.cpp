// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_events.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/events/event_rows.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

constexpr std::chrono::seconds kEventsPatience{1};

constexpr std::string_view kLastOfCounters = R"(
SELECT Kind = 'reset', RowID, TrackKey, max(LastSeen) FROM {p}limits_events
WHERE Module = 'Quotas' AND
  (Kind = 'reset' OR (Kind IN ('refused', 'watched') AND FreeAt > ?1))
GROUP BY Kind = 'reset', RowID, TrackKey)";

// A row of quotas_limits and a track key; a reset of an empty key is one of all counters of a
// limit.
using CounterOfLimit = std::pair<std::int64_t, std::string>;
// When it was, in ms.
struct LastEvents {
  std::map<CounterOfLimit, std::int64_t> refused;  // by counters that are still full
  std::map<CounterOfLimit, std::int64_t> reset;

  [[nodiscard]] bool is_reset_since(const CounterOfLimit& counter, std::int64_t time) const {
    for (const CounterOfLimit& one : {counter, CounterOfLimit{counter.first, {}}}) {
      const auto found = reset.find(one);
      if (found != reset.end() && found->second >= time) return true;
    }
    return false;
  }
};

Result<LastEvents> last_events(sqlite3* db, std::string_view table_prefix, std::int64_t at) {
  auto rows = sql::Statement::prepare(db, kLastOfCounters, table_prefix);
  if (!rows) return tl::unexpected{rows.error()};
  rows->bind(1, at);
  LastEvents out;
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    auto& events = rows->integer(0) != 0 ? out.reset : out.refused;
    events[{rows->integer(1), std::string{rows->text(2)}}] = rows->integer(3);
  }
  if (code != SQLITE_DONE) return failure(sql::message_of(db));
  return out;
}

// What there is to announce.
std::set<CounterOfLimit> freed_by(const ResetRequest& request, const LastEvents& last,
                                  std::int64_t at) {
  const std::set<std::int64_t> limits{request.limit_ids.begin(), request.limit_ids.end()};
  std::set<std::string_view> keys;
  for (const std::string& key : request.keys) keys.insert(cut(key, Event::kMaxKey));
  std::set<CounterOfLimit> out;
  for (const auto& [counter, time] : last.refused) {
    if (time > at || !limits.contains(counter.first)) continue;
    if (!keys.empty() && !keys.contains(counter.second)) continue;
    if (last.is_reset_since(counter, time)) continue;
    out.emplace(counter.first, keys.empty() ? std::string{} : counter.second);
  }
  return out;
}

}  // namespace

Result<void> announce_reset(const ResetDatabase& database, const ResetRequest& request,
                            TimePoint at) {
  const auto db = open_database(database.file, OpenMode::read_write, kEventsPatience);
  if (!db) return tl::unexpected{db.error()};
  const std::int64_t at_ms = at.time_since_epoch().count();
  const auto last = last_events(db->get(), database.table_prefix, at_ms);
  if (!last) return tl::unexpected{last.error()};
  const auto freed = freed_by(request, *last, at_ms);
  if (freed.empty()) return {};
  sql::Transaction transaction{db->get()};
  if (auto begun = transaction.begin_immediate(); !begun) return begun;
  for (const auto& [limit_id, key] : freed) {
    Event event;
    event.kind = EventKind::reset;
    event.module = "Quotas";
    event.row_id = limit_id;
    event.track_key = key;
    event.first = event.last = at;
    event.who = "the cluster";
    event.detail = "carbonio-limits reset on one of its hosts";
    announce(db->get(), database.table_prefix, event);
  }
  return transaction.commit();
}

}  // namespace policyd
