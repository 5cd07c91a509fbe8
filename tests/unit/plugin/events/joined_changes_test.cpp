// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/joined_changes.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr policyd::TimePoint kThen{std::chrono::hours{500'000}};

Event event_at(policyd::TimePoint at, EventKind kind, const std::string& detail,
               const std::string& key = "") {
  Event event;
  event.kind = kind;
  event.who = "root";
  event.detail = detail;
  event.track_key = key;
  event.first = event.last = at;
  event.times = 1;
  return event;
}

// As they are read, the latest first.
std::vector<Event> joined(const std::vector<Event>& all) {
  std::vector<Event> out;
  for (const Event& event : all) add_change(out, event);
  return out;
}

TEST(JoinedChanges, ABlockIsOne) {
  for (const EventKind kind : {EventKind::locked, EventKind::released}) {
    const Event block = event_at(kThen, kind, "block eve", "Sender:eve");
    const auto out = joined({event_at(kThen + seconds{9}, EventKind::rules, "block eve"),
                             event_at(kThen + seconds{1}, EventKind::rules, "block eve"), block});
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].kind, kind);
  }
}

TEST(JoinedChanges, OtherChangesOfRulesStay) {
  const Event block = event_at(kThen, EventKind::locked, "block eve", "Sender:eve");
  Event other = event_at(kThen, EventKind::rules, "block eve");
  other.who = "anna";
  for (const Event& rules : {event_at(kThen, EventKind::rules, "send 1/h"), other,
                             event_at(kThen + minutes{1}, EventKind::rules, "block eve")}) {
    EXPECT_EQ(joined({rules, block}).size(), 2U) << rules.detail;
  }
}

TEST(JoinedChanges, AResetOfSeveralCountersIsOneWithHowMany) {
  const auto out = joined({event_at(kThen, EventKind::reset, "reset anna", "Sender:anna"),
                           event_at(kThen, EventKind::reset, "reset anna", "SASLUsername:anna"),
                           event_at(kThen, EventKind::reset, "reset bob", "Sender:bob")});
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].times, 2U);
  EXPECT_EQ(out[0].track_key, "");
  EXPECT_EQ(out[1].track_key, "Sender:bob");
}

}  // namespace
}  // namespace limits
