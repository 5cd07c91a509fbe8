// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/cleanup.hpp"

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

#include "daemon/cleanup/cleanup_schedule.hpp"
#include "daemon/cleanup/fold_counters.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class CleanupTest : public StoreTest {
 protected:
  CleanupTest() {
    settings_.database = file_;
    settings_.pause = Millis{0};
    settings_.patience = Millis{0};
  }

  void clean() {
    said_.clear();
    const auto done = clean_up(
        settings_, kNoon, [this](std::string_view line) { said_ += std::string{line} + "\n"; },
        stop_);
    ASSERT_TRUE(done) << done.error().message;
  }

  // `?` stands for kNoon.
  void insert(const std::string& table, const std::string& columns, std::string values) {
    for (std::size_t at = 0; (at = values.find('?')) != std::string::npos;) {
      values.replace(at, 1, std::to_string(kNoon.time_since_epoch() / seconds{1}));
    }
    admin("INSERT INTO " + table + " (" + columns + ") VALUES " + values);
  }

  std::string left(const std::string& column, const std::string& table) {
    return ask_admin("SELECT coalesce(group_concat(x), '') FROM (SELECT " + column + " AS x FROM " +
                     table + " ORDER BY 1)");
  }

  bool logged(const std::string& words) {
    log_->flush();
    std::ifstream file{folder_ / "log"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    return text.find(words) != std::string::npos;
  }

  CleanupSettings settings_;
  std::atomic<bool> stop_ = false;
  std::string said_;
};

TEST_F(CleanupTest, RemovesSessionsOlderThanTheirAge) {
  make_database();
  insert("session_tracking", "Instance, UnixTimestamp",
         "('at', ?-30*86400), ('above', ?-30*86400-1), ('new', ?), ('future', ?+9), ('years', 1), "
         "('text', 'x')");
  clean();
  EXPECT_EQ(left("Instance", "session_tracking"), "at,future,new,text");
  settings_.sessions = hours{12};
  insert("session_tracking", "Instance, UnixTimestamp", "('h', ?-12*3600-1)");
  clean();
  EXPECT_EQ(left("Instance", "session_tracking"), "future,new,text");
}

TEST_F(CleanupTest, RemovesCountersAfterAMonthUnlessTheirPeriodIsLonger) {
  make_database();
  admin(
      "INSERT INTO quotas (PolicyID, Name, Track, Period) VALUES (6, 'long', 'Policy', 90*86400),"
      " (6, 'strange', 'Policy', 'soon');"
      "INSERT INTO quotas_limits (QuotasID, Type) VALUES (4, 'MessageCount'), (5, 'MessageCount')");
  insert(
      "quotas_tracking", "QuotasLimitsID, TrackKey, LastUpdate",
      "(4, 'at', ?-30*86400), (4, 'above', ?-30*86400-0.5), (99, 'no limit', 1), (4, 'null', NULL),"
      "(5, 'in its period', ?-89*86400), (5, 'beyond', ?-91*86400), (6, 'strange', 1)");
  clean();
  EXPECT_EQ(left("TrackKey", "quotas_tracking"), "at,in its period,null");
}

TEST_F(CleanupTest, RemovesTrackingByTheLargestPeriodOfAnyRow) {
  make_database();
  admin(
      "INSERT INTO greylisting (Name, Track, GreylistUnAuthValidity, GreylistAuthValidity, "
      "AutoWhitelistPeriod,"
      " AutoBlacklistPeriod, Disabled) VALUES ('a', '', 100, 1000, NULL, 30, 0), ('b', '', 200, 0, "
      "40, NULL, 1);"
      "INSERT INTO checkhelo (Name, BlacklistPeriod, HRPPeriod, Disabled) VALUES ('a', 50, NULL, "
      "0),"
      " ('b', 0, 60, 1)");
  insert("greylisting_tracking", "TrackKey, Sender, Recipient, FirstSeen, LastUpdate, Tries, Count",
         "('new', '', '', 0, ?-200, 1, 0), ('old', '', '', 0, ?-201, 1, 0), ('in', '', '', 0, "
         "?-1000, 1, 1),"
         "('out', '', '', 0, ?-1001, 1, 1)");
  insert("greylisting_autowhitelist", "TrackKey, Added, LastSeen",
         "('new', 0, ?-40), ('old', ?, ?-41)");
  insert("greylisting_autoblacklist", "TrackKey, Added", "('new', ?-30), ('old', ?-31)");
  insert("checkhelo_tracking", "Address, Helo, LastUpdate", "('new', '', ?-60), ('old', '', ?-61)");
  clean();
  EXPECT_EQ(left("TrackKey", "greylisting_tracking"), "in,new");
  EXPECT_EQ(left("TrackKey", "greylisting_autowhitelist"), "new");
  EXPECT_EQ(left("TrackKey", "greylisting_autoblacklist"), "new");
  EXPECT_EQ(left("Address", "checkhelo_tracking"), "new");
}

