// SPDX-License-Identifier: AGPL-3.0-only
// Three hosts that share their counters by the installed redis-server, which loses its data, its
// scripts, or its life.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "daemon/cluster/count/cluster_counters.hpp"
#include "daemon/counting/state_bytes.hpp"
#include "real_redis.hpp"

namespace policyd {
namespace {

constexpr Millis kHour = std::chrono::hours{1};
constexpr std::uint64_t kLimit = 30;

// A host that counts as Quotas does, and keeps its parts in memory.
class Host final : public OwnCounters {
 public:
  Host(const std::string& name, std::uint16_t port, Without without)
      : redis(loop, port),
        log_(lines),
        counters(loop, redis, *this, log_, {"p:", name, name, name, "1.0", 1, without, kHour},
                 {wall_clock, [this] { return steady; }}) {}

  void begin() override { next_ = own.begin(); }
  void next(std::size_t most, Slice done) override {
    std::vector<Counter> slice;
    for (; next_ != own.end() && slice.size() < most; ++next_) {
      slice.push_back({4, next_->first, next_->second, kHour});
    }
    done(std::move(slice));
  }

  // Without sleeping: the server answers at once.
  void run(Millis time) {
    steady += time;
    loop.advance(time);
  }

  // Whether a mail of this sender passes.
  bool passes(const std::string& key) {
    Window& part = own[key];
    part.advance(counters.now(), kHour);
    if (const Window* full = counters.known_full(4, key)) {
      ++by_heart;
      if (full->use() + part.use() + 1 > kLimit) return false;
    }
    std::optional<Granted> answer;
    counters.ask({{4, key, part, kHour, kLimit, 1, 1, true}},
                 [&](Granted granted) { answer = std::move(granted); });
    counters.flush();
    loop.run_posted();
    EXPECT_TRUE(answer);
    if (!answer || answer->exceeded >= 0 || answer->defer) return false;
    if (!answer->own_limits.empty() && part.use() + 1 > answer->own_limits[0]) return false;
    part.add(counters.now(), kHour, 1);
    if (answer->own_limits.empty()) {
      counters.settle(4, key, part, 1, true);
    } else {
      counters.changed(4, key, part, kHour);
    }
    return true;
  }

  std::chrono::steady_clock::time_point steady{std::chrono::hours{1}};
  ManualLoop loop;
  WaitingRedis redis;
  std::vector<std::string> lines;
  Maillog log_;
  std::map<std::string, Window> own;
  std::map<std::string, Window>::iterator next_;
  ClusterCounters counters;
  int by_heart = 0;  // refusals without asking
};

class SharedByHosts : public testing::Test {
 protected:
  void SetUp() override {
    if (!RealRedis::is_installed()) GTEST_SKIP() << "redis-server is not installed";
    server_ = std::make_unique<RealRedis>();
    start(Without::share);
  }

