// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/read_events.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "daemon/events/event_rows.hpp"

namespace limits {
namespace {

using policyd::Event;

// The kinds as SQL: they are words of ours.
std::string kinds_in(const std::vector<policyd::EventKind>& kinds) {
  std::string list;
  for (const policyd::EventKind kind : kinds) {
    list += fmt::format("{}'{}'", list.empty() ? "" : ", ", policyd::name_of(kind));
  }
  return list.empty() ? "" : fmt::format(" AND Kind IN ({})", list);
}

}  // namespace

void EventFilter::show_only(std::string_view name, std::vector<std::string> others) {
  who_.emplace(name, std::move(others));
  network_ = KeyNetwork::parse(name);
}

bool EventFilter::shows(const Event& event) const {
  if (limit_ids && (event.module != "Quotas" || std::find(limit_ids->begin(), limit_ids->end(),
                                                          event.row_id) == limit_ids->end())) {
    return false;
  }
  if (!who_) return true;
  if (who_->shows(event.track_key)) return true;
  const auto client = network_ ? policyd::IpAddress::parse(event.client) : std::nullopt;
  if (client && network_->contains(*client)) return true;
  const auto named = [&](const char* kind, const std::string& name, const char* after = "") {
    return !name.empty() && who_->shows(fmt::format("{}:{}{}", kind, name, after));
  };
  return named("SASLUsername", event.login) || named("Sender", event.sender) ||
         named("Recipient", event.recipient) || named("SenderIP", event.client, "/128");
}

Result<void> each_event(const Tables& tables, const EventFilter& filter,
                        const std::function<bool(StoredEvent&&)>& take) {
  if (!tables.has_table("limits_events")) return {};
  auto rows = tables.prepare(
      fmt::format("SELECT {} FROM {{p}}limits_events WHERE LastSeen >= ? AND ID > ?{} "
                  "ORDER BY LastSeen DESC, ID DESC",
                  policyd::kEventColumns, kinds_in(filter.kinds)));
  if (!rows) return tl::unexpected{rows.error()};
  const std::int64_t since = filter.since ? filter.since->time_since_epoch().count()
                                          : std::numeric_limits<std::int64_t>::min();
  rows->bind(1, since).bind(2, filter.after_id);
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    auto event = policyd::event_of(*rows);
    if (!event || !filter.shows(*event)) continue;
    if (!take({rows->integer(0), std::move(*event)})) return {};
  }
  if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
  return {};
}

}  // namespace limits