TEST_F(CleanupTest, RemovesNothingIfNoRowSetsAPeriod) {
  make_database();
  admin(
      "INSERT INTO greylisting (Name, Track, GreylistAuthValidity) VALUES ('a', '', 0), ('b', '', "
      "-5),"
      " ('c', '', 'x')");
  insert("greylisting_tracking", "TrackKey, Sender, Recipient, FirstSeen, LastUpdate, Tries, Count",
         "('a', '', '', 0, 1, 1, 0), ('b', '', '', 0, 1, 1, 1)");
  insert("checkhelo_tracking", "Address, Helo, LastUpdate", "('a', '', 1)");
  insert("accounting_tracking", "TrackKey, LastUpdate", "('a', 1)");
  clean();
  EXPECT_EQ(left("TrackKey", "greylisting_tracking"), "a,b");
  EXPECT_EQ(left("Address", "checkhelo_tracking"), "a");
  EXPECT_EQ(left("TrackKey", "accounting_tracking"), "a");
  EXPECT_NE(
      said_.find(
          "checkhelo_tracking         0 rows,  since no row sets BlacklistPeriod or HRPPeriod"),
      std::string::npos)
      << said_;
}

TEST_F(CleanupTest, WorksInSlicesAndReportsWhatItRemoved) {
  make_database();
  admin(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
      " INSERT INTO session_tracking (Instance, UnixTimestamp) SELECT i, i FROM n;"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
      " INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate)"
      " SELECT 4, i, i + (i % 2) * 1795000000 FROM n");
  settings_.slice_rows = 100;
  clean();
  EXPECT_EQ(ask_admin("SELECT count(*) FROM session_tracking"), "0");
  EXPECT_EQ(ask_admin("SELECT count(*) FROM quotas_tracking"), "600");
  const std::string line = "  session_tracking           2500 rows,  ended more than 30 days ago\n";
  const std::size_t before = said_.find(line);
  ASSERT_NE(before, std::string::npos) << said_;
  EXPECT_NE(said_.find(line, before + 1), std::string::npos) << "once before, once after:\n"
                                                             << said_;
  EXPECT_NE(said_.find("is about to remove:\n"), std::string::npos);
  EXPECT_NE(said_.find("  quotas_tracking             600 rows,"), std::string::npos) << said_;
}

TEST_F(CleanupTest, WorksWithAPrefixAndWithoutIndexes) {
  ASSERT_TRUE(create_database(file_, "cb_"));
  connect_admin();
  settings_.table_prefix = "cb_";
  settings_.slice_rows = 2;
  admin("DROP INDEX cb_session_tracking_idx2");
  insert("cb_session_tracking", "Instance, UnixTimestamp",
         "('a', 1), ('b', ?), ('c', 2), ('d', 3), ('e', 4)");
  clean();
  EXPECT_EQ(left("Instance", "cb_session_tracking"), "b");
}

TEST_F(CleanupTest, FailsIfTheDatabaseStaysLocked) {
  make_database();
  admin("BEGIN IMMEDIATE");
  const auto done = clean_up(
      settings_, kNoon, [](std::string_view) {}, stop_);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("locked"), std::string::npos) << done.error().message;
  admin("ROLLBACK");
  settings_.database = folder_ / "none";
  EXPECT_FALSE(clean_up(
      settings_, kNoon, [](std::string_view) {}, stop_));
}

TEST_F(CleanupTest, StopsOnRequest) {
  make_database();
  insert("session_tracking", "Instance, UnixTimestamp", "('a', 1)");
  stop_ = true;
  clean();
  EXPECT_EQ(left("Instance", "session_tracking"), "a");
}

