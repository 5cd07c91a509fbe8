// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_events.hpp"

#include <string>
#include <vector>

#include "daemon/events/event_rows.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

constexpr std::chrono::minutes kMinute{1};

class ResetEventsTest : public StoreTest {
 protected:
  ResetEventsTest() {
    make_database();
    open_store();  // makes the table
  }

  void add(EventKind kind, std::int64_t limit_id, const std::string& key, TimePoint last,
           std::optional<TimePoint> free_at = kNoon + kMinute) {
    Event event;
    event.kind = kind;
    event.module = "Quotas";
    event.row_id = limit_id;
    event.track_key = key;
    event.first = event.last = last;
    event.free_at = free_at;
    announce(admin_.get(), {}, event);
  }
  void refuse(std::int64_t limit_id, const std::string& key, TimePoint last = kNoon - kMinute) {
    add(EventKind::refused, limit_id, key, last);
  }
  // The events of resets that are there then: "4:a 5:".
  std::string announced(std::vector<std::int64_t> limit_ids, std::vector<std::string> keys) {
    const auto done = announce_reset(
        {file_, ""}, {ResetRequest::Kind::clear, std::move(limit_ids), std::move(keys)}, kNoon);
    EXPECT_TRUE(done) << done.error().message;
    return ask_admin(
        "SELECT group_concat(RowID || ':' || TrackKey, ' ') FROM (SELECT * FROM limits_events "
        "WHERE Kind = 'reset' AND Times = 1 ORDER BY RowID, TrackKey)");
  }
};

TEST_F(ResetEventsTest, CountersByWhichMailWasRefusedAreFreed) {
  refuse(4, "a");
  refuse(4, "b");
  refuse(5, "a");
  refuse(6, "a");
  EXPECT_EQ(announced({4, 5}, {"a", "c"}), "4:a 5:a");
}

TEST_F(ResetEventsTest, OfAWholeLimitItIsOneEvent) {
  refuse(4, "a");
  refuse(4, "b");
  EXPECT_EQ(announced({4, 5}, {}), "4:");
}

TEST_F(ResetEventsTest, WhatIsFreeAnywayOrWasRefusedLaterIsNot) {
  add(EventKind::refused, 4, "free", kNoon - kMinute, kNoon);
  add(EventKind::refused, 4, "unknown", kNoon - kMinute, std::nullopt);
  refuse(4, "later", kNoon + Millis{1});
  refuse(4, "then", kNoon);
  EXPECT_EQ(announced({4}, {"free", "unknown", "later", "then"}), "4:then");
}

TEST_F(ResetEventsTest, WhatTheCommandHasAnnouncedIsNotAgain) {
  refuse(4, "a");
  add(EventKind::reset, 4, "a", kNoon - Millis{1}, std::nullopt);
  EXPECT_EQ(announced({4}, {"a"}), "4:a");
  refuse(5, "a");
  add(EventKind::reset, 5, "", kNoon - Millis{1}, std::nullopt);
  EXPECT_EQ(announced({4, 5}, {"a"}), "4:a 5:");
}

TEST_F(ResetEventsTest, AResetBeforeTheRefusalIsAnother) {
  add(EventKind::reset, 4, "a", kNoon - 3 * kMinute, std::nullopt);
  refuse(4, "a");
  EXPECT_EQ(announced({4}, {"a"}), "4:a 4:a");
}

TEST_F(ResetEventsTest, AKeyIsFoundAsFarAsEventsHaveIt) {
  const std::string key(Event::kMaxKey + 10, 'k');
  refuse(4, key);
  EXPECT_EQ(announced({4}, {key}), "4:" + key.substr(0, Event::kMaxKey));
}

}  // namespace
}  // namespace policyd
