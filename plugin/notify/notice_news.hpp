// SPDX-License-Identifier: AGPL-3.0-only
// What has happened since the last notice, as far as a notice is about it. SQLite adds the events
// of a counter up, so that a flood of senders takes no memory here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/events/event.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// Of one kind: how many counters, and those with the most events.
struct NoticeGroup {
  std::size_t counters = 0;
  std::uint64_t times = 0;
  std::vector<policyd::Event> top;
};

struct NoticeGroups {
  NoticeGroup refused;  // by limits and Accounting; other modules refuse what they are meant to
  NoticeGroup near;
  NoticeGroup watched;

  [[nodiscard]] std::size_t counters() const {
    return refused.counters + near.counters + watched.counters;
  }
};

// Single events, such as a change of rules. Who was stopped automatically comes first; of the rest,
// accounts that only stand out give way to what else happened. Each part in the order of time.
struct NoticeIncidents {
  std::size_t count = 0;
  std::size_t stopped = 0;  // of them, accounts and clients stopped automatically
  std::vector<policyd::Event> named;
};

struct NoticeNews {
  std::optional<std::int64_t> upto;  // the ID of the last event that it contains
  std::size_t fresh = 0;             // counters that had no such event within their period before
  NoticeGroups groups;
  NoticeIncidents incidents;  // the count of the cluster, and rules typed by hand

  [[nodiscard]] bool empty() const { return groups.counters() + incidents.count == 0; }
};

// How many of each are named. Who was stopped waits for somebody to end that, so all of them are;
// the bound only keeps a mail readable where [block] per_hour is high.
inline constexpr std::size_t kMaxInNotice = 10;
inline constexpr std::size_t kMaxStopsInNotice = 100;

// Events of minutes that are over: those of the current one are still added to. `all`: the limits
// of now, by which a sender may be free already.
Result<NoticeNews> read_notice_news(const Tables& tables, const NoticeChannel& since,
                                    const AllLimits& all, policyd::TimePoint now);

// What a channel that begins now has been told; nullopt if it cannot be read.
std::optional<std::int64_t> last_event_id(const Tables& tables);

// Those of the minutes from `from` until `to`; none if there is no table.
Result<NoticeGroups> read_groups(const Tables& tables, policyd::TimePoint from,
                                 policyd::TimePoint to, const AllLimits& all);
// Of all kinds that are no mail's; what one command did is one.
Result<NoticeIncidents> read_incidents(const Tables& tables, policyd::TimePoint from,
                                       policyd::TimePoint to);

}  // namespace limits