TEST_F(CleanupTest, RecordsItsStart) {
  make_database();
  EXPECT_EQ(last_cleanup(settings_).value(), std::nullopt);
  clean();
  EXPECT_EQ(last_cleanup(settings_).value(), kNoon);
}

// Local time is UTC.
class NextCleanup : public ::testing::Test {
 protected:
  NextCleanup() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  const TimePoint midnight_ = kNoon - hours{12};
  const TimePoint quiet_ = midnight_ + hours{4} + minutes{30};
};

TEST_F(NextCleanup, IsTheFirstQuietTimeAfterTheStartIfThereWasNone) {
  EXPECT_EQ(next_cleanup(std::nullopt, quiet_, quiet_), quiet_);
  EXPECT_EQ(next_cleanup(std::nullopt, quiet_ - seconds{1}, kNoon), quiet_);
  EXPECT_EQ(next_cleanup(std::nullopt, kNoon, kNoon), quiet_ + hours{24});
}

TEST_F(NextCleanup, IsADayAfterTheLast) {
  EXPECT_EQ(next_cleanup(quiet_, kNoon, kNoon), quiet_ + hours{24});
  EXPECT_EQ(next_cleanup(quiet_ + minutes{10}, kNoon, kNoon), quiet_ + hours{24})
      << "it does not drift";
  EXPECT_EQ(next_cleanup(kNoon + hours{9}, kNoon, kNoon + hours{10}), quiet_ + hours{48});
}

TEST_F(NextCleanup, LeavesTheWorkToCron) {
  const TimePoint cron = midnight_ + hours{3} + minutes{35};
  const TimePoint next = next_cleanup(cron, kNoon, kNoon);
  EXPECT_GT(next, cron + hours{24});
  EXPECT_GT(next_cleanup(cron + hours{24}, kNoon, next), next);
}

TEST_F(NextCleanup, CatchesUpAndSurvivesAClockSetBack) {
  EXPECT_LT(next_cleanup(kNoon - hours{24 * 7}, kNoon, kNoon), kNoon);
  EXPECT_LE(next_cleanup(kNoon + hours{24 * 400}, kNoon, kNoon), kNoon + hours{48});
}

class FoldTest : public CleanupTest {
 protected:
  FoldTest() {
    make_database();
    admin(
        "INSERT INTO quotas (ID, PolicyID, Name, Track, Period) VALUES (70, 6, 'q', 'Policy', "
        "3600);"
        "INSERT INTO quotas_limits (ID, QuotasID, Type) VALUES (7, 70, 'MessageCount'), "
        "(8, 70, 'MessageCount')");
  }

  void quota(const std::string& values) {
    insert("quotas_tracking", "QuotasLimitsID, TrackKey, LastUpdate, Counter", values);
  }

  std::size_t fold() {
    const auto done = fold_counters(settings_, kNoon, stop_);
    return done ? *done : 999;
  }
};

TEST_F(FoldTest, JoinsOrRenamesCountersInOtherSpellings) {
  quota(
      "(7, 'SASLUsername:anna', ?, 2), (7, 'SASLUsername:Anna', ?, 3),"
      "(7, 'SASLUsername: anna ', ?-1800, 1), (8, 'SASLUsername:Anna', ?, 4),"
      "(7, 'Sender:Anna@Example.Org', ?, 5), (7, 'Sender:anna@exämple.org', ?, 6),"
      "(7, 'Sender:anna@xn--exmple-cua.org', ?, 1), (7, 'Recipient:JÜRGEN@example.org', ?, 7),"
      "(7, 'Sender:<>', ?, 8), (7, 'Policy', ?, 9), (7, 'SASLUsername:-', ?, 1),"
      "(7, 'SenderIP:2001:0DB8::/32', ?, 1), (7, 'Sender:max m@example.org', ?, 1),"
      "(99, 'Sender:Nobody@x', ?, 1), (7, NULL, ?, 1)");
  const std::string rows = "QuotasLimitsID || ' ' || TrackKey || ' ' || Counter";
  const std::string expected =
      "7 Policy 9,7 Recipient:jürgen@example.org 7,7 SASLUsername:- 1,7 SASLUsername:anna 5.5,"
      "7 Sender:<> 8,7 Sender:anna@example.org 5,7 Sender:anna@xn--exmple-cua.org 7,"
      "7 Sender:max m@example.org 1,7 SenderIP:2001:0DB8::/32 1,8 SASLUsername:anna 4,"
      "99 Sender:Nobody@x 1";
  EXPECT_EQ(fold(), 6U);
  EXPECT_EQ(left(rows, "quotas_tracking"), expected);
  EXPECT_EQ(fold(), 0U);
  EXPECT_EQ(left(rows, "quotas_tracking"), expected);
}

