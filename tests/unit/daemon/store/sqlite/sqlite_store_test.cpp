// SPDX-License-Identifier: AGPL-3.0-only
#include <gtest/gtest.h>
#include "daemon/counting/counters.hpp"

#include <fstream>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

constexpr char kCounter[] =
    "SELECT Counter FROM quotas_tracking WHERE QuotasLimitsID=4 AND TrackKey='k'";

class SqliteStoreTest : public StoreTest {};

TEST_F(SqliteStoreTest, StoresBeforeItSaysSo) {
  make_database();
  open_store();
  EXPECT_EQ(count("k", 3), 0);
  EXPECT_EQ(outcome_, Store::Outcome::stored);
  EXPECT_EQ(ask_admin(kCounter), "3");
  EXPECT_EQ(count("k", 2), 3);
  EXPECT_EQ(ask_admin(kCounter), "5");
}

TEST_F(SqliteStoreTest, KeepsTheWindowAcrossARestart) {
  make_database();
  open_store();
  count("k", 3);
  count("k", 4, kNoon + std::chrono::seconds{30});
  store_.reset();
  open_store();
  // The first three have left, the other four have not.
  EXPECT_EQ(count("k", 1, kNoon + std::chrono::seconds{61}), 4);
}

TEST_F(SqliteStoreTest, MakesADatabaseWhereThereIsNone) {
  open_store();
  EXPECT_TRUE(store_->trouble().empty());
  ASSERT_NE(store_->rules(), nullptr);
  EXPECT_EQ(store_->rules()->policies.size(), 5U);
}

TEST_F(SqliteStoreTest, TakesAnEditOfTheCounterAsItStands) {
  make_database();
  open_store();
  count("k", 9);
  admin("UPDATE quotas_tracking SET Counter = 2");
  EXPECT_EQ(count("k", 1), 2);
  EXPECT_EQ(ask_admin(kCounter), "3");
}

TEST_F(SqliteStoreTest, StartsAgainAtZeroIfTheRowWasDeleted) {
  make_database();
  open_store();
  count("k", 9);
  admin("DELETE FROM quotas_tracking");
  EXPECT_EQ(count("k", 1), 0);
  EXPECT_EQ(ask_admin(kCounter), "1");
}

TEST_F(SqliteStoreTest, TakesOverARowOfThePerlDaemon) {
  make_database();
  admin(
      "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)"
      " VALUES (4, 'k', 1795348770.5, 6.4)");
  open_store();
  EXPECT_EQ(count("k", 1), 7);  // rounded up, as of its LastUpdate half a minute ago
  EXPECT_EQ(count("k", 1, kNoon + std::chrono::seconds{31}), 1);
}

