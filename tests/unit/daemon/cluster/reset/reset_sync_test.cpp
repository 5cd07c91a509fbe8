// SPDX-License-Identifier: AGPL-3.0-only
// One host that does the resets in the list of the installed redis-server.
#include "daemon/cluster/reset/reset_sync.hpp"

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/cluster/rules/reconcile.hpp"
#include "tests/unit/daemon/cluster/count/real_redis.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

using Words = std::vector<std::string>;

class NoCounters final : public OwnCounters {
  void begin() override {}
  void next(std::size_t, Slice done) override { done({}); }
};

class ResetSyncTest : public StoreTest {
 protected:
  void SetUp() override {
    if (!RealRedis::is_installed()) GTEST_SKIP() << "redis-server is not installed";
    server_ = std::make_unique<RealRedis>();
    redis_ = std::make_unique<WaitingRedis>(loop_, server_->port());
    make_database();
    open_store();
    counters_ = std::make_unique<ClusterCounters>(
        loop_, *redis_, own_, *log_,
        ClusterCounters::Settings{"p:", "mta1", "id", "h", "1.0", 1, Without::share,
                                  std::chrono::hours{1}},
        EngineClock::Sources{wall_clock, [this] { return steady_; }});
    start();
    ASSERT_TRUE(until([this] { return counters_->status().sharing; }));
  }
  void TearDown() override {
    sync_.reset();
    counters_.reset();
  }

  void start() {
    sync_.emplace(ResetSync::With{loop_, *redis_, *counters_, *log_},
                  ResetSync::Settings{{file_, ""}, "p:", "mta1"},
                  ResetSync::Ask{[this] { return rules_agree_; },
                                 [this](Store::Decide decide, Store::Done done) {
                                   store_->commit(counters_->now(), Store::Uses::counters,
                                                  std::move(decide), std::move(done));
                                 }});
    ASSERT_TRUE(until([this] { return sync_->caught_up(); }));
  }

  // Ten seconds of the loop at most; the thread of the database takes real ones.
  bool until(const std::function<bool()>& is_so) {
    for (int i = 0; i < 1'000; ++i) {
      if (is_so()) return true;
      steady_ += Millis{10};
      loop_.advance(Millis{10});
      std::this_thread::sleep_for(Millis{3});
    }
    return false;
  }
  void pass(Millis time) {
    int turns = static_cast<int>(time / Millis{10});
    until([&] { return turns-- == 0; });
  }