TEST_F(FoldTest, KeepsTheTimesOfBothAndWhatIsInMemory) {
  const std::string ours = "Sender:anna@example.org";
  open_store();
  count(ours, 7, kNoon - seconds{50});
  insert("quotas_tracking", "QuotasLimitsID, TrackKey, LastUpdate, Counter",
         "(4, 'Sender:Anna@example.org', ?-20, 2)");
  EXPECT_EQ(fold(), 1U);
  EXPECT_EQ(count(ours, 1), 9);
  EXPECT_EQ(count(ours, 0, kNoon + seconds{15}), 3);
  EXPECT_EQ(count(ours, 0, kNoon + seconds{45}), 1);
  EXPECT_EQ(left("TrackKey", "quotas_tracking"), ours);
}

TEST_F(FoldTest, AddsUpAccounting) {
  insert(
      "accounting_tracking",
      "AccountingID, TrackKey, PeriodKey, LastUpdate, MessageCount, MessageCumulativeSize",
      "(1, 'Sender:Anna@x.org', '2026-11', 5, 2, 20), (1, 'Sender:anna@x.org', '2026-11', 4, 1, "
      "10), (1, 'Sender:Anna@x.org', '2026-10', 3, 1, 1), (2, 'Sender:Anna@x.org', '2026-11', 1, "
      "9, 9)");
  EXPECT_EQ(fold(), 3U);
  EXPECT_EQ(
      left("AccountingID || TrackKey || PeriodKey || ' ' || LastUpdate || ' ' || MessageCount "
           "|| ' ' || MessageCumulativeSize",
           "accounting_tracking"),
      "1Sender:anna@x.org2026-10 3 1 1,1Sender:anna@x.org2026-11 5 3 30,"
      "2Sender:anna@x.org2026-11 1 9 9");
}

TEST_F(FoldTest, IsBounded) {
  admin(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001) "
      "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
      "SELECT 7, 'SASLUsername:A' || i, 1, 1 FROM n");
  EXPECT_EQ(fold(), kMaxFolded);
  EXPECT_EQ(fold(), 1U);
}

TEST_F(FoldTest, RunsWhenTheDaemonStartsAndIsLoggedOnce) {
  quota("(7, 'SASLUsername:Anna', ?, 2)");
  {
    const CleanupSchedule cleaner{*log_, settings_, [] { return kNoon; }, Millis{1}};
    const auto until = std::chrono::steady_clock::now() + minutes{1};
    while (!logged("1 joined with the name's own") && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(Millis{1});
    }
    quota("(7, 'SASLUsername:Bob', ?, 2)");
    std::this_thread::sleep_for(Millis{20});
  }
  EXPECT_EQ(left("TrackKey", "quotas_tracking"), "SASLUsername:Bob,SASLUsername:anna");
}

TEST_F(CleanupTest, RunsInTheDaemonAndIsLogged) {
  make_database();
  insert("session_tracking", "Instance, UnixTimestamp", "('a', 1)");
  admin(
      "CREATE TABLE limits_cleanup (ID INTEGER PRIMARY KEY, LastRun); INSERT INTO limits_cleanup "
      "VALUES (1, 1)");
  {
    CleanupSchedule cleaner{*log_, settings_, [] { return kNoon; }, Millis{1}};
    // Waits for its report: after removing the row it searches once more and would find the next.
    const auto until = std::chrono::steady_clock::now() + minutes{1};
    while (!logged("removed in") && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(Millis{1});
    }
    EXPECT_EQ(left("Instance", "session_tracking"), "");
    insert("session_tracking", "Instance, UnixTimestamp", "('b', 1)");
    std::this_thread::sleep_for(Millis{20});
  }
  EXPECT_EQ(left("Instance", "session_tracking"), "b") << "twice a day";
}

}  // namespace
}  // namespace policyd
