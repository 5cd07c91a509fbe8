// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/report.hpp"

#include <fmt/core.h>

#include <chrono>
#include <utility>

#include "daemon/events/event.hpp"

namespace limits {
namespace {

using policyd::TimePoint;

constexpr std::chrono::hours kWeek{7 * 24};

// Messages of users of this server: of the week before (?1 to ?2, Now 0) and of the day (?3 to ?4,
// Now 1). Each by the index of its time. Rows without a QueueID are of messages that have not
// ended.
constexpr std::string_view kOwnMessages = R"(
WITH own AS (SELECT lower(m.Member) FROM {p}policy_group_members m
    JOIN {p}policy_groups g ON g.ID = m.PolicyGroupID
    WHERE g.Name = 'internal_domains' AND NOT m.Disabled AND NOT g.Disabled),
  both AS (
    SELECT 0 AS Now, SASLUsername, Sender, QueueID FROM {p}session_tracking
      WHERE UnixTimestamp >= ?1 AND UnixTimestamp < ?2
    UNION ALL SELECT 1, SASLUsername, Sender, QueueID FROM {p}session_tracking
      WHERE UnixTimestamp >= ?3 AND UnixTimestamp < ?4),
  sent AS (SELECT Now, lower(CASE WHEN SASLUsername > '' THEN SASLUsername ELSE Sender END) AS Name
    FROM both WHERE QueueID > ''
      AND (SASLUsername > '' OR lower(substr(Sender, instr(Sender, '@'))) IN own))
)";

std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// Whether a table goes back to `from`; `column` counts in the unit of `from`.
bool goes_back(const Tables& tables, const char* table, const char* column, std::int64_t from) {
  if (!tables.has_table(table)) return false;
  return policyd::sql::first_integer(
             tables.db,
             fmt::format("SELECT 1 FROM {{p}}{} WHERE {} BETWEEN 1 AND {} LIMIT 1", table, column,
                         from),
             tables.prefix)
      .has_value();
}

Result<void> read_messages_of(const Tables& tables, DailyReport& into) {
  if (!tables.has_table("session_tracking") || !tables.has_table("policy_group_members")) return {};
  const std::int64_t before = seconds_of(into.from - kWeek);
  const std::vector<Value> bounds = {before, seconds_of(into.to - kWeek), seconds_of(into.from),
                                     seconds_of(into.to)};
  std::uint64_t messages_before = 0;
  auto done =
      tables.each(std::string{kOwnMessages} + "SELECT coalesce(sum(Now), 0), count(*) FROM sent",
                  bounds, [&](const policyd::sql::Statement& row) {
                    into.messages = static_cast<std::uint64_t>(row.integer(0));
                    messages_before = static_cast<std::uint64_t>(row.integer(1)) - into.messages;
                  });
  if (!done) return done;
  if (goes_back(tables, "session_tracking", "UnixTimestamp", before)) {
    into.messages_before = messages_before;
  }
  return tables.each(
      std::string{kOwnMessages} +
          fmt::format("SELECT Name, sum(Now), sum(1 - Now) FROM sent GROUP BY Name "
                      "HAVING sum(Now) > 0 ORDER BY 2 DESC, 1 LIMIT {}",
                      kMaxInNotice),
      bounds, [&](const policyd::sql::Statement& row) {
        into.senders.push_back({std::string{policyd::cut(row.text(0), policyd::Event::kMaxText)},
                                static_cast<std::uint64_t>(row.integer(1)),
                                static_cast<std::uint64_t>(row.integer(2))});
      });
}

}  // namespace

Result<DailyReport> read_report(const Tables& tables, TimePoint from, TimePoint to,
                                const AllLimits& all) {
  DailyReport out;
  out.from = from;
  out.to = to;
  auto groups = read_groups(tables, from, to, all);
  if (!groups) return tl::unexpected{groups.error()};
  out.groups = std::move(*groups);
  auto changes = read_incidents(tables, from, to);
  if (!changes) return tl::unexpected{changes.error()};
  out.changes = std::move(*changes);
  if (goes_back(tables, "limits_events", "FirstSeen", (from - kWeek).time_since_epoch().count())) {
    auto before = read_groups(tables, from - kWeek, to - kWeek, all);
    if (!before) return tl::unexpected{before.error()};
    out.groups_before = std::move(*before);
  }
  if (auto done = read_messages_of(tables, out); !done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace limits