  std::string add(const ResetRequest& request, const std::string& id = "*") {
    Words words = words_to_add("p:", request);
    words[4] = id;
    return redis_->run(words)->text;
  }
  static ResetRequest of(const std::string& key) { return {ResetRequest::Kind::clear, {4}, {key}}; }
  // How many it has cleared, once it says so.
  std::string done(const std::string& id) {
    std::string cleared;
    until([&] {
      cleared = redis_->run({"HGET", "p:resets:done:" + id, "mta1"})->text;
      return !cleared.empty();
    });
    return cleared;
  }
  void count_now(const std::string& key, std::uint64_t units) {
    count(key, units, counters_->now());
  }
  double used(const std::string& key) { return count(key, 0, counters_->now()); }
  std::string stored(const std::string& key) {
    return ask_admin("SELECT Counter FROM quotas_tracking WHERE TrackKey = '" + key + "'");
  }
  std::int64_t fields(const std::string& key) {
    return redis_->run({"HLEN", "p:c:4:" + key})->number;
  }
  std::string log_text() const {
    log_->flush();
    std::ifstream in{folder_ / "log"};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  std::chrono::steady_clock::time_point steady_{std::chrono::hours{1}};
  bool rules_agree_ = true;
  std::unique_ptr<RealRedis> server_;
  std::unique_ptr<WaitingRedis> redis_;
  NoCounters own_;
  std::unique_ptr<ClusterCounters> counters_;
  std::optional<ResetSync> sync_;
};

TEST_F(ResetSyncTest, ClearsTheCountersThatAreNamed) {
  count_now("a", 3);
  count_now("b", 2);
  redis_->run({"HSET", "p:nodes", "mta2", "another"});
  redis_->run({"HSET", "p:c:4:a", "mta1", "what it was", "mta2", "of another"});
  EXPECT_EQ(done(add(of("a"))), "1");
  EXPECT_EQ(used("a"), 0);
  EXPECT_EQ(stored("a"), "0");
  EXPECT_EQ(used("b"), 2);
  EXPECT_EQ(redis_->run({"HKEYS", "p:c:4:a"})->list[0].text, "mta2");
  EXPECT_EQ(fields("a"), 1);
}

TEST_F(ResetSyncTest, ClearsAllCountersOfALimit) {
  for (int i = 0; i < 450; ++i) count_now("a" + std::to_string(i), 1);
  redis_->run({"HSET", "p:c:4:without a row", "mta1", "what it was"});
  redis_->run({"HSET", "p:c:5:a0", "mta1", "of another limit"});
  EXPECT_EQ(done(add({ResetRequest::Kind::clear, {4}, {}})), "450");
  EXPECT_EQ(ask_admin("SELECT count(*) FROM quotas_tracking WHERE Counter > 0"), "0");
  EXPECT_EQ(fields("without a row"), 0);
  EXPECT_EQ(redis_->run({"HLEN", "p:c:5:a0"})->number, 1);
}

// Nobody else would remove what they have counted.
TEST_F(ResetSyncTest, ClearsThePartsOfHostsThatHaveLeft) {
  redis_->run({"HSET", "p:nodes", "mta2", "another"});
  for (const char* key : {"p:c:4:a", "p:c:4:b", "p:c:5:a"}) {
    redis_->run({"HSET", key, "mta2", "of another", "mta3", "has left", "mta4", "too"});
  }
  redis_->run({"SET", "p:c:4:c", "no counter"});
  EXPECT_EQ(done(add(of("a"))), "1");
  EXPECT_EQ(fields("a"), 1);
  EXPECT_EQ(fields("b"), 3);
  EXPECT_EQ(done(add({ResetRequest::Kind::clear, {4}, {}})), "1");
  EXPECT_EQ(fields("b"), 1);
  EXPECT_EQ(redis_->run({"HLEN", "p:c:5:a"})->number, 3);
}

TEST_F(ResetSyncTest, IsDoneOnce) {
  count_now("a", 3);
  EXPECT_EQ(done(add(of("a"))), "1");
  count_now("a", 2);
  start();
  pass(Millis{1'000});
  EXPECT_EQ(used("a"), 2);
}

TEST_F(ResetSyncTest, IsForgottenWithTheCluster) {
  const std::string id = add(of("a"));
  done(id);
  EXPECT_EQ(*last_reset_done({file_, ""}), *ResetId::parse(id));
  ASSERT_TRUE(forget_published({file_, ""}));
  EXPECT_EQ(*last_reset_done({file_, ""}), ResetId{});
}

TEST_F(ResetSyncTest, WhatArrivedLaterStays) {
  rules_agree_ = false;
  const auto add_before = [&](int seconds, const std::string& key) {
    count_now(key, 3);
    const auto then = counters_->now() - std::chrono::seconds{seconds};
    return add(of(key), std::to_string(then.time_since_epoch().count()) + "-0");
  };
  const std::string minute = add_before(60, "a");
  const std::string beyond = add_before(8, "b");
  const std::string within = add_before(4, "c");  // the grace, and a sixtieth of the period
  rules_agree_ = true;
  EXPECT_EQ(done(minute), "0");
  EXPECT_EQ(done(beyond), "0");
  EXPECT_EQ(done(within), "1");
  EXPECT_EQ(used("a"), 3);
  EXPECT_EQ(used("b"), 3);
  EXPECT_EQ(used("c"), 0);
}

TEST_F(ResetSyncTest, AfterALateOneAllForget) {
  const auto then = counters_->now() - std::chrono::seconds{4};
  done(add(of("a"), std::to_string(then.time_since_epoch().count()) + "-0"));
  EXPECT_TRUE(until([this] { return redis_->run({"XLEN", "p:resets"})->number == 2; }));
  const auto list = redis_->run({"XREVRANGE", "p:resets", "+", "-", "COUNT", "1"});
  EXPECT_EQ(resets_of(*list)->entries[0].request.kind, ResetRequest::Kind::forget);
  done(add(of("a")));
  pass(Millis{1'000});
  EXPECT_EQ(redis_->run({"XLEN", "p:resets"})->number, 3);
}

TEST_F(ResetSyncTest, WaitsWhileTheRulesDiffer) {
  count_now("a", 3);
  rules_agree_ = false;
  sync_->rules_differ();
  const std::string id = add(of("a"));
  pass(Millis{1'000});
  EXPECT_FALSE(sync_->caught_up());
  EXPECT_EQ(used("a"), 3);
  rules_agree_ = true;
  EXPECT_EQ(done(id), "1");
  EXPECT_TRUE(sync_->caught_up());
}

TEST_F(ResetSyncTest, SaysNothingBeforeItIsStored) {
  count_now("a", 3);
  admin("BEGIN IMMEDIATE");
  const std::string id = add(of("a"));
  pass(Millis{2'000});
  EXPECT_EQ(redis_->run({"EXISTS", "p:resets:done:" + id})->number, 0);
  EXPECT_EQ(used("a"), 0);  // in memory
  count_now("a", 1);
  admin("ROLLBACK");
  EXPECT_EQ(done(id), "1");
  EXPECT_EQ(used("a"), 1);  // what came after stays
}

TEST_F(ResetSyncTest, ALostListIsSaidOnce) {
  done(add(of("a")));
  redis_->run({"DEL", "p:resets"});
  for (int i = 0; i < 2; ++i) {
    start();
    pass(Millis{1'000});
  }
  const std::string text = log_text();
  const auto at = text.find("has lost its list of resets");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(text.find("has lost its list of resets", at + 1), std::string::npos);
  // What is asked from then on is done, even by a clock that is behind.
  count_now("a", 3);
  EXPECT_EQ(done(add(of("a"), "5-0")), "0");
}

TEST_F(ResetSyncTest, AKeyOfAnotherTypeKeepsNobodyFromSharing) {
  redis_->run({"SET", "p:resets", "nonsense"});
  start();
  EXPECT_TRUE(sync_->caught_up());
  EXPECT_NE(log_text().find("resets cannot be read"), std::string::npos);
  redis_->run({"DEL", "p:resets"});
  count_now("a", 3);
  EXPECT_EQ(done(add(of("a"))), "1");
}

}  // namespace
}  // namespace policyd
