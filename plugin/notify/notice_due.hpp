// SPDX-License-Identifier: AGPL-3.0-only
// Decides whether a notice is due: the first at once, then at most one in the time that is set, so
// that a flood of refusals is one mail. Pure functions.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/notify/notice_news.hpp"
#include "plugin/notify/notice_state.hpp"

namespace limits {

// What is wrong at the moment: the name of each condition, and a sentence.
using Conditions = std::map<std::string, std::string>;

// Remembers since when each lasts. What a restart of the daemon looks like for a moment is none:
// one lasts if the run before saw it, too.
void follow_conditions(const Conditions& now_wrong, policyd::TimePoint now, NoticeState& state);
// Those that last.
Conditions lasting(const NoticeState& state, policyd::TimePoint now);

// A notice: what is new to a channel.
struct Notice {
  NoticeNews news;
  std::vector<std::string> begun;  // sentences
  std::vector<std::string> ended;
};

Notice notice_for(const NoticeChannel& channel, NoticeNews news, const Conditions& wrong);

// A counter that continues to be refused is no news, but is told once a day. A condition, a lost
// cluster and changed rules wait ten minutes at most.
bool is_due(const Notice& notice, const NoticeChannel& channel, std::chrono::seconds every,
            policyd::TimePoint now);

// Whether the daily report that is made at `scheduled`, which is over, is still to be sent. One
// that could not be sent is tried again after ten minutes.
bool is_report_due(const NoticeChannel& channel, policyd::TimePoint scheduled,
                   policyd::TimePoint now);

}  // namespace limits