  void start(Without without) {
    hosts_.clear();
    for (const char* name : {"mta1", "mta2", "mta3"}) {
      hosts_.push_back(std::make_unique<Host>(name, server_->port(), without));
    }
    run_all(Millis{1'500});
    for (const auto& host : hosts_) {
      ASSERT_TRUE(host->counters.status().sharing);
      ASSERT_EQ(host->counters.status().hosts, 3u);
    }
  }

  void run_all(Millis time) {
    for (; time > Millis{0}; time -= Millis{10}) {
      for (const auto& host : hosts_) host->run(Millis{10});
    }
  }

  // How many of so many mails by hosts at random pass.
  std::uint64_t send(const std::string& key, int mails) {
    std::uint64_t passed = 0;
    for (; mails > 0; --mails) {
      if (hosts_[random_() % hosts_.size()]->passes(key)) ++passed;
    }
    return passed;
  }

  // What all have counted, and what the engine says that others have, for a host of its own.
  std::uint64_t counted(const std::string& key) {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += host->own[key].use();
    return sum;
  }
  std::uint64_t stored(const std::string& key) {
    const auto values = hosts_[0]->redis.run({"HVALS", "p:c:4:" + key});
    double sum = 0;
    for (const RedisReply& value : values->list) sum += *StateReader{value.text}.number();
    return static_cast<std::uint64_t>(sum);
  }

  std::unique_ptr<RealRedis> server_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::mt19937 random_{1};
};

TEST_F(SharedByHosts, ExactlyTheLimitPassesOverAll) {
  for (const std::string key : {"a", "b", "c"}) {
    EXPECT_EQ(send(key, 200), kLimit);
    EXPECT_EQ(stored(key), kLimit);
  }
  // Most refusals need no question.
  for (const auto& host : hosts_) {
    EXPECT_GT(host->by_heart, 50);
    EXPECT_TRUE(host->lines.empty()) << testing::PrintToString(host->lines);
  }
}

TEST_F(SharedByHosts, AServerThatForgotItsScriptsIsSentThemAgain) {
  EXPECT_EQ(send("a", 10), 10u);
  hosts_[0]->redis.run({"SCRIPT", "FLUSH"});
  EXPECT_EQ(send("a", 100), kLimit - 10);
}

TEST_F(SharedByHosts, AnEmptiedServerIsFilledAgain) {
  EXPECT_EQ(send("a", 20), 20u);
  EXPECT_EQ(send("b", 100), kLimit);
  hosts_[0]->redis.run({"FLUSHALL"});
  // The first to ask notices. Until all have written their parts, each lets pass a third by itself;
  // of "b" it is known that it is full.
  send("a", 30);
  EXPECT_EQ(send("b", 30), 0u);
  run_all(Millis{2'500});
  for (const auto& host : hosts_) EXPECT_TRUE(host->counters.status().sharing);
  send("a", 100);
  send("b", 100);
  run_all(Millis{300});
  EXPECT_LE(counted("a"), 2 * kLimit);
  EXPECT_EQ(stored("a"), counted("a"));
  EXPECT_EQ(counted("b"), kLimit);
  EXPECT_EQ(stored("b"), kLimit);
}

TEST_F(SharedByHosts, AServerThatDiedIsFilledAgain) {
  EXPECT_EQ(send("a", 20), 20u);
  server_->kill();
  const std::uint64_t alone = send("a", 100);
  EXPECT_LE(alone, kLimit);
  EXPECT_LE(counted("a"), 2 * kLimit);
  server_->start();
  for (const auto& host : hosts_) host->redis.connect();
  run_all(Millis{2'500});
  for (const auto& host : hosts_) {
    EXPECT_TRUE(host->counters.status().sharing) << host->counters.status().trouble;
    ASSERT_EQ(host->lines.size(), 2u) << testing::PrintToString(host->lines);
  }
  run_all(Millis{300});
  EXPECT_EQ(stored("a"), counted("a"));
  const std::uint64_t left = kLimit - std::min(kLimit, counted("a"));
  EXPECT_EQ(send("a", 50), left);
  EXPECT_EQ(send("new", 100), kLimit);
}

TEST_F(SharedByHosts, OneThatIsCutOffLetsAThirdPassBesides) {
  hosts_[2]->redis.cut();
  EXPECT_EQ(send("a", 300), kLimit + kLimit / 3);
  EXPECT_EQ(hosts_[2]->own["a"].use(), kLimit / 3);
  hosts_[2]->redis.connect();
  run_all(Millis{500});
  EXPECT_EQ(send("a", 50), 0u);
  EXPECT_EQ(stored("a"), counted("a"));
}

TEST_F(SharedByHosts, AllThatAreCutOffLetTheLimitPassTogether) {
  EXPECT_EQ(send("a", 20), 20u);
  for (const auto& host : hosts_) host->redis.cut();
  send("a", 300);
  EXPECT_LE(counted("a"), 2 * kLimit);
  EXPECT_EQ(send("b", 300), kLimit);
  // A period later.
  run_all(kHour);
  EXPECT_EQ(send("a", 300), kLimit);
}

TEST_F(SharedByHosts, EachThatIsCutOffLetsTheLimitPassIfSetSo) {
  start(Without::local);
  for (const auto& host : hosts_) host->redis.cut();
  EXPECT_EQ(send("a", 500), 3 * kLimit);
}

TEST_F(SharedByHosts, NoneThatIsCutOffLetsMailPassIfSetSo) {
  start(Without::defer);
  EXPECT_EQ(send("a", 10), 10u);
  for (const auto& host : hosts_) host->redis.cut();
  EXPECT_EQ(send("a", 100), 0u);
}

TEST_F(SharedByHosts, ResetsAreSeenByTheOthers) {
  EXPECT_EQ(send("a", 100), kLimit);
  for (const auto& host : hosts_) {
    host->own["a"] = {};
    host->counters.changed(4, "a", {}, kHour);
    host->counters.forget_all();
  }
  run_all(Millis{300});
  EXPECT_EQ(stored("a"), 0u);
  EXPECT_EQ(send("a", 100), kLimit);
}

}  // namespace
}  // namespace policyd
