// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_batch_vfs.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

class WalBatchVfsTest : public ::testing::Test {
 protected:
  WalBatchVfsTest() {
    std::string name = (fs::temp_directory_path() / "limits-wal-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    db_ = open(folder_ / "db", wal_batch_vfs());
    run("PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "PRAGMA wal_autocheckpoint=0; PRAGMA cache_spill=OFF;"
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)");
  }
  ~WalBatchVfsTest() override {
    db_.reset();
    fs::remove_all(folder_);
  }

  static sql::Handle open(const fs::path& file, const char* vfs) {
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    EXPECT_EQ(sqlite3_open_v2(file.c_str(), &raw, flags, vfs), SQLITE_OK);
    return sql::Handle{raw};
  }

  void run(const std::string& text) {
    const auto done = sql::execute_or_explain(db_.get(), text);
    ASSERT_TRUE(done) << done.error().message;
  }

  static std::string ask(sqlite3* db, const std::string& query) {
    auto statement = sql::Statement::prepare(db, query);
    EXPECT_TRUE(statement);
    return statement && statement->step() == SQLITE_ROW ? std::string{statement->text(0)}
                                                        : "(none)";
  }

  // What a crash at this moment would leave, read by SQLite as it comes.
  std::string after_a_crash(const std::string& query) {
    const fs::path copy = folder_ / "copy";
    for (const char* tail : {"", "-wal"}) {
      fs::remove(copy.string() + tail);
      fs::copy_file((folder_ / "db").string() + tail, copy.string() + tail);
    }
    fs::remove(copy.string() + "-shm");
    const auto db = open(copy, nullptr);
    EXPECT_EQ(ask(db.get(), "PRAGMA integrity_check"), "ok");
    return ask(db.get(), query);
  }

  // Of this process, so far.
  static std::int64_t write_calls() {
    std::ifstream io{"/proc/self/io"};
    for (std::string word; io >> word;) {
      std::int64_t value = 0;
      if (word == "syscw:" && io >> value) return value;
    }
    return -1;
  }

  fs::path folder_;
  sql::Handle db_;
};

TEST_F(WalBatchVfsTest, HasEachCommitInTheLogWhenItReturns) {
  for (int i = 1; i <= 20; ++i) {
    run("BEGIN; INSERT INTO t VALUES (NULL, zeroblob(" + std::to_string(i * 700) +
        ")); UPDATE t SET b = zeroblob(300) WHERE a = " + std::to_string(i / 2) + "; COMMIT");
    EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), std::to_string(i));
  }
}

TEST_F(WalBatchVfsTest, WritesATransactionAtOnce) {
  run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t "
      "SELECT i, zeroblob(900) FROM n");
  const std::int64_t before = write_calls();
  if (before < 0) GTEST_SKIP() << "/proc/self/io cannot be read here";
  for (int i = 0; i < 100; ++i) run("UPDATE t SET b = randomblob(900) WHERE a <= 20");
  // Twenty pages and more each: two calls a page without it.
  EXPECT_LE(write_calls() - before, 110);
}

TEST_F(WalBatchVfsTest, WritesATransactionThatDoesNotFitIntoItsMemory) {
  run("PRAGMA cache_size=10; BEGIN");
  for (int i = 1; i <= 1000; ++i) run("INSERT INTO t VALUES (NULL, randomblob(1000))");
  run("UPDATE t SET b = zeroblob(900) WHERE a % 3 = 0");
  EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), "0");
  run("COMMIT");
  EXPECT_EQ(after_a_crash("SELECT count(*) FROM t WHERE length(b) = 900"), "333");
}

TEST_F(WalBatchVfsTest, ForgetsWhatIsRolledBack) {
  run("BEGIN");
  for (int i = 1; i <= 300; ++i) run("INSERT INTO t VALUES (NULL, randomblob(1000))");
  run("ROLLBACK; INSERT INTO t VALUES (2, zeroblob(10))");
  EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), "1");
}