TEST_F(SqliteStoreTest, TakesOverATableWithoutOurColumn) {
  make_database();
  admin(
      "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) VALUES (4, 'k', "
      "1795348800, 6);"
      "ALTER TABLE quotas_tracking DROP COLUMN State;"
      "DROP TABLE limits_rules_version; DROP TABLE limits_counted; DROP TABLE limits_events;"
      "PRAGMA journal_mode=DELETE;");
  for (const char* event : {"INSERT", "UPDATE", "DELETE"}) {
    for (const char* table :
         {"policies", "policy_members", "policy_groups", "policy_group_members", "quotas",
          "accounting", "quotas_limits", "access_control", "greylisting", "greylisting_whitelist",
          "checkhelo", "checkhelo_blacklist", "checkhelo_whitelist", "checkspf"}) {
      admin("DROP TRIGGER limits_" + std::string{table} + "_" + event);
    }
  }
  open_store();
  EXPECT_TRUE(store_->trouble().empty()) << store_->trouble();
  EXPECT_EQ(count("k", 1), 6);
  connect_admin();
  EXPECT_EQ(ask_admin("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(ask_admin("SELECT count(*) FROM limits_events"), "0");
}

TEST_F(SqliteStoreTest, AddsTheTableOfEventsToADatabaseOfAnEarlierVersion) {
  make_database();
  admin("DROP TABLE limits_events; UPDATE limits_rules_version SET SchemaVersion = 1");
  open_store();
  EXPECT_EQ(ask_admin("SELECT count(*) FROM limits_events"), "0");
}

TEST_F(SqliteStoreTest, AppliesARuleOfAnotherConnectionWithTheNextBatch) {
  make_database();
  open_store();
  const auto before = store_->rules()->version;
  admin("UPDATE quotas_limits SET CounterLimit = 99 WHERE ID = 4");
  count("k", 1);
  EXPECT_GT(store_->rules()->version, before);
  EXPECT_EQ(store_->rules()->policies[1].quotas[0].limits[0].counter_limit, 99);
}

TEST_F(SqliteStoreTest, ReadsNoRulesAgainWhereOnlyACounterWasEdited) {
  make_database();
  open_store();
  count("k", 1);
  const auto rules = store_->rules();
  admin("UPDATE quotas_tracking SET Counter = 2");
  count("k", 1);
  EXPECT_EQ(store_->rules(), rules);
}

TEST_F(SqliteStoreTest, ReadsManyRulesOnAnotherThread) {
  make_database();
  open_store();
  const auto before = store_->rules()->version;
  admin(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000)"
      "INSERT INTO policy_group_members (PolicyGroupID, Member) SELECT 2, '@d' || i || '.test' "
      "FROM n");
  count("k", 1);
  EXPECT_EQ(store_->rules()->version, before) << "a batch waited for many rows";
  ASSERT_TRUE(loop_.run_one_from_thread());
  EXPECT_GT(store_->rules()->version, before);
  EXPECT_GT(store_->rules()->row_count, 2000U);
}

TEST_F(SqliteStoreTest, RecreatesTriggersOfARuleTableThatWasRecreated) {
  make_database();
  open_store();
  count("k", 1);
  const std::string schema =
      ask_admin("SELECT sql FROM sqlite_master WHERE name = 'quotas_limits'");
  admin("DROP TABLE quotas_limits; " + schema +
        "; INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit)"
        " VALUES (4, 3, 'MessageCount', 99)");
  count("k", 1);
  EXPECT_EQ(store_->rules()->policies[1].quotas[0].limits[0].counter_limit, 99);
  admin("UPDATE quotas_limits SET CounterLimit = 100");
  count("k", 1);
  EXPECT_EQ(store_->rules()->policies[1].quotas[0].limits[0].counter_limit, 100);
}

TEST_F(SqliteStoreTest, KeepsThePreviousRulesWhileARuleTableIsMissing) {
  make_database();
  open_store();
  const auto rules = store_->rules();
  admin("DROP TABLE quotas_limits");
  EXPECT_EQ(count("k", 1), 0);
  EXPECT_EQ(outcome_, Store::Outcome::stored);
  EXPECT_EQ(store_->rules(), rules);
}

TEST_F(SqliteStoreTest, NoticesManyChangedRulesBetweenBatches) {
  make_database();
  open_store();
  admin(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000)"
      "INSERT INTO policy_group_members (PolicyGroupID, Member) SELECT 2, '@d' || i || '.test' "
      "FROM n");
  loop_.advance(std::chrono::milliseconds{1000});
  if (store_->rules()->row_count < 2000) {
    ASSERT_TRUE(loop_.run_one_from_thread());
  }
  EXPECT_GT(store_->rules()->row_count, 2000U);
}

TEST_F(SqliteStoreTest, NeedsNoLockWhereNothingIsWritten) {
  make_database();
  open_store();
  count("k", 9);
  EXPECT_EQ(peek("k"), 9);  // from here on a batch decides first
  admin("BEGIN IMMEDIATE");
  EXPECT_EQ(peek("k"), 9);
  EXPECT_EQ(outcome_, Store::Outcome::stored);
  EXPECT_TRUE(store_->trouble().empty());
  peek("k", Store::Uses::everything);
  EXPECT_EQ(outcome_, Store::Outcome::remembered);
  admin("COMMIT");
}

