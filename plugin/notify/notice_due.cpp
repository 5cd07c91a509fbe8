// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_due.hpp"

#include <algorithm>
#include <utility>

namespace limits {
namespace {

using policyd::TimePoint;

constexpr std::chrono::seconds kLastsAfter{45};  // runs are a minute apart
constexpr std::chrono::seconds kUrgentEvery{600};
constexpr std::chrono::hours kReminder{24};

}  // namespace

void follow_conditions(const Conditions& now_wrong, TimePoint now, NoticeState& state) {
  std::erase_if(state.conditions,
                [&](const auto& known) { return !now_wrong.contains(known.first); });
  for (const auto& [name, text] : now_wrong) {
    NoticeCondition& known =
        state.conditions.try_emplace(name, NoticeCondition{now, {}}).first->second;
    known.since = std::min(known.since, now);  // the clock may have been set back
    known.text = text;
  }
}

Conditions lasting(const NoticeState& state, TimePoint now) {
  Conditions out;
  for (const auto& [name, condition] : state.conditions) {
    if (now - condition.since >= kLastsAfter) out[name] = condition.text;
  }
  return out;
}

Notice notice_for(const NoticeChannel& channel, NoticeNews news, const Conditions& wrong) {
  Notice out{std::move(news), {}, {}};
  for (const auto& [name, text] : wrong) {
    if (!channel.on.contains(name)) out.begun.push_back(text);
  }
  for (const auto& [name, text] : channel.on) {
    if (!wrong.contains(name)) out.ended.push_back(text);
  }
  return out;
}

bool is_due(const Notice& notice, const NoticeChannel& channel, std::chrono::seconds every,
            TimePoint now) {
  const bool urgent =
      notice.news.incidents.count > 0 || !notice.begun.empty() || !notice.ended.empty();
  if (!urgent && notice.news.empty()) return false;
  // One of a time to come was sent before the clock was set back.
  if (!channel.at || *channel.at > now) return true;
  const auto waited = now - *channel.at;
  if (urgent) return waited >= std::min(every, kUrgentEvery);
  if (notice.news.fresh > 0) return waited >= every;
  return waited >= std::max<std::chrono::seconds>(every, kReminder);
}

bool is_report_due(const NoticeChannel& channel, TimePoint scheduled, TimePoint now) {
  if (channel.reported && *channel.reported >= scheduled) return false;
  const bool may_try = !channel.at || *channel.at > now || now - *channel.at >= kUrgentEvery;
  return channel.problem.empty() || may_try;
}

}  // namespace limits
