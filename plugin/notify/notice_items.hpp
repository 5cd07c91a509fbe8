// SPDX-License-Identifier: AGPL-3.0-only
// One event of a notice or a report in words, with the commands that are offered for it. Pure, but
// for the local time zone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/events/event.hpp"
#include "plugin/block/own_names.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// What the words about an event depend on besides: the limits of now, and who is never blocked.
struct NoticeContext {
  AllLimits all;
  OwnNames own;
  std::vector<std::string> never;  // [block] never
};

struct NoticeItem {
  std::string text;  // a sentence or two
  // "To clear the counter", and what is typed for it.
  std::vector<std::pair<std::string, std::string>> commands;
};

// Each of a counter, that is added up over several minutes.
NoticeItem refused_item(const policyd::Event& event, const NoticeContext& context,
                        policyd::TimePoint now);
NoticeItem near_item(const policyd::Event& event, const AllLimits& all, policyd::TimePoint now);
NoticeItem watched_item(const policyd::Event& event, const AllLimits& all, policyd::TimePoint now);
// Of any other kind.
NoticeItem incident_item(const policyd::Event& event, const NoticeContext& context,
                         policyd::TimePoint now);

// "once", "twice", "7 times".
std::string times_words(std::uint64_t times);

}  // namespace limits
