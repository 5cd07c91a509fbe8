// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_writer.hpp"

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "daemon/events/rules_change.hpp"
#include "daemon/store/recovery/file_ids.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class EventWriterTest : public StoreTest {
 protected:
  EventWriterTest() {
    make_database();
    LogSettings log;
    log.file = folder_ / "log";
    events_log_ = std::move(*Maillog::open(log));
    settings_.database = file_;
    settings_.every = Millis{1'000};
    settings_.pause = Millis{0};
  }
  ~EventWriterTest() override { writer_.reset(); }

  void start() {
    writer_ = std::make_unique<EventWriter>(
        loop_, *events_log_, queue_, own_commits_, settings_,
        [this] { return may_write_ ? DatabaseIds::of(file_).to_string() : std::string{}; },
        [] { return kNoon; });
  }

  void note(const std::string& key, TimePoint now = kNoon, EventKind kind = EventKind::refused) {
    queue_.note({kind, "Quotas", 4, key, "defer"}, now);
  }

  // Hands over, and waits for the thread.
  std::string rows(const std::string& wanted, const std::string& what = "count(*)") {
    std::string found;
    for (int i = 0; i < 2000; ++i) {
      loop_.advance(settings_.every);
      found = ask_admin("SELECT " + what + " FROM limits_events");
      if (found == wanted) break;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return found;
  }

  std::string log_text() {
    events_log_->flush();
    std::ifstream file{folder_ / "log"};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

  EventQueue queue_{100};
  OwnCommits own_commits_;
  EventWriterSettings settings_;
  bool may_write_ = true;
  std::unique_ptr<Maillog> events_log_;
  std::unique_ptr<EventWriter> writer_;
};

TEST_F(EventWriterTest, WritesWhatHappenedAndJoinsWhatFollowsInTheMinute) {
  start();
  note("a");
  note("b");
  EXPECT_EQ(rows("2"), "2");
  note("a");
  note("a");
  EXPECT_EQ(rows("4", "sum(Times)"), "4");
  EXPECT_EQ(ask_admin("SELECT Times FROM limits_events WHERE TrackKey = 'a'"), "3");
}

TEST_F(EventWriterTest, WaitsWhileTheDatabaseIsLockedOrInTrouble) {
  start();
  may_write_ = false;
  note("a");
  loop_.advance(settings_.every * 3);
  may_write_ = true;
  admin("BEGIN IMMEDIATE");
  loop_.advance(settings_.every);
  note("b");
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  admin("COMMIT");
  EXPECT_EQ(rows("2"), "2");
}

TEST_F(EventWriterTest, LeavesAFileAloneThatHasTakenTheName) {
  const auto other = folder_ / "other";
  ASSERT_TRUE(create_database(other));
  const std::string files = DatabaseIds::of(file_).to_string();
  std::filesystem::rename(other, file_);
  writer_ = std::make_unique<EventWriter>(
      loop_, *events_log_, queue_, own_commits_, settings_, [&files] { return files; },
      [] { return kNoon; });
  note("a");
  loop_.advance(settings_.every);
  writer_->finish(Millis{300});
  EXPECT_NE(log_text().find("is not the file that was opened"), std::string::npos);
  writer_.reset();
  EXPECT_EQ(ask_admin("SELECT count(*) FROM limits_events"), "0");
}

TEST_F(EventWriterTest, WritesTheRestAtTheEnd) {
  start();
  for (int i = 0; i < 50; ++i) note("k" + std::to_string(i));
  writer_->finish(std::chrono::seconds{10});
  EXPECT_EQ(ask_admin("SELECT count(*) FROM limits_events"), "50");
}

TEST_F(EventWriterTest, SaysAtTheEndWhatIsLost) {
  start();
  admin("BEGIN IMMEDIATE");
  note("a");
  writer_->finish(Millis{300});
  EXPECT_NE(log_text().find("events could not be stored and are lost"), std::string::npos);
  admin("COMMIT");
}

TEST_F(EventWriterTest, BoundsTheRowsOfAMinuteAndSaysHowManyAreLost) {
  settings_.max_rows_a_minute = 10;
  start();
  for (int i = 0; i < 150; ++i) note("k" + std::to_string(i));  // the queue holds 100
  EXPECT_EQ(rows("11"), "11");
  EXPECT_EQ(ask_admin("SELECT Detail LIKE '140 events%' FROM limits_events WHERE Kind = 'trouble'"),
            "1");
  EXPECT_NE(log_text().find("140 events"), std::string::npos);
  note("k149", kNoon + std::chrono::minutes{1});
  EXPECT_EQ(rows("12"), "12") << "the next minute has room again";
}

TEST_F(EventWriterTest, RemovesTheOldestAndFirstWhatMattersLess) {
  settings_.max_rows = 100;
  settings_.prune_every = Millis{10};
  admin(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) "
      "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
      "LastSeen, Times) SELECT i, CASE WHEN i > 140 THEN 'near' ELSE 'refused' END, 'Quotas', 4, "
      "'k' || i, '', 1795348800000 + i, 1795348800000 + i, 1 FROM n");
  start();
  EXPECT_EQ(rows("99"), "99");
  EXPECT_EQ(ask_admin("SELECT count(*) FROM limits_events WHERE Kind = 'near'"), "0");
  EXPECT_EQ(ask_admin("SELECT min(Minute) FROM limits_events"), "42");
}

TEST_F(EventWriterTest, RemovesWhatIsOlderThanThirtyDays) {
  settings_.prune_every = Millis{10};
  for (const int days : {29, 31}) {
    admin(
        "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
        "LastSeen, Times) VALUES (1, 'refused', 'Quotas', 4, 'k" +
        std::to_string(days) + "', '', 0, 1795348800000 - 86400000 * " + std::to_string(days) +
        ", 1)");
  }
  start();
  EXPECT_EQ(rows("1"), "1");
  EXPECT_EQ(ask_admin("SELECT TrackKey FROM limits_events"), "k29");
}

TEST_F(EventWriterTest, TellsChangesOfRulesThatNobodyAnnounced) {
  {
    sql::Transaction transaction{admin_.get()};
    ASSERT_TRUE(transaction.begin_immediate());
    RulesChange change{admin_.get(), ""};
    admin("UPDATE quotas_limits SET CounterLimit = 7 WHERE ID = 4");
    change.announce({"root on pts/0", "carbonio-limits set 3 7/h"}, kNoon);
    ASSERT_TRUE(transaction.commit());
  }
  const auto version = std::stoll(ask_admin("SELECT Version FROM limits_rules_version"));
  start();
  *queue_.note({EventKind::rules, "Core", version, {}, {}}, kNoon) =
      rules_event(version - 1, version, kNoon);
  *queue_.note({EventKind::rules, "Core", version + 2, {}, {}}, kNoon) =
      rules_event(version, version + 2, kNoon);
  EXPECT_EQ(rows("2"), "2");
  EXPECT_EQ(ask_admin("SELECT Who || ': ' || Detail FROM limits_events WHERE Who IS NOT NULL"),
            "root on pts/0: carbonio-limits set 3 7/h");
  EXPECT_EQ(ask_admin("SELECT RowID - " + std::to_string(version) +
                      " FROM limits_events WHERE Detail LIKE 'not by carbonio-limits%'"),
            "2");
}

TEST_F(EventWriterTest, ItsCommitsAreNoneToReadCountersAgainFor) {
  WalIndex index;
  const auto db = open_database(file_, OpenMode::serve, {});
  index.attach(db->get());
  ASSERT_EQ(sql::execute(db->get(), "BEGIN IMMEDIATE"), SQLITE_OK);
  index.remember();
  ASSERT_EQ(sql::execute(db->get(), "COMMIT"), SQLITE_OK);
  start();
  for (int i = 0; i < 3; ++i) {
    note("k" + std::to_string(i));
    EXPECT_EQ(rows(std::to_string(i + 1)), std::to_string(i + 1));
  }
  EXPECT_FALSE(index.is_as_remembered());
  EXPECT_TRUE(index.pass_over(own_commits_));
  admin("UPDATE quotas_limits SET CounterLimit = 8 WHERE ID = 4");
  EXPECT_FALSE(index.pass_over(own_commits_));
}

}  // namespace
}  // namespace policyd
