// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_news.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/events/event_rows.hpp"
#include "plugin/events/joined_changes.hpp"
#include "plugin/events/refusals.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::TimePoint;
using policyd::sql::first_integer;

// The event writer is behind by a second or two.
constexpr std::chrono::seconds kWrittenWithin{5};

// From which event to which: by ID, or by time.
constexpr std::string_view kById = "ID > ?1 AND ID <= ?2";
constexpr std::string_view kByMinute = "Minute >= ?1 AND Minute < ?2";

// Which kinds.
constexpr std::string_view kOfCounters =
    "(Kind IN ('near', 'watched') OR Kind = 'refused' AND Module IN ('Quotas', 'Accounting'))";
constexpr std::string_view kUrgentKinds =
    "(Kind IN ('engine_lost', 'engine_back', 'suspect') OR Kind = 'rules' AND Who IS NULL OR "
    "Kind = 'locked' AND Verdict <> '')";
constexpr std::string_view kKindsOfNoMail =
    "Kind NOT IN ('refused', 'watched', 'let_through', 'near')";
constexpr std::string_view kStops = "(Kind = 'locked' AND Verdict <> '')";

std::int64_t minute_at(TimePoint time) {
  return std::chrono::floor<std::chrono::minutes>(time).time_since_epoch().count();
}

// Before the first event of a minute that may still grow. Events of a time to come, of before the
// clock was set back, do not.
std::optional<std::int64_t> last_complete_id(const Tables& tables, TimePoint now) {
  const auto first =
      first_integer(tables.db,
                    fmt::format("SELECT ID FROM {{p}}limits_events WHERE Minute BETWEEN {} AND {} "
                                "ORDER BY ID LIMIT 1",
                                minute_at(now - kWrittenWithin), minute_at(now)),
                    tables.prefix);
  return first ? std::optional{*first - 1} : last_event_id(tables);
}

// Where another database was restored, its IDs say nothing.
std::int64_t told_in(const Tables& tables, const NoticeChannel& since, std::int64_t last) {
  if (!since.told) return last;
  if (*since.told <= last) return *since.told;
  if (!since.at) return 0;
  return first_integer(
             tables.db,
             fmt::format("SELECT coalesce(max(ID), 0) FROM {{p}}limits_events WHERE LastSeen < {}",
                         since.at->time_since_epoch().count()),
             tables.prefix)
      .value_or(0);
}

// A counter that was refused is not told again as nearly used up.
std::string of_counters_once(std::string_view where) {
  return fmt::format(
      "{} AND NOT (Kind = 'near' AND (Module, RowID, TrackKey) IN (SELECT Module, RowID, TrackKey "
      "FROM {{p}}limits_events WHERE {} AND Kind = 'refused'))",
      kOfCounters, where);
}

// Reads what lies between two bounds.
class NewsReader {
 public:
  NewsReader(const Tables& tables, std::string_view where, std::int64_t from, std::int64_t to)
      : tables_(tables), where_(where), of_counters_(of_counters_once(where)), bounds_{from, to} {}

  Result<NoticeGroups> groups(const AllLimits& all) {
    NoticeGroups out;
    for (auto done : {count(out), read_top("refused", out.refused.top),
                      read_top("near", out.near.top), read_top("watched", out.watched.top)}) {
      if (!done) return tl::unexpected{done.error()};
    }
    if (auto done = note_who_was_freed(tables_, all, out.refused.top); !done) {
      return tl::unexpected{done.error()};
    }
    return out;
  }