TEST_F(SqliteStoreTest, NeedsNoLockForABatchThatMostLikelyOnlyReads) {
  make_database();
  open_store();
  count("k", 9);
  const auto uses = Store::Uses::counters_to_read;
  admin("BEGIN IMMEDIATE");
  EXPECT_EQ(peek("k", uses), 9);
  EXPECT_EQ(outcome_, Store::Outcome::stored);
  admin("COMMIT");
  EXPECT_EQ(count("k", 1, kNoon, uses), 9);
  EXPECT_EQ(ask_admin(kCounter), "10") << "it counted after all";
  admin("UPDATE quotas_tracking SET Counter = 2");
  EXPECT_EQ(peek("k", uses), 2);
}

TEST_F(SqliteStoreTest, SeesAnEditAfterBatchesThatWroteNothing) {
  make_database();
  open_store();
  count("k", 9);
  peek("k");
  EXPECT_EQ(peek("k"), 9);
  admin("UPDATE quotas_tracking SET Counter = 2; UPDATE quotas_limits SET CounterLimit = 99");
  EXPECT_EQ(peek("k"), 2);
  EXPECT_EQ(store_->rules()->policies[1].quotas[0].limits[0].counter_limit, 99);
}

TEST_F(SqliteStoreTest, AddsWhatItCountsToAnEditMadeWhileItDecides) {
  struct Case {
    const char* edit;
    const char* counter;
  };
  make_database();
  open_store();
  for (const auto& [edit, counter] :
       {Case{"UPDATE quotas_tracking SET Counter = 2", "5"},
        Case{"DELETE FROM quotas_tracking", "3"},
        Case{"DELETE FROM quotas_tracking;"
             "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)"
             " VALUES (4, 'k', 1795348800, 1)",
             "4"}}) {
    SCOPED_TRACE(edit);
    admin("DELETE FROM quotas_tracking");
    count("k", 9);
    peek("k");
    bool done = false;
    store_->commit(
        kNoon, Store::Uses::counters,
        [&, edit = edit](Transaction& batch) {
          Counter& row = batch.counter(4, "k");
          admin(edit);  // would wait for a lock of ours
          add(batch, row, 3, kNoon);
        },
        [&](Store::Outcome outcome) { done = outcome == Store::Outcome::stored; });
    EXPECT_TRUE(done);
    EXPECT_EQ(ask_admin(kCounter), counter);
  }
}

TEST_F(SqliteStoreTest, GivesTablesOnlyToBatchesThatUseThem) {
  make_database();
  open_store();
  for (const auto uses : {Store::Uses::counters, Store::Uses::everything}) {
    store_->commit(
        kNoon, uses,
        [&](Transaction& batch) {
          EXPECT_EQ(batch.greylisting() != nullptr, uses == Store::Uses::everything);
          EXPECT_EQ(batch.helo_tracking() != nullptr, uses == Store::Uses::everything);
        },
        [](Store::Outcome) {});
  }
}

TEST_F(SqliteStoreTest, AnswersFromMemoryWhileAnotherConnectionHoldsTheLock) {
  make_database();
  open_store();
  count("k", 1);
  admin("BEGIN IMMEDIATE");
  EXPECT_EQ(count("k", 1), 1);
  EXPECT_EQ(outcome_, Store::Outcome::remembered);
  EXPECT_NE(store_->trouble().find("locked"), std::string::npos) << store_->trouble();
  EXPECT_EQ(count("k", 1), 2);  // the limit still holds
  admin("COMMIT");
  loop_.advance(std::chrono::seconds{1});
  EXPECT_TRUE(store_->trouble().empty());
  EXPECT_EQ(ask_admin(kCounter), "3");
}

TEST_F(SqliteStoreTest, AddsWhatItRememberedToAnEditMadeMeanwhile) {
  make_database();
  open_store();
  count("k", 5, wall_clock());
  admin("BEGIN IMMEDIATE; UPDATE quotas_tracking SET Counter = 1");
  count("k", 2, wall_clock());
  EXPECT_EQ(outcome_, Store::Outcome::remembered);
  admin("COMMIT");
  loop_.advance(std::chrono::seconds{1});
  EXPECT_EQ(ask_admin(kCounter), "3");
}

