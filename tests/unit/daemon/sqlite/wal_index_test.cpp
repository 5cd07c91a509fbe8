// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_index.hpp"

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class WalIndexTest : public StoreTest {
 protected:
  WalIndexTest() {
    make_database();
    db_ = std::move(*open_database(file_, OpenMode::serve, {}));
    index_.attach(db_.get());
  }

  // In a write transaction of its own, as the store does.
  void remember() {
    run("BEGIN IMMEDIATE");
    index_.remember();
    run("COMMIT");
  }

  void run(const char* sql) {
    const auto done = sql::execute_or_explain(db_.get(), sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  static constexpr char kWrite[] = "UPDATE quotas_limits SET CounterLimit = CounterLimit + 1";

  sql::Handle db_;
  WalIndex index_;
};

TEST_F(WalIndexTest, StaysAsRememberedWhileNobodyCommits) {
  EXPECT_FALSE(index_.is_as_remembered());
  remember();
  EXPECT_TRUE(index_.is_as_remembered());
  run("BEGIN IMMEDIATE; COMMIT");
  ask_admin("SELECT count(*) FROM policies");
  admin("BEGIN IMMEDIATE");
  admin(kWrite);
  EXPECT_TRUE(index_.is_as_remembered()) << "not committed yet";
  admin("ROLLBACK");
  EXPECT_TRUE(index_.is_as_remembered());
}

TEST_F(WalIndexTest, SeesACommitOfAnotherAndOneOfOurOwn) {
  remember();
  admin(kWrite);
  EXPECT_FALSE(index_.is_as_remembered());
  remember();
  EXPECT_TRUE(index_.is_as_remembered());
  run(kWrite);
  EXPECT_FALSE(index_.is_as_remembered());
}

TEST_F(WalIndexTest, KnowsItsOwnCommitIfNobodyElseHasCommittedSince) {
  remember();
  run(kWrite);
  index_.remember_own_commit();
  EXPECT_TRUE(index_.is_as_remembered());
  run(kWrite);
  admin(kWrite);
  index_.remember_own_commit();
  EXPECT_FALSE(index_.is_as_remembered());
}

TEST_F(WalIndexTest, PassesOverCommitsOfTheSameProcessAloneHoweverMany) {
  OwnCommits own;
  remember();
  for (int i = 0; i < 3; ++i) {
    const auto before = index_.read();
    run(kWrite);
    own.add(*before, *index_.read());
    EXPECT_TRUE(index_.pass_over(own)) << i;
  }
  run(kWrite);
  EXPECT_FALSE(index_.pass_over(own));
  remember();
  const auto before = index_.read();
  run(kWrite);
  own.add(*before, *index_.read());
  EXPECT_TRUE(index_.pass_over(own));
  EXPECT_FALSE(WalIndex::is_next(*before, *before));
}

TEST_F(WalIndexTest, SeesACommitBehindALogThatBeginsAnew) {
  admin(kWrite);
  remember();
  admin("PRAGMA wal_checkpoint(TRUNCATE)");
  admin(kWrite);
  EXPECT_FALSE(index_.is_as_remembered());
}

TEST_F(WalIndexTest, KnowsNothingOfADatabaseThatIsGone) {
  remember();
  index_.attach(nullptr);
  db_.reset();
  EXPECT_FALSE(index_.is_as_remembered());
  index_.remember();
  EXPECT_FALSE(index_.is_as_remembered());
}

TEST_F(WalIndexTest, KnowsNothingWhereThereIsNoLog) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &raw), SQLITE_OK);
  const sql::Handle memory{raw};
  index_.attach(memory.get());
  index_.remember();
  EXPECT_FALSE(index_.is_as_remembered());
}

}  // namespace
}  // namespace policyd
