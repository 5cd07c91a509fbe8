// SPDX-License-Identifier: AGPL-3.0-only
// count.lua, run by the installed redis-server, against a model that knows every arrival.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "count_lua.hpp"
#include "daemon/cluster/count/count_call.hpp"
#include "real_redis.hpp"

namespace policyd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr Millis kHour = std::chrono::hours{1};

class CountScript : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (RealRedis::is_installed()) server = std::make_unique<RealRedis>();
  }
  static void TearDownTestSuite() { server.reset(); }

  void SetUp() override {
    if (!server) GTEST_SKIP() << "redis-server is not installed";
    redis_ = std::make_unique<WaitingRedis>(loop_, server->port());
    run({"FLUSHALL"});
    run({"CONFIG", "SET", "maxmemory", "0"});
    run({"SET", "p:epoch", "e"});
  }

  Result<RedisReply> run(const std::vector<std::string>& words) { return redis_->run(words); }

  static CountNames names(const std::string& node) { return {"p:", node, "e"}; }

  Result<CountReply> call(const std::string& node, const CountCall& call) {
    std::vector<std::string> words{"EVAL", kCountLua};
    append_count_words(words, names(node), call);
    const auto reply = run(words);
    if (!reply) return tl::unexpected<Error>{reply.error()};
    return read_count_reply(*reply, names(node), call);
  }

  TimePoint engine_now() {
    const auto time = run({"TIME"});
    return TimePoint{
        Millis{std::stoll(time->list[0].text) * 1000 + std::stoll(time->list[1].text) / 1000}};
  }

  // One question about one counter.
  static CountCall one(const Window& own, std::uint64_t limit, std::uint64_t asked = 1,
                       const std::string& name = "4:a", Millis period = kHour) {
    CountCall call;
    call.counters.push_back({name, own, period, limit});
    call.questions.push_back({{{0, asked, asked, true}}});
    return call;
  }

  static std::unique_ptr<RealRedis> server;
  ManualLoop loop_;
  std::unique_ptr<WaitingRedis> redis_;
};

std::unique_ptr<RealRedis> CountScript::server;

TEST_F(CountScript, LetsTheLimitThroughOverAllNodes) {
  std::map<std::string, Window> own;
  int passed = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string node = "mta" + std::to_string(i % 3);
    const auto reply = call(node, one(own[node], 10));
    ASSERT_TRUE(reply) << reply.error().message;
    if (reply->verdicts[0] != CountReply::kAllowed) {
      EXPECT_EQ(reply->verdicts[0], 0);
      ASSERT_EQ(reply->full.size(), 1u);
      EXPECT_EQ(reply->full[0].others.use() + own[node].use(), 10u);
      continue;
    }
    own[node].add(reply->engine, kHour, 1);
    ++passed;
  }
  EXPECT_EQ(passed, 10);
}

TEST_F(CountScript, DecidesABatchInItsOrder) {
  CountCall batch = one({}, 5);
  batch.counters.push_back({"5:b", {}, kHour, 2});
  using Part = CalledQuestion::Part;
  batch.questions = {
      {{Part{0, 3, 3, true}}},                        // 3 of 5
      {{Part{0, 3, 3, true}}},                        // would be 6
      {{Part{0, 1, 1, true}, Part{1, 2, 2, true}}},   // 4 of 5, 2 of 2
      {{Part{0, 1, 1, true}, Part{1, 1, 1, true}}},   // the second is full: neither is counted
      {{Part{1, 1, 1, false}, Part{0, 1, 1, true}}},  // watched: 3 of 2; 5 of 5
      {{Part{0, 1, 0, true}}},                        // must be free though nothing is counted
      {{Part{0, 0, 0, true}}},
  };
  const auto reply = call("mta1", batch);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->verdicts, ElementsAre(-1, 0, -1, 1, -1, 0, -1));
  EXPECT_THAT(reply->others, ElementsAre(0u, 0u));
  const auto other = call("mta2", one({}, 100));
  EXPECT_THAT(other->others, ElementsAre(5u));
  EXPECT_THAT(call("mta2", one({}, 100, 1, "5:b"))->others, ElementsAre(3u));
}