  // Of groups() by ID: counters that had a first event after a period without any.
  Result<std::size_t> fresh() {
    std::size_t out = 0;
    auto done = each(
        fmt::format(
            "SELECT count(*) FROM (SELECT DISTINCT e.Kind, e.Module, e.RowID, e.TrackKey FROM "
            "(SELECT ID, Kind, Module, RowID, TrackKey, FirstSeen, lag(LastSeen) OVER (PARTITION "
            "BY Kind, Module, RowID, TrackKey ORDER BY ID) AS Before FROM {{p}}limits_events "
            "WHERE ID <= ?2 AND {}) AS e "
            "LEFT JOIN {{p}}quotas_limits AS l ON e.Module = 'Quotas' AND l.ID = e.RowID "
            "LEFT JOIN {{p}}quotas AS q ON q.ID = l.QuotasID "
            "WHERE e.ID > ?1 AND (e.Before IS NULL OR e.Before < e.FirstSeen - 1000 * "
            "max(coalesce(q.Period, 3600), 60)))",
            kOfCounters),
        [&](const Row& row) { out = static_cast<std::size_t>(row.integer(0)); });
    if (!done) return tl::unexpected{done.error()};
    return out;
  }

  Result<NoticeIncidents> incidents(std::string_view kinds) {
    NoticeIncidents out;
    auto done = each(fmt::format("SELECT count(*), coalesce(sum({}), 0) FROM {{p}}limits_events "
                                 "WHERE {} AND {}",
                                 kStops, where_, kinds),
                     [&](const Row& row) {
                       out.count = static_cast<std::size_t>(row.integer(0));
                       out.stopped = static_cast<std::size_t>(row.integer(1));
                     });
    if (!done) return tl::unexpected{done.error()};
    const auto name = [&](const std::string& which, std::size_t most) {
      return each(
          fmt::format("SELECT * FROM (SELECT {} FROM {{p}}limits_events WHERE {} AND {} AND {} "
                      "ORDER BY Kind = 'suspect', ID DESC LIMIT {}) ORDER BY ID",
                      policyd::kEventColumns, where_, kinds, which, most),
          [&](const Row& row) {
            if (auto event = policyd::event_of(row)) out.named.push_back(std::move(*event));
          });
    };
    if (done = name(std::string{kStops}, kMaxStopsInNotice); !done) {
      return tl::unexpected{done.error()};
    }
    if (done = name(fmt::format("NOT {}", kStops), kMaxInNotice); !done) {
      return tl::unexpected{done.error()};
    }
    return out;
  }

 private:
  using Row = policyd::sql::Statement;

  Result<void> each(const std::string& query, const std::function<void(const Row&)>& take) {
    std::vector<Value> values;
    values.reserve(bounds_.size());
    for (const std::int64_t bound : bounds_) values.emplace_back(bound);
    return tables_.each(query, values, take);
  }

  Result<void> count(NoticeGroups& into) {
    return each(fmt::format("SELECT Kind, count(*), sum(Times) FROM (SELECT Kind, sum(Times) AS "
                            "Times FROM {{p}}limits_events WHERE {} AND {} GROUP BY Kind, Module, "
                            "RowID, TrackKey) GROUP BY Kind",
                            where_, of_counters_),
                [&](const Row& row) {
                  const std::string_view kind = row.text(0);
                  NoticeGroup& of = kind == "refused" ? into.refused
                                    : kind == "near"  ? into.near
                                                      : into.watched;
                  of.counters = static_cast<std::size_t>(row.integer(1));
                  of.times = static_cast<std::uint64_t>(row.integer(2));
                });
  }

  Result<void> read_top(std::string_view kind, std::vector<Event>& into) {
    return each(
        fmt::format("SELECT e.ID, e.Kind, e.Module, e.RowID, e.TrackKey, e.Verdict, g.First, "
                    "e.LastSeen, g.Sum, e.Client, e.Login, e.Sender, e.Recipient, e.Used, "
                    "e.CounterLimit, e.FreeAt, e.Who, e.Detail FROM (SELECT max(ID) AS Last, "
                    "min(FirstSeen) AS First, sum(Times) AS Sum FROM {{p}}limits_events WHERE {} "
                    "AND {} AND Kind = '{}' GROUP BY Module, RowID, TrackKey ORDER BY Sum DESC, "
                    "Last DESC LIMIT {}) AS g JOIN {{p}}limits_events AS e ON e.ID = g.Last "
                    "ORDER BY g.Sum DESC, g.Last DESC",
                    where_, of_counters_, kind, kMaxInNotice),
        [&](const Row& row) {
          if (auto event = policyd::event_of(row)) into.push_back(std::move(*event));
        });
  }

