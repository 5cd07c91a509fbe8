// SPDX-License-Identifier: AGPL-3.0-only
// The daily report: what was sent and what limits did in a day, beside the same day a week before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/notify/notice_items.hpp"
#include "plugin/notify/notice_news.hpp"

namespace limits {

struct TopSender {
  std::string name;  // the login, else the sender
  std::uint64_t messages = 0;
  std::uint64_t week_before = 0;
};

struct DailyReport {
  policyd::TimePoint from{};
  policyd::TimePoint to{};
  NoticeGroups groups;
  NoticeIncidents changes;
  // By users of this server: with a login, or under one of its domains.
  std::uint64_t messages = 0;
  std::vector<TopSender> senders;
  // Of the week before; nullopt if that was before the tables begin.
  std::optional<NoticeGroups> groups_before;
  std::optional<std::uint64_t> messages_before;
  std::vector<NoticeItem> problems;  // that doctor finds
};

// Without `problems`.
Result<DailyReport> read_report(const Tables& tables, policyd::TimePoint from,
                                policyd::TimePoint to, const AllLimits& all);

}  // namespace limits
