// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/refusals_by_hour.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>

#include "plugin/events/refusals.hpp"
#include "plugin/events/since.hpp"

namespace limits {

Result<RefusalsByHour> count_refusals(const Tables& tables, const EventFilter& filter,
                                      const AllLimits& all) {
  using Row = std::pair<std::string, std::int64_t>;  // a module and its row
  std::map<std::pair<policyd::TimePoint, Row>, std::uint64_t> hours;
  std::unordered_map<std::string, std::uint64_t> whom;
  std::map<Row, policyd::Event> rows;  // one of each, to be named
  RefusalsByHour out;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    policyd::Event& event = stored.event;
    const Row row{event.module, event.module == "Quotas" ? event.row_id : 0};
    hours[{hour_of(event.last), row}] += event.times;
    whom[refused_who(event)] += event.times;
    out.times += event.times;
    rows.try_emplace(row, std::move(event));
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  // Rates of one limit are one.
  std::map<std::pair<policyd::TimePoint, std::string>, RefusalsByHour::Hour> named;
  for (const auto& [key, times] : hours) {
    const auto& [begin, row] = key;
    const policyd::Event& event = rows.at(row);
    const std::string by = row.second == 0 ? row.first : refused_by(all, event);
    RefusalsByHour::Hour& hour = named[{begin, by}];
    hour.begin = begin;
    hour.by = by;
    hour.id = limit_of(event, all);
    hour.times += times;
  }
  out.hours.reserve(named.size());
  for (auto& [key, hour] : named) out.hours.push_back(std::move(hour));
  std::sort(out.hours.begin(), out.hours.end(), [](const auto& a, const auto& b) {
    return std::tie(b.begin, b.times, a.by) < std::tie(a.begin, a.times, b.by);
  });
  out.whom.assign(whom.begin(), whom.end());
  std::sort(out.whom.begin(), out.whom.end(), [](const auto& a, const auto& b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  return out;
}

void print_by_hour(const RefusalsByHour& counts, std::size_t top, policyd::TimePoint now,
                   Output& output) {
  Table hours{{{"HOUR"}, {"BY", false, Shrinks::last}, {"TIMES", true}}};
  for (const RefusalsByHour::Hour& hour : counts.hours) {
    hours.add({{short_time_text(hour.begin, now)}, {hour.by}, {fmt::format("{}", hour.times)}});
  }
  output.print(hours);
  output.line("");
  Table whom{{{"WHO", false, Shrinks::last}, {"TIMES", true}}};
  for (std::size_t i = 0; i < std::min(top, counts.whom.size()); ++i) {
    whom.add({{counts.whom[i].first}, {fmt::format("{}", counts.whom[i].second)}});
  }
  output.print(whom);
}

nlohmann::json json_of(const RefusalsByHour& counts, std::size_t top) {
  nlohmann::json hours = nlohmann::json::array();
  for (const RefusalsByHour::Hour& hour : counts.hours) {
    hours.push_back({{"begin", policyd::to_seconds(hour.begin)},
                     {"by", hour.by},
                     {"id", hour.id ? nlohmann::json(*hour.id) : nlohmann::json(nullptr)},
                     {"times", hour.times}});
  }
  nlohmann::json whom = nlohmann::json::array();
  for (std::size_t i = 0; i < std::min(top, counts.whom.size()); ++i) {
    whom.push_back({{"who", counts.whom[i].first}, {"times", counts.whom[i].second}});
  }
  return {{"times", counts.times}, {"hours", std::move(hours)}, {"whom", std::move(whom)}};
}

}  // namespace limits