TEST_F(CountScript, TheOwnPartReplacesWhatWasStored) {
  ASSERT_TRUE(call("mta1", one({}, 10, 4)));
  // It was not counted after all: the next call of this node says so.
  ASSERT_TRUE(call("mta1", one({}, 10, 1)));
  EXPECT_THAT(call("mta2", one({}, 10))->others, ElementsAre(1u));
  // A part that is only written; and one that is no longer there.
  CountCall write = one({}, 0);
  write.questions.clear();
  write.counters[0].own = Window::of_counter(7, engine_now());
  ASSERT_THAT(call("mta1", write)->verdicts, IsEmpty());
  EXPECT_THAT(call("mta2", one({}, 10, 0))->others, ElementsAre(7u));
  EXPECT_TRUE(call("mta1", {}));  // nothing at all
  write.counters[0].own = {};
  ASSERT_TRUE(call("mta1", write));
  EXPECT_THAT(call("mta2", one({}, 10, 0))->others, ElementsAre(0u));
  EXPECT_EQ(run({"HEXISTS", "p:c:4:a", "mta1"})->number, 0);
}

TEST_F(CountScript, DoesNothingForAnotherEpoch) {
  run({"SET", "p:epoch", "f"});
  auto reply = call("mta1", one({}, 10));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->other_epoch);
  run({"DEL", "p:epoch"});
  EXPECT_TRUE(call("mta1", one({}, 10))->other_epoch);
  EXPECT_EQ(run({"EXISTS", "p:c:4:a"})->number, 0);
}

