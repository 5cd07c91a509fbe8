// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/due_steps.hpp"

#include <gtest/gtest.h>

#include <string>

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using policyd::TimePoint;

TimePoint at(int minute) { return TimePoint{std::chrono::minutes{1'000'000 + minute}}; }

Event event(EventKind kind, int minute, const std::string& by, std::string_view verdict) {
  Event out;
  out.kind = kind;
  out.track_key = "SASLUsername:anna";
  out.who = by;
  out.verdict = verdict;
  out.first = out.last = at(minute);
  return out;
}

TEST(StepsTaken, KnowNothingAtFirst) {
  const StepsTaken taken;
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), std::nullopt);
  EXPECT_EQ(taken.count("limit 3", "SASLUsername:anna"), 0U);
}

TEST(StepsTaken, CountThoseOfTheSameLimitAndCounter) {
  StepsTaken taken;  // the newest first
  taken.put(event(EventKind::suspect, 9, "limit 3", "notify"));
  taken.put(event(EventKind::suspect, 5, "limit 3", "notify"));
  EXPECT_EQ(taken.count("limit 3", "SASLUsername:anna"), 2U);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), at(9));
  for (const auto& [by, key] :
       {std::pair{"limit 4", "SASLUsername:anna"}, std::pair{"limit 3", "SASLUsername:bob"}}) {
    EXPECT_EQ(taken.count(by, key), 0U);
    EXPECT_EQ(taken.done_until(by, key), std::nullopt);
  }
}

TEST(StepsTaken, AStepThatCouldNotBeTakenIsStillTheNext) {
  StepsTaken taken;
  taken.put(event(EventKind::suspect, 9, "limit 3", kOnlyNotified));
  taken.put(event(EventKind::suspect, 5, "limit 3", "notify"));
  EXPECT_EQ(taken.count("limit 3", "SASLUsername:anna"), 1U);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), at(9));
}

TEST(StepsTaken, OfOneThatStopsAreDoneForAllLimits) {
  StepsTaken taken;
  taken.put(event(EventKind::locked, 9, "limit 3", "block:1h"));
  EXPECT_EQ(taken.done_until("limit 4", "SASLUsername:anna"), at(9));
  EXPECT_EQ(taken.count("limit 4", "SASLUsername:anna"), 0U);
}

TEST(StepsTaken, BeginAnewAfterAPerson) {
  StepsTaken taken;
  taken.put(event(EventKind::suspect, 20, "limit 3", "notify"));
  taken.put(event(EventKind::released, 15, "root", ""));
  taken.put(event(EventKind::locked, 9, "limit 3", "block:1h"));
  taken.put(event(EventKind::suspect, 5, "limit 3", "notify"));
  EXPECT_EQ(taken.count("limit 3", "SASLUsername:anna"), 1U);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), at(20));
  EXPECT_EQ(taken.done_until("limit 4", "SASLUsername:anna"), at(15));
}

TEST(StepsTaken, KnowANameAsLoginAndAsSender) {
  StepsTaken taken;
  Event released = event(EventKind::released, 15, "root", "");
  released.track_key = "Sender:anna@example.org";
  taken.put(released);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna@example.org"), at(15));
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), std::nullopt);
}

TEST(StepsTaken, KnowALoginInBothSpellings) {
  Event released = event(EventKind::released, 15, "root", "");
  released.track_key = "Sender:anna@example.org";
  StepsTaken taken{"example.org"};
  taken.put(released);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), at(15));
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna@example.net"), std::nullopt);
}

TEST(StepsTaken, GoOnAfterABlockThatEndedByItself) {
  StepsTaken taken;
  taken.put(event(EventKind::released, 15, "cron", "over"));
  taken.put(event(EventKind::locked, 9, "limit 3", "block:1h"));
  EXPECT_EQ(taken.count("limit 3", "SASLUsername:anna"), 1U);
  EXPECT_EQ(taken.done_until("limit 3", "SASLUsername:anna"), at(9));
}

TEST(CanBeForged, IfItCountsByAddress) {
  StoredLimit limit;
  EXPECT_TRUE(can_be_forged(limit));
  limit.what.target = Target{Who::everyone, {}};
  for (const Per per : {Per::user, Per::account, Per::login, Per::client}) {
    limit.what.per = per;
    EXPECT_EQ(can_be_forged(limit), per == Per::user) << name_of(per);
  }
}

TEST(OnlyNotify, SaysThatNobodyWasStopped) {
  DueStep due;
  due.reason = "refused 3 times in a row";
  only_notify(due, kMayBeForged);
  EXPECT_EQ(due.reason, "refused 3 times in a row");
  EXPECT_FALSE(due.only_notifies);
  due.step.kind = Step::Kind::block;
  only_notify(due, kMayBeForged);
  EXPECT_EQ(due.step, Step{});
  EXPECT_TRUE(due.only_notifies);
  EXPECT_EQ(due.reason, "refused 3 times in a row; not stopped: others may have used this address");
}

TEST(NextStep, RepeatsTheLast) {
  const std::vector<Step> steps = *parse_steps("notify,block:1h");
  EXPECT_EQ(next_step(steps, 0).kind, Step::Kind::notify);
  EXPECT_EQ(next_step(steps, 1).kind, Step::Kind::block);
  EXPECT_EQ(next_step(steps, 7).kind, Step::Kind::block);
  EXPECT_EQ(next_step({}, 0), Step{});
}

TEST(NameOfCounter, IsWhatBlockTakes) {
  EXPECT_EQ(name_of_counter("Sender:anna@example.org"), "anna@example.org");
  EXPECT_EQ(name_of_counter("SASLUsername:anna"), "anna");
  EXPECT_EQ(name_of_counter("SASLUsername:a/b@example.org"), "a/b@example.org");
  EXPECT_EQ(why_unnamed("SASLUsername:anna"), "");
  EXPECT_EQ(why_unnamed("SASLUsername:a b"), "no rule can name this sender");
  EXPECT_EQ(name_of_counter("SenderIP:192.0.2.1/32"), "192.0.2.1");
  for (const char* key : {"", "Policy", "Sender:", "Sender:@example.org", "SASLUsername:a b",
                          "Recipient:anna@example.org", "SASLUsername:192.0.2.1", "nonsense"}) {
    EXPECT_EQ(name_of_counter(key), "") << key;
    EXPECT_NE(why_unnamed(key), "") << key;
  }
}

}  // namespace
}  // namespace limits