TEST_F(SqliteStoreTest, StoresAKeyItCouldNotReadOnTopOfItsRow) {
  make_database();
  admin(
      "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)"
      " VALUES (4, 'k', strftime('%s','now'), 5)");
  open_store();
  // Garbage in place of the table's pages cannot be made from here; an exclusive lock can.
  admin("PRAGMA locking_mode=NORMAL; BEGIN EXCLUSIVE");
  count("k", 2, wall_clock());
  admin("COMMIT");
  loop_.advance(std::chrono::seconds{1});
  EXPECT_EQ(ask_admin(kCounter), "7");
}

TEST_F(SqliteStoreTest, StoresAtTheEndWhatItRemembered) {
  make_database();
  open_store();
  admin("BEGIN IMMEDIATE");
  count("k", 4);
  admin("COMMIT");
  store_->close(std::chrono::seconds{1});
  EXPECT_EQ(ask_admin(kCounter), "4");
}

TEST_F(SqliteStoreTest, KnowsAfterARestartWhatWasCounted) {
  make_database();
  open_store();
  const auto batch = [this](const Store::Decide& decide) {
    store_->commit(kNoon, Store::Uses::counters, decide, [](Store::Outcome) {});
  };
  batch([](Transaction& store) {
    EXPECT_FALSE(store.begin_question(1));
    store.changed(store.counter(4, "k"), 1);
    store.end_question(1);
    EXPECT_FALSE(store.begin_question(2));  // refused
    store.changed(store.counter(4, "k"), 0);
    EXPECT_FALSE(store.begin_question(3));  // for which nothing was written
    store.end_question(3);
  });
  store_.reset();
  open_store();
  batch([](Transaction& store) {
    EXPECT_TRUE(store.begin_question(1));
    EXPECT_FALSE(store.begin_question(2));
    EXPECT_FALSE(store.begin_question(3));
  });
  // It is asked again and decided without counting; then there is another crash.
  for (int i = 0; i < 20; ++i) count("other", 1);
  batch([](Transaction& store) {
    EXPECT_TRUE(store.begin_question(1));
    store.end_question(1);
  });
  store_.reset();
  open_store();
  batch([](Transaction& store) { EXPECT_TRUE(store.begin_question(1)); });
}

TEST_F(SqliteStoreTest, SaysWhatIsWrongWithAFileThatIsNoDatabase) {
  std::ofstream{file_} << std::string(5000, 'x');
  open_store();
  EXPECT_NE(store_->trouble().find("not a database"), std::string::npos) << store_->trouble();
  EXPECT_EQ(store_->rules(), nullptr);
}

TEST_F(SqliteStoreTest, WorksAgainOnceTheFileIsGood) {
  std::ofstream{file_} << std::string(5000, 'x');
  open_store();
  std::filesystem::remove(file_);
  make_database();
  loop_.advance(std::chrono::seconds{30});
  EXPECT_TRUE(store_->trouble().empty()) << store_->trouble();
  EXPECT_NE(store_->rules(), nullptr);
  EXPECT_EQ(count("k", 1), 0);
  EXPECT_EQ(outcome_, Store::Outcome::stored);
}

TEST_F(SqliteStoreTest, KeepsTheLogShortUnderConstantTraffic) {
  make_database();
  open_store();
  std::uintmax_t largest = 0;
  for (int i = 0; i < 40'000; ++i) {
    count("sender-number-" + std::to_string(i) + "@a-rather-long-domain-name.example.org", 1);
    if (i % 50 != 0) continue;
    // The file never shrinks. Where it grows beyond 64 MB, a checkpoint is under way on a thread
    // that a busy machine may let wait: the traffic waits for it too.
    const auto size = std::filesystem::file_size(file_.string() + "-wal");
    if (size > largest && size > 64'000'000U) {
      ASSERT_TRUE(loop_.run_one_from_thread());
    } else {
      loop_.run_posted();
    }
    largest = std::max(largest, size);
  }
  EXPECT_GT(largest, 30'000'000U);  // else nothing was shown
  EXPECT_LT(largest, 96'000'000U);
}

}  // namespace
}  // namespace policyd