// Where a file may not grow any more, as on a full disk: what could not be written must never come
// later, over what another has written there meanwhile.
TEST_F(WalBatchVfsTest, ForgetsWhatCouldNotBeWritten) {
  const auto other = open(folder_ / "db", nullptr);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  for (int round = 1; round <= 20; ++round) {
    rlimit tight = before;
    tight.rlim_cur = fs::file_size((folder_ / "db").string() + "-wal") + 700U * round;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
    EXPECT_NE(sql::execute(db_.get(), "INSERT INTO t VALUES (NULL, randomblob(200000))"),
              SQLITE_OK);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_EQ(sql::execute(other.get(), "INSERT INTO t VALUES (NULL, randomblob(3000))"),
              SQLITE_OK);
    run("INSERT INTO t VALUES (NULL, randomblob(2000))");
    EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), std::to_string(2 * round));
    EXPECT_EQ(ask(other.get(), "SELECT count(*) FROM t"), std::to_string(2 * round));
  }
}

TEST_F(WalBatchVfsTest, IsWhatServesWithAllOfATransactionInMemory) {
  const auto db = open_database(folder_ / "db", OpenMode::serve, {});
  ASSERT_TRUE(db);
  EXPECT_EQ(ask(db->get(), "PRAGMA cache_spill"), "0");
  ASSERT_EQ(sql::execute(db->get(), "INSERT INTO t SELECT 1, zeroblob(90000)"), SQLITE_OK);
  const std::int64_t before = write_calls();
  if (before < 0) GTEST_SKIP() << "/proc/self/io cannot be read here";
  ASSERT_EQ(sql::execute(db->get(), "UPDATE t SET b = randomblob(30000)"), SQLITE_OK);
  EXPECT_LE(write_calls() - before, 5) << "some sixty pages";
}

TEST_F(WalBatchVfsTest, ContinuesTheLogAfterACheckpointAndBesideOthers) {
  const auto other = open(folder_ / "db", nullptr);
  for (int round = 0; round < 5; ++round) {
    run("INSERT INTO t VALUES (NULL, randomblob(3000))");
    EXPECT_EQ(ask(other.get(), "SELECT count(*) FROM t"), std::to_string(2 * round + 1));
    ASSERT_EQ(sql::execute(other.get(), "INSERT INTO t VALUES (NULL, 'x')"), SQLITE_OK);
    EXPECT_EQ(ask(db_.get(), "SELECT count(*) FROM t"), std::to_string(2 * round + 2));
    run("PRAGMA wal_checkpoint(RESTART)");
  }
  EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), "10");
}

TEST_F(WalBatchVfsTest, LosesNothingOfRandomTransactions) {
  const std::string sum = "SELECT count(*) || ' ' || total(length(b)) || ' ' || total(a) FROM t";
  std::mt19937 random{7};
  const auto below = [&random](unsigned most) { return std::to_string(random() % most); };
  run("PRAGMA cache_size=12");
  for (int i = 0; i < 150; ++i) {
    run("BEGIN");
    for (auto changes = random() % 40; changes > 0; --changes) {
      run("INSERT OR REPLACE INTO t VALUES (" + below(200) + ", randomblob(" + below(2500) + "))");
      if (random() % 8 == 0) run("DELETE FROM t WHERE a % 7 = " + below(7));
      if (random() % 8 == 0) run("UPDATE t SET b = zeroblob(50) WHERE a % 5 = " + below(5));
    }
    run(random() % 4 == 0 ? "ROLLBACK" : "COMMIT");
    ASSERT_EQ(after_a_crash(sum), ask(db_.get(), sum)) << "after transaction " << i;
    if (random() % 20 == 0) run("PRAGMA wal_checkpoint(RESTART)");
  }
}

TEST_F(WalBatchVfsTest, AlsoWhereEachCommitIsSynced) {
  run("PRAGMA synchronous=FULL");
  for (int i = 1; i <= 5; ++i) {
    run("INSERT INTO t VALUES (NULL, randomblob(3000))");
    EXPECT_EQ(after_a_crash("SELECT count(*) FROM t"), std::to_string(i));
  }
}

}  // namespace
}  // namespace policyd