  const Tables& tables_;
  std::string_view where_;
  std::string of_counters_;
  std::vector<std::int64_t> bounds_;
};

// `changes`: the latest first.
NoticeIncidents named_of(std::vector<Event> changes) {
  NoticeIncidents out;
  out.count = changes.size();
  std::vector<Event> others;
  std::vector<Event> suspects;
  for (Event& event : changes) {
    const bool stop = event.kind == policyd::EventKind::locked && !event.verdict.empty();
    if (stop) ++out.stopped;
    std::vector<Event>& into = stop                                        ? out.named
                               : event.kind == policyd::EventKind::suspect ? suspects
                                                                           : others;
    if (into.size() < (stop ? kMaxStopsInNotice : kMaxInNotice)) into.push_back(std::move(event));
  }
  for (Event& event : suspects) {
    if (others.size() < kMaxInNotice) others.push_back(std::move(event));
  }
  std::reverse(out.named.begin(), out.named.end());
  std::reverse(others.begin(), others.end());
  std::stable_sort(others.begin(), others.end(),
                   [](const Event& a, const Event& b) { return a.last < b.last; });
  for (Event& event : others) out.named.push_back(std::move(event));
  return out;
}

}  // namespace

std::optional<std::int64_t> last_event_id(const Tables& tables) {
  if (!tables.has_table("limits_events")) return 0;
  return first_integer(tables.db, "SELECT coalesce(max(ID), 0) FROM {p}limits_events",
                       tables.prefix);
}

Result<NoticeNews> read_notice_news(const Tables& tables, const NoticeChannel& since,
                                    const AllLimits& all, TimePoint now) {
  NoticeNews out;
  const auto last = last_event_id(tables);
  const auto upto = last_complete_id(tables, now);
  if (!last || !upto) return policyd::failure("the events cannot be read");
  out.upto = upto;
  if (!tables.has_table("limits_events")) return out;
  NewsReader reader{tables, kById, told_in(tables, since, *last), *upto};
  auto groups = reader.groups(all);
  if (!groups) return tl::unexpected{groups.error()};
  const auto fresh = reader.fresh();
  if (!fresh) return tl::unexpected{fresh.error()};
  auto incidents = reader.incidents(kUrgentKinds);
  if (!incidents) return tl::unexpected{incidents.error()};
  out.groups = std::move(*groups);
  out.fresh = *fresh;
  out.incidents = std::move(*incidents);
  return out;
}

Result<NoticeGroups> read_groups(const Tables& tables, TimePoint from, TimePoint to,
                                 const AllLimits& all) {
  if (!tables.has_table("limits_events")) return NoticeGroups{};
  return NewsReader{tables, kByMinute, minute_at(from), minute_at(to)}.groups(all);
}

Result<NoticeIncidents> read_incidents(const Tables& tables, TimePoint from, TimePoint to) {
  if (!tables.has_table("limits_events")) return NoticeIncidents{};
  std::vector<Event> changes;
  const std::vector<Value> bounds = {minute_at(from), minute_at(to)};
  auto done = tables.each(
      fmt::format(
          "SELECT {} FROM {{p}}limits_events WHERE {} AND {} ORDER BY LastSeen DESC, ID DESC",
          policyd::kEventColumns, kByMinute, kKindsOfNoMail),
      bounds, [&](const policyd::sql::Statement& row) {
        if (auto event = policyd::event_of(row)) add_change(changes, std::move(*event));
      });
  if (!done) return tl::unexpected{done.error()};
  return named_of(std::move(changes));
}

}  // namespace limits
