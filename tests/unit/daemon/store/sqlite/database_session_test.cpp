// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/database_session.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

constexpr char kWrite[] = "UPDATE quotas_limits SET CounterLimit = CounterLimit + 1";

class DatabaseSessionTest : public StoreTest {
 protected:
  void SetUp() override {
    make_database();
    ASSERT_TRUE(session_.open(file_, Millis{0}));
    session_.start_serving(false, [this](std::int64_t bytes) { wal_bytes_ = bytes; });
    refresh();
  }

  // As the store does with each batch.
  void refresh() {
    ASSERT_EQ(session_.begin(), SQLITE_OK);
    if (session_.foreign_commit() == true) session_.remember_version();
    ASSERT_EQ(session_.commit(), SQLITE_OK);
  }

  DatabaseSession session_;
  std::int64_t wal_bytes_ = -1;
};

TEST_F(DatabaseSessionTest, SeesNoForeignCommitWhileNobodyCommits) {
  EXPECT_EQ(session_.foreign_commit(), false);
  refresh();
  ask_admin("SELECT count(*) FROM policies");
  admin("BEGIN IMMEDIATE");
  admin(kWrite);
  EXPECT_EQ(session_.foreign_commit(), false) << "not committed yet";
  admin("ROLLBACK");
  EXPECT_EQ(session_.foreign_commit(), false);
}

TEST_F(DatabaseSessionTest, SeesAForeignCommitUntilItIsRemembered) {
  admin(kWrite);
  EXPECT_EQ(session_.foreign_commit(), true);
  EXPECT_EQ(session_.foreign_commit(), true) << "asking outside of a transaction remembers nothing";
  refresh();
  EXPECT_EQ(session_.foreign_commit(), false);
}

TEST_F(DatabaseSessionTest, DoesNotTakeItsOwnCommitForAForeignOne) {
  ASSERT_EQ(sql::execute(session_.db(), kWrite), SQLITE_OK);
  EXPECT_EQ(session_.foreign_commit(), false);
}

TEST_F(DatabaseSessionTest, PassesOverCommitsThatItWasTold) {
  OwnCommits own;
  session_.pass_over(own);
  WalIndex index;
  index.attach(admin_.get());
  for (int i = 0; i < 3; ++i) {
    admin("BEGIN IMMEDIATE");
    const auto before = index.read();
    admin(kWrite);
    admin("COMMIT");
    own.add(*before, *index.read());
    EXPECT_EQ(session_.foreign_commit(), false) << i;
    if (i == 1) refresh();
  }
  admin(kWrite);
  EXPECT_EQ(session_.foreign_commit(), true) << "after those that were told, another";
  refresh();
  EXPECT_EQ(session_.foreign_commit(), false);
}

TEST_F(DatabaseSessionTest, SeesAForeignCommitAfterTheLogRestarted) {
  admin(kWrite);
  refresh();
  admin("PRAGMA wal_checkpoint(TRUNCATE)");
  admin(kWrite);
  EXPECT_EQ(session_.foreign_commit(), true);
}

TEST_F(DatabaseSessionTest, TakesEverythingAsChangedAfterARollback) {
  ASSERT_EQ(session_.begin(), SQLITE_OK);
  session_.remember_schema();
  EXPECT_FALSE(session_.schema_changed());
  session_.roll_back();
  EXPECT_EQ(session_.foreign_commit(), true);
  EXPECT_TRUE(session_.schema_changed());
}

TEST_F(DatabaseSessionTest, ReportsTheSizeOfTheLogAfterACommit) {
  ASSERT_EQ(sql::execute(session_.db(), kWrite), SQLITE_OK);
  EXPECT_GE(wal_bytes_, 1024);
}

TEST_F(DatabaseSessionTest, IsClosedAfterAFileThatIsMissing) {
  session_.close();
  EXPECT_FALSE(session_.open(folder_ / "missing", Millis{0}));
  EXPECT_FALSE(session_);
}

}  // namespace
}  // namespace policyd
