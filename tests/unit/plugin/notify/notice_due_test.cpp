// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_due.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace limits {
namespace {

using policyd::TimePoint;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kNow{std::chrono::hours{500'000}};
constexpr seconds kEvery{3600};

Notice of_refusals(std::size_t counters, std::size_t fresh) {
  Notice notice;
  notice.news.groups.refused.counters = counters;
  notice.news.fresh = fresh;
  return notice;
}

NoticeChannel told_at(TimePoint at) {
  NoticeChannel channel;
  channel.at = at;
  return channel;
}

TEST(NoticeDue, TellsTheFirstAtOnceAndNothingNever) {
  EXPECT_FALSE(is_due({}, {}, kEvery, kNow));
  EXPECT_FALSE(is_due({}, told_at(kNow - hours{100}), kEvery, kNow));
  EXPECT_TRUE(is_due(of_refusals(1, 1), {}, kEvery, kNow));
}

TEST(NoticeDue, TellsFurtherOnesAtMostOnceInTheTime) {
  const Notice fresh = of_refusals(10'000, 1);
  EXPECT_FALSE(is_due(fresh, told_at(kNow - kEvery + seconds{1}), kEvery, kNow));
  EXPECT_TRUE(is_due(fresh, told_at(kNow - kEvery), kEvery, kNow));
}

TEST(NoticeDue, TellsWhatGoesOnOnceADay) {
  const Notice goes_on = of_refusals(3, 0);
  EXPECT_FALSE(is_due(goes_on, told_at(kNow - hours{24} + seconds{1}), kEvery, kNow));
  EXPECT_TRUE(is_due(goes_on, told_at(kNow - hours{24}), kEvery, kNow));
}

TEST(NoticeDue, LetsTroubleWaitTenMinutesAtMost) {
  Notice urgent;
  urgent.begun = {"ALL MAIL IS DEFERRED"};
  EXPECT_FALSE(is_due(urgent, told_at(kNow - minutes{10} + seconds{1}), kEvery, kNow));
  EXPECT_TRUE(is_due(urgent, told_at(kNow - minutes{10}), kEvery, kNow));
  EXPECT_TRUE(is_due(urgent, told_at(kNow - minutes{1}), minutes{1}, kNow));
  Notice over;
  over.ended = {"x"};
  EXPECT_TRUE(is_due(over, told_at(kNow - minutes{10}), kEvery, kNow));
  Notice incident;
  incident.news.incidents.count = 1;
  EXPECT_TRUE(is_due(incident, told_at(kNow - minutes{10}), kEvery, kNow));
}

TEST(NoticeDue, IsNotSilencedByAClockThatWasSetBack) {
  EXPECT_TRUE(is_due(of_refusals(1, 1), told_at(kNow + hours{5}), kEvery, kNow));
  NoticeState state;
  follow_conditions({{"x", "text"}}, kNow, state);
  follow_conditions({{"x", "text"}}, kNow - hours{1}, state);
  EXPECT_EQ(lasting(state, kNow - hours{1} + seconds{45}).size(), 1U);
}

TEST(NoticeDue, KnowsWhatLastsFromARestart) {
  NoticeState state;
  follow_conditions({{"a", "first"}}, kNow, state);
  EXPECT_TRUE(lasting(state, kNow).empty());
  EXPECT_TRUE(lasting(state, kNow + seconds{44}).empty());
  follow_conditions({{"a", "other words"}}, kNow + seconds{45}, state);
  EXPECT_EQ(lasting(state, kNow + seconds{45}), (Conditions{{"a", "other words"}}));
  follow_conditions({}, kNow + seconds{50}, state);
  EXPECT_TRUE(state.conditions.empty());
}

TEST(NoticeDue, TellsAConditionWhenItBeginsAndWhenItEnds) {
  NoticeChannel channel;
  EXPECT_EQ(notice_for(channel, {}, {{"a", "A"}}).begun, std::vector<std::string>{"A"});
  channel.on = {{"a", "A"}};
  EXPECT_TRUE(notice_for(channel, {}, {{"a", "A again"}}).begun.empty());
  EXPECT_EQ(notice_for(channel, {}, {}).ended, std::vector<std::string>{"A"});
}

TEST(NoticeDue, ReportsOnceADay) {
  NoticeChannel channel;
  channel.reported = kNow - hours{20};
  EXPECT_TRUE(is_report_due(channel, kNow - minutes{1}, kNow));
  EXPECT_FALSE(is_report_due(channel, kNow - hours{20}, kNow));
  channel.at = kNow - minutes{1};  // a notice does not delay it
  EXPECT_TRUE(is_report_due(channel, kNow, kNow));
  channel.problem = "queue file write error";
  EXPECT_FALSE(is_report_due(channel, kNow, kNow));
  channel.at = kNow - minutes{10};
  EXPECT_TRUE(is_report_due(channel, kNow, kNow));
  channel.at = kNow + hours{1};  // the clock was set back
  EXPECT_TRUE(is_report_due(channel, kNow, kNow));
}

}  // namespace
}  // namespace limits
