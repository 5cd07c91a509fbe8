// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_rows.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

constexpr TimePoint kNoon{std::chrono::seconds{1795348800}};

class EventRowsTest : public testing::Test {
 protected:
  EventRowsTest() {
    sqlite3* raw = nullptr;
    sqlite3_open(":memory:", &raw);
    db_.reset(raw);
    const std::string columns =
        "ID INTEGER PRIMARY KEY, Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
        "LastSeen, Times, Client, Login, Sender, Recipient, Used, CounterLimit, FreeAt, Who, "
        "Detail";
    sql::execute(raw, ("CREATE TABLE x_limits_events (" + columns + ")").c_str());
  }

  static Event refusal() {
    Event event;
    event.module = "Quotas";
    event.row_id = 4;
    event.track_key = "Sender:anna@example.org";
    event.verdict = "defer";
    event.first = event.last = kNoon;
    event.client = "192.0.2.1";
    event.used = 10;
    event.limit = 10;
    event.free_at = kNoon + std::chrono::minutes{3};
    return event;
  }

  EventRows::Stored put(const Event& event, bool may_add = true) {
    return EventRows::of(db_.get(), "x_")->put(event, may_add);
  }

  std::vector<Event> all() {
    auto rows = sql::Statement::prepare(
        db_.get(), "SELECT " + std::string{kEventColumns} + " FROM x_limits_events");
    std::vector<Event> out;
    while (rows->step() == SQLITE_ROW) {
      if (auto event = event_of(*rows)) out.push_back(std::move(*event));
    }
    return out;
  }

  sql::Handle db_;
};

TEST_F(EventRowsTest, ReadsWhatWasPut) {
  EXPECT_EQ(put(refusal()), EventRows::Stored::added);
  EXPECT_EQ(all(), std::vector{refusal()});
}

TEST_F(EventRowsTest, JoinsEventsOfOneCounterAndMinute) {
  Event later = refusal();
  later.first = later.last = kNoon + std::chrono::seconds{59};
  later.times = 5;
  later.client = "192.0.2.2";
  later.free_at.reset();
  put(refusal());
  EXPECT_EQ(put(later), EventRows::Stored::joined);
  Event both = refusal();
  both.last = later.last;
  both.times = 6;
  both.client = "192.0.2.2";
  EXPECT_EQ(all(), std::vector{both});
}

TEST_F(EventRowsTest, KeepsOtherMinutesCountersAndVerdictsApart) {
  Event next_minute = refusal();
  next_minute.first = next_minute.last = kNoon + std::chrono::seconds{60};
  Event other_key = refusal();
  other_key.track_key = "Sender:bob@example.org";
  Event other_verdict = refusal();
  other_verdict.verdict = "reject";
  Event other_kind = refusal();
  other_kind.kind = EventKind::let_through;
  put(refusal());
  for (const Event& event : {next_minute, other_key, other_verdict, other_kind}) {
    EXPECT_EQ(put(event), EventRows::Stored::added);
  }
}

TEST_F(EventRowsTest, AddsNoneWhereThatIsNotAllowedButJoins) {
  EXPECT_EQ(put(refusal(), false), EventRows::Stored::refused);
  put(refusal());
  EXPECT_EQ(put(refusal(), false), EventRows::Stored::joined);
}

TEST_F(EventRowsTest, CutsLongTextsAtACharacter) {
  Event event = refusal();
  event.sender = std::string(254, 'a') + "\u00fc";
  event.track_key = std::string(600, 'k');
  put(event);
  EXPECT_EQ(all().front().sender, std::string(254, 'a'));
  EXPECT_EQ(all().front().track_key.size(), Event::kMaxKey);
}

TEST_F(EventRowsTest, PassesOverKindsOfLaterVersions) {
  put(refusal());
  sql::execute(db_.get(), "UPDATE x_limits_events SET Kind = 'invented'");
  EXPECT_TRUE(all().empty());
}

TEST_F(EventRowsTest, AnnouncesNothingWithoutTheTable) {
  announce(db_.get(), "other_", refusal());
  announce(db_.get(), "x_", refusal());
  EXPECT_EQ(all().size(), 1);
}

TEST(Event, KindsHaveOneNameEach) {
  for (std::size_t i = 0; i < kEventKinds; ++i) {
    const auto kind = static_cast<EventKind>(i);
    EXPECT_EQ(parse_event_kind(name_of(kind)), kind);
  }
  EXPECT_EQ(parse_event_kind("refusal"), std::nullopt);
}

}  // namespace
}  // namespace policyd