TEST_F(CountScript, ExpiresBetweenOneAndTwoPeriodsAndAnHour) {
  for (const Millis period :
       {Millis{1}, Millis{60'000}, Millis{kHour}, Millis{std::chrono::hours{24 * 365}}}) {
    run({"DEL", "p:c:4:a"});
    Window own;
    for (int i = 0; i < 3; ++i) {
      const auto reply = call("mta1", one(own, 10, 1, "4:a", period));
      own.add(reply->engine, period, 1);
      const std::int64_t left = run({"PTTL", "p:c:4:a"})->number;
      EXPECT_GT(left, (period + kHour).count() - 1'000);
      EXPECT_LE(left, (2 * period + kHour).count());
    }
  }
}

TEST_F(CountScript, AKeyOfAnotherTypeConcernsItsQuestionsAlone) {
  run({"SET", "p:c:4:a", "x"});
  CountCall batch = one({}, 5);
  batch.counters.push_back({"5:b", {}, kHour, 2});
  using Part = CalledQuestion::Part;
  batch.questions = {{{Part{1, 1, 1, true}, Part{0, 1, 1, true}}}, {{Part{1, 2, 2, true}}}};
  batch.counters.push_back({"4:a", Window::of_counter(7, engine_now()), kHour, 0});  // only written
  const auto reply = call("mta1", batch);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->verdicts, ElementsAre(CountReply::kNoCounter, -1));
  EXPECT_THAT(reply->others, ElementsAre(std::nullopt, 0u, std::nullopt));
  EXPECT_EQ(run({"GET", "p:c:4:a"})->text, "x");
}

TEST_F(CountScript, FieldsThatNoNodeWroteAreNotCounted) {
  const std::string infinite("\0\0\0\0\0\0\xf0\x7f", 8);
  const std::string nan("\0\0\0\0\0\0\xf8\x7f", 8);
  const std::string large("\0\0\0\0\0\0\xf0\x43", 8);
  int node = 0;
  for (const std::string& field :
       {std::string{}, std::string{"x"}, std::string(8, '\0'), std::string(23, '\xff'),
        std::string(24, '\xff'), std::string(5'000, '\x40'), infinite + infinite + infinite,
        nan + nan + nan, large + large + large, infinite + nan + infinite}) {
    run({"HSET", "p:c:4:a", "bad" + std::to_string(++node), field});
  }
  const auto reply = call("mta1", one({}, 1, 2));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->others, ElementsAre(0u));
  EXPECT_EQ(reply->damaged, 9u);  // a sum of 0 without pairs is none
  // Nor is a part of this node that another program wrote.
  run({"HSET", "p:c:4:a", "mta1", "y"});
  EXPECT_EQ(call("mta1", one({}, 1))->verdicts[0], -1);
}

TEST_F(CountScript, AFullServerIsAnErrorAndHasWrittenNothing) {
  run({"CONFIG", "SET", "maxmemory", "1000000"});
  const auto reply = call("mta1", one({}, 10));
  run({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, StartsWith("OOM "));
  EXPECT_EQ(run({"EXISTS", "p:c:4:a"})->number, 0);
}

TEST_F(CountScript, HasRoomForTheLargestCall) {
  CountCall large;
  CalledQuestion question;
  while (3 * (large.counters.size() + 1) + 1 + 3 * (large.counters.size() + 1) <= kMaxNumbers) {
    question.parts.push_back({large.counters.size(), 1, 1, true});
    large.counters.push_back({"4:" + std::to_string(large.counters.size()), {}, kHour, 1});
  }
  large.questions.push_back(question);
  for (int i = 0; i < 64; ++i) {
    large.counters.push_back(
        {"5:" + std::to_string(i), Window::of_counter(7, engine_now()), kHour, 0});
  }
  const auto reply = call("mta1", large);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->verdicts[0], -1);
  const auto again = call("mta2", large);
  EXPECT_EQ(again->verdicts[0], 0);
  EXPECT_EQ(again->full.size(), question.parts.size());
}

// Random questions of four nodes about few counters with short periods.
class Model {
 public:
  struct Arrival {
    TimePoint when;
    std::uint64_t units;
    std::size_t node;
  };
  std::vector<Arrival> arrivals;

  [[nodiscard]] std::uint64_t use(TimePoint since, std::optional<std::size_t> but = {}) const {
    std::uint64_t sum = 0;
    for (const Arrival& one : arrivals) {
      if (one.when > since && one.node != but) sum += one.units;
    }
    return sum;
  }
};

TEST_F(CountScript, AgreesWithTheModelOfEveryArrival) {
  struct Limit {
    std::uint64_t limit;
    Millis period;
  };
  const std::vector<Limit> limits = {
      {5, Millis{40}}, {20, Millis{300}}, {3, Millis{20}}, {200, Millis{900}}};
  constexpr std::size_t kNodes = 4;
  std::vector<std::vector<Window>> own(kNodes, std::vector<Window>(limits.size()));
  std::vector<Model> models(limits.size());
  std::mt19937 random{20261126};
  const auto up_to = [&](std::size_t most) { return static_cast<std::size_t>(random()) % most; };
  std::size_t allowed = 0, refused = 0;
  const TimePoint end = engine_now() + Millis{3'000};
  TimePoint heard = engine_now();

  while (heard < end) {
    const std::size_t node = up_to(kNodes);
    CountCall batch;
    for (std::size_t i = 0; i < limits.size(); ++i) {
      own[node][i].advance(heard, limits[i].period);
      batch.counters.push_back(
          {"4:" + std::to_string(i), own[node][i], limits[i].period, limits[i].limit});
    }
    for (std::size_t count = 1 + up_to(8); count > 0; --count) {
      CalledQuestion& question = batch.questions.emplace_back();
      for (std::size_t i = 0; i < limits.size(); ++i) {
        if (up_to(2) == 0) continue;
        const std::uint64_t units = up_to(4) == 0 ? 2 : 1;
        question.parts.push_back({i, units, units, up_to(10) != 0});
      }
    }
    const auto reply = call("mta" + std::to_string(node), batch);
    ASSERT_TRUE(reply) << reply.error().message;
    const TimePoint now = reply->engine;
    // A part may be held for a sixtieth of the period too long, and the node's own since it heard
    // the time.
    const auto least = [&](std::size_t i) { return models[i].use(now - limits[i].period); };
    const auto most = [&](std::size_t i) {
      return models[i].use(now - limits[i].period - limits[i].period / 60 - Millis{1} -
                           (now - heard));
    };
    std::set<std::size_t> asked;
    for (const CalledQuestion& question : batch.questions) {
      for (const auto& part : question.parts) asked.insert(part.counter);
    }
    for (const std::size_t i : asked) {
      ASSERT_TRUE(reply->others[i]);
      EXPECT_GE(*reply->others[i], models[i].use(now - limits[i].period, node));
      EXPECT_LE(*reply->others[i],
                models[i].use(now - limits[i].period - limits[i].period / 60 - Millis{1}, node));
    }
    for (std::size_t q = 0; q < batch.questions.size(); ++q) {
      const auto& parts = batch.questions[q].parts;
      const int verdict = reply->verdicts[q];
      const std::size_t before = verdict < 0 ? parts.size() : static_cast<std::size_t>(verdict);
      for (std::size_t p = 0; p < before; ++p) {
        if (!parts[p].bites) continue;
        ASSERT_LE(least(parts[p].counter) + parts[p].asked, limits[parts[p].counter].limit)
            << "more than the limit passes";
      }
      if (verdict >= 0) {
        ++refused;
        ASSERT_TRUE(parts[before].bites);
        ASSERT_GT(most(parts[before].counter) + parts[before].asked,
                  limits[parts[before].counter].limit)
            << "refused though there is room";
        continue;
      }
      ++allowed;
      for (const auto& part : parts) {
        own[node][part.counter].advance(now, limits[part.counter].period);
        own[node][part.counter].add(now, limits[part.counter].period, part.units);
        models[part.counter].arrivals.push_back({now, part.units, node});
      }
    }
    heard = now;
  }
  EXPECT_GT(allowed, 200u);
  EXPECT_GT(refused, 200u);
}

}  // namespace
}  // namespace policyd
