// SPDX-License-Identifier: AGPL-3.0-only
// A database in a temporary folder, the store on it, and a second connection that acts as the admin
// with sqlite3.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "daemon/counting/counters.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/store/sqlite/sqlite_store.hpp"
#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {

// 12:00:00 on 22 November 2026.
inline constexpr TimePoint kNoon{std::chrono::seconds{1795348800}};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "limits-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "db.sqlitedb";
    LogSettings log;
    log.file = folder_ / "log";
    log_ = std::move(*Maillog::open(log));
  }
  ~StoreTest() override {
    store_.reset();
    admin_.reset();
    log_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Creates it with one policy for all mail, quota 3 and limit 4, as in the vendor's article.
  void make_database() {
    ASSERT_TRUE(create_database(file_));
    connect_admin();
    admin(
        "INSERT INTO policies (Name, Priority) VALUES ('p', 0);"
        "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (6, 'any', 'any');"
        "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data)"
        " VALUES (6, 'q', 'Sender:user@domain', 60, 'DEFER', 'slow down');"
        "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (3, 'MessageCount', 10);");
  }

  void connect_admin() {
    auto db = open_database(file_, OpenMode::read_write, std::chrono::seconds{5});
    ASSERT_TRUE(db) << db.error().message;
    admin_ = std::move(*db);
  }

  void open_store() {
    SqliteStoreSettings settings;
    settings.file = file_;
    settings.patience = Millis{0};  // answers from memory at once: no real time passes in tests
    store_ = std::make_unique<SqliteStore>(loop_, *log_, settings);
    store_->open();
  }

  void admin(const std::string& sql) {
    const auto done = sql::execute_or_explain(admin_.get(), sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  std::string ask_admin(const std::string& query) {
    auto statement = sql::Statement::prepare(admin_.get(), query);
    EXPECT_TRUE(statement) << statement.error().message;
    return statement && statement->step() == SQLITE_ROW ? std::string{statement->text(0)}
                                                        : "(no row)";
  }

  static void add(Transaction& batch, Counter& counter, std::uint64_t units, TimePoint now) {
    counter.period = std::chrono::seconds{60};
    counter.window.add(now, counter.period, units);
    counter.windowed = true;
    counter.value = static_cast<double>(counter.window.use());
    counter.last_update_s = to_seconds(now);
    batch.changed(counter, static_cast<double>(units));
  }

  // The use of limit 4 of `key`, in a batch of its own that writes nothing.
  double peek(const std::string& key, Store::Uses uses = Store::Uses::counters) {
    return count(key, 0, kNoon, uses);
  }

  // Adds `units` to limit 4 of `key` in a batch of its own; returns the use before.
  double count(const std::string& key, std::uint64_t units, TimePoint now = kNoon,
               Store::Uses uses = Store::Uses::counters) {
    double before = -1;
    bool done = false;
    store_->commit(
        now, uses,
        [&](Transaction& batch) {
          Counter& counter = batch.counter(4, key);
          counter.period = std::chrono::seconds{60};
          counter.window.advance(now, counter.period);
          before = static_cast<double>(counter.window.use());
          if (units > 0) add(batch, counter, units, now);
        },
        [&](Store::Outcome outcome) {
          done = true;
          outcome_ = outcome;
        });
    EXPECT_TRUE(done);
    return before;
  }

  std::filesystem::path folder_;
  std::filesystem::path file_;
  ManualLoop loop_;
  std::unique_ptr<Maillog> log_;
  sql::Handle admin_;
  std::unique_ptr<SqliteStore> store_;
  Store::Outcome outcome_ = Store::Outcome::stored;
};

}  // namespace policyd
