// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_news.hpp"

#include <fmt/core.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/events/event_rows.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::TimePoint;
using policyd::sql::first_integer;

// The event writer is behind by a second or two.
constexpr std::chrono::seconds kWrittenWithin{5};

constexpr std::string_view kByCounter =
    "ID > ?1 AND ID <= ?2 AND (Kind IN ('near', 'watched') OR Kind = 'refused' AND Module IN "
    "('Quotas', 'Accounting'))";

constexpr std::string_view kIncident =
    "ID > ?1 AND ID <= ?2 AND (Kind IN ('engine_lost', 'engine_back') OR Kind = 'rules' AND Who IS "
    "NULL)";

std::int64_t minute_at(TimePoint time) {
  return std::chrono::floor<std::chrono::minutes>(time).time_since_epoch().count();
}

// Before the first event of a minute that may still grow. Events of a time to come, of before the
// clock was set back, do not.
std::int64_t last_complete_id(const Tables& tables, TimePoint now) {
  const auto first =
      first_integer(tables.db,
                    fmt::format("SELECT ID FROM {{p}}limits_events WHERE Minute BETWEEN {} AND {} "
                                "ORDER BY ID LIMIT 1",
                                minute_at(now - kWrittenWithin), minute_at(now)),
                    tables.prefix);
  return first ? *first - 1 : last_event_id(tables);
}

// Where another database was restored, its IDs say nothing.
std::int64_t told_in(const Tables& tables, const NoticeChannel& since) {
  if (since.told <= last_event_id(tables)) return since.told;
  if (!since.at) return 0;
  return first_integer(
             tables.db,
             fmt::format("SELECT coalesce(max(ID), 0) FROM {{p}}limits_events WHERE LastSeen < {}",
                         since.at->time_since_epoch().count()),
             tables.prefix)
      .value_or(0);
}

class Reader {
 public:
  Reader(const Tables& tables, std::int64_t from, std::int64_t upto)
      : tables_(tables), bounds_{from, upto} {}

  Result<NoticeNews> read() {
    news_.upto = bounds_.back();
    for (auto done : {count(), count_fresh(), read_top("refused", news_.refused.top),
                      read_top("near", news_.near.top), read_top("watched", news_.watched.top),
                      read_incidents()}) {
      if (!done) return tl::unexpected{done.error()};
    }
    return std::move(news_);
  }

 private:
  using Row = policyd::sql::Statement;

  Result<void> each(const std::string& query, const std::function<void(const Row&)>& take) {
    std::vector<Value> values;
    for (const std::int64_t bound : bounds_) values.emplace_back(bound);
    return tables_.each(query, values, take);
  }

  NoticeGroup& group(std::string_view kind) {
    if (kind == "refused") return news_.refused;
    return kind == "near" ? news_.near : news_.watched;
  }

  Result<void> count() {
    return each(fmt::format("SELECT Kind, count(*), sum(Times) FROM (SELECT Kind, sum(Times) AS "
                            "Times FROM {{p}}limits_events WHERE {} GROUP BY Kind, Module, RowID, "
                            "TrackKey) GROUP BY Kind",
                            kByCounter),
                [&](const Row& row) {
                  NoticeGroup& of = group(row.text(0));
                  of.counters = static_cast<std::size_t>(row.integer(1));
                  of.times = static_cast<std::uint64_t>(row.integer(2));
                });
  }

  Result<void> count_fresh() {
    return each(
        fmt::format(
            "SELECT count(*) FROM (SELECT Kind, Module, RowID, TrackKey, min(FirstSeen) AS First "
            "FROM {{p}}limits_events WHERE {} GROUP BY 1, 2, 3, 4) AS fresh "
            "LEFT JOIN (SELECT Kind, Module, RowID, TrackKey, max(LastSeen) AS Last FROM "
            "{{p}}limits_events WHERE ID <= ?1 AND Kind IN ('refused', 'near', 'watched') "
            "GROUP BY 1, 2, 3, 4) AS before USING (Kind, Module, RowID, TrackKey) "
            "LEFT JOIN {{p}}quotas_limits AS l ON fresh.Module = 'Quotas' AND l.ID = fresh.RowID "
            "LEFT JOIN {{p}}quotas AS q ON q.ID = l.QuotasID "
            "WHERE before.Last IS NULL OR before.Last < fresh.First - 1000 * "
            "max(coalesce(q.Period, 3600), 60)",
            kByCounter),
        [&](const Row& row) { news_.fresh = static_cast<std::size_t>(row.integer(0)); });
  }

  Result<void> read_top(std::string_view kind, std::vector<Event>& into) {
    return each(
        fmt::format("SELECT e.ID, e.Kind, e.Module, e.RowID, e.TrackKey, e.Verdict, g.First, "
                    "e.LastSeen, g.Sum, e.Client, e.Login, e.Sender, e.Recipient, e.Used, "
                    "e.CounterLimit, e.FreeAt, e.Who, e.Detail FROM (SELECT max(ID) AS Last, "
                    "min(FirstSeen) AS First, sum(Times) AS Sum FROM {{p}}limits_events WHERE {} "
                    "AND Kind = '{}' GROUP BY Module, RowID, TrackKey ORDER BY Sum DESC, Last DESC "
                    "LIMIT {}) AS g JOIN {{p}}limits_events AS e ON e.ID = g.Last "
                    "ORDER BY g.Sum DESC, g.Last DESC",
                    kByCounter, kind, kMaxInNotice),
        [&](const Row& row) {
          if (auto event = policyd::event_of(row)) into.push_back(std::move(*event));
        });
  }

  Result<void> read_incidents() {
    auto done =
        each(fmt::format("SELECT count(*) FROM {{p}}limits_events WHERE {}", kIncident),
             [&](const Row& row) { news_.incidents = static_cast<std::size_t>(row.integer(0)); });
    if (!done) return done;
    return each(fmt::format("SELECT {} FROM {{p}}limits_events WHERE {} ORDER BY ID DESC LIMIT {}",
                            policyd::kEventColumns, kIncident, kMaxInNotice),
                [&](const Row& row) {
                  if (auto event = policyd::event_of(row)) {
                    news_.latest.insert(news_.latest.begin(), std::move(*event));
                  }
                });
  }

  const Tables& tables_;
  std::vector<std::int64_t> bounds_;
  NoticeNews news_;
};

}  // namespace

std::int64_t last_event_id(const Tables& tables) {
  return first_integer(tables.db, "SELECT coalesce(max(ID), 0) FROM {p}limits_events",
                       tables.prefix)
      .value_or(0);
}

Result<NoticeNews> read_notice_news(const Tables& tables, const NoticeChannel& since,
                                    TimePoint now) {
  if (!tables.has_table("limits_events")) return NoticeNews{};
  return Reader{tables, told_in(tables, since), last_complete_id(tables, now)}.read();
}

}  // namespace limits
