// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/cluster_counters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/cluster/count/counter_field.hpp"
#include "fake_redis.hpp"

namespace policyd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Millis kHour = std::chrono::hours{1};
constexpr Millis kMinute = std::chrono::minutes{1};

// Counters of a host, given by the test.
class ListedCounters final : public OwnCounters {
 public:
  void begin() override { at_ = 0; }
  void next(std::size_t most, Slice done) override {
    std::vector<Counter> slice;
    for (; at_ < all.size() && slice.size() < most; ++at_) slice.push_back(all[at_]);
    done(std::move(slice));
  }
  std::vector<Counter> all;

 private:
  std::size_t at_ = 0;
};

class ClusterCountersTest : public testing::Test {
 protected:
  explicit ClusterCountersTest(Without without = Without::share) { start(without); }

  void start(Without without, std::size_t hosts = 1) {
    counters_ = std::make_unique<ClusterCounters>(
        loop_, redis_, own_, log_,
        ClusterCounters::Settings{"p:", "mta1", "id1", "mta1.example.com", "1.0", hosts, without,
                                  kMinute},
        EngineClock::Sources{[this] { return TimePoint{Millis{redis_.time_ms + 7'000}}; },
                             [this] { return steady_; }});
    loop_.run_posted();
  }

  // In steps, so that a timer reads the time it was set for.
  void pass(Millis time) {
    for (; time > Millis{0}; time -= Millis{1}) {
      steady_ += Millis{1};
      ++redis_.time_ms;
      loop_.advance(Millis{1});
    }
  }

  Window use(std::uint64_t units) {
    Window window;
    window.add(counters_->now(), kHour, units);
    return window;
  }

  Wanted wanted(const std::string& key, std::uint64_t limit = 10, Window own = {}) {
    return {4, key, std::move(own), kHour, limit, 1, 1, true};
  }

  // The place of its answer in answers_.
  std::size_t ask(std::vector<Wanted> wanted) {
    const std::size_t place = answers_.size();
    answers_.emplace_back();
    counters_->ask(std::move(wanted), [this, place](Granted granted) {
      EXPECT_FALSE(answers_[place]) << "answered twice";
      answers_[place] = std::move(granted);
    });
    return place;
  }
  std::size_t ask(const std::string& key) { return ask({wanted(key)}); }

  [[nodiscard]] bool is_answered(std::size_t place) const { return answers_[place].has_value(); }

  ManualLoop loop_;
  FakeRedis redis_{loop_};
  ListedCounters own_;
  std::vector<std::string> lines_;
  Maillog log_{lines_};
  std::chrono::steady_clock::time_point steady_{std::chrono::hours{100}};
  std::vector<std::optional<Granted>> answers_;
  std::unique_ptr<ClusterCounters> counters_;
};

TEST_F(ClusterCountersTest, AsksForAllQuestionsOfAFlushInOneCall) {
  ask("a");
  ask("b");
  ask("a");
  EXPECT_THAT(redis_.calls, IsEmpty());
  counters_->flush();
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].questions(), 3u);
  EXPECT_EQ(redis_.calls[0].counters(), 2u);
  EXPECT_EQ(redis_.calls[0].key(0), "p:c:4:a");
  redis_.allow();
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->exceeded, -1);
    EXPECT_THAT(answer->own_limits, IsEmpty());
  }
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(ClusterCountersTest, HasAtMost64QuestionsInACallAndTwoCallsUnderWay) {
  for (int i = 0; i < 200; ++i) ask("key" + std::to_string(i));
  counters_->flush();
  ASSERT_THAT(redis_.calls, SizeIs(2));
  EXPECT_EQ(redis_.calls[0].questions(), 64u);
  EXPECT_EQ(redis_.calls[1].questions(), 64u);
  redis_.allow();
  ASSERT_THAT(redis_.calls, SizeIs(2));
  EXPECT_EQ(redis_.calls[1].questions(), 64u);
  while (!redis_.calls.empty()) redis_.allow();
  for (std::size_t i = 0; i < 200; ++i) EXPECT_TRUE(is_answered(i)) << i;
}

TEST_F(ClusterCountersTest, KeepsTheOrderOfEachCounter) {
  ask("a");
  counters_->flush();
  const auto second = ask({wanted("a"), wanted("b")});  // waits for "a"
  const auto third = ask("b");                          // and this one for the second
  const auto other = ask("c");
  counters_->flush();
  ASSERT_THAT(redis_.calls, SizeIs(2));
  EXPECT_EQ(redis_.calls[1].questions(), 1u);
  EXPECT_EQ(redis_.calls[1].key(0), "p:c:4:c");
  redis_.allow();
  ASSERT_THAT(redis_.calls, SizeIs(2));
  EXPECT_EQ(redis_.calls[1].questions(), 2u);
  redis_.allow();
  EXPECT_TRUE(is_answered(other));
  EXPECT_FALSE(is_answered(second));
  redis_.allow();
  EXPECT_TRUE(is_answered(second));
  EXPECT_TRUE(is_answered(third));
}

TEST_F(ClusterCountersTest, AddsWhatWasAllowedUntilItIsCounted) {
  ask("a");
  counters_->flush();
  redis_.allow();
  // The first one is allowed, but its batch has not come yet.
  ask("a");
  counters_->flush();
  EXPECT_EQ(redis_.calls[0].own_use(0), 1);
  redis_.allow();
  counters_->settle(4, "a", use(1), 1, true);
  ask({wanted("a", 10, use(1))});
  counters_->flush();
  EXPECT_EQ(redis_.calls[0].own_use(0), 2);
  redis_.allow();
  counters_->settle(4, "a", use(2), 1, true);
  counters_->settle(4, "a", use(2), 1, false);  // was not counted after all: the others learn it
  EXPECT_THAT(redis_.calls, IsEmpty());
  pass(Millis{100});
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].own_use(0), 2);
  EXPECT_EQ(redis_.calls[0].questions(), 0u);
}

TEST_F(ClusterCountersTest, AsksWithTheOwnPartOfTheMomentWhenItIsSent) {
  ask("a");
  counters_->flush();
  ask("a");  // waits, and while it does the first one is counted
  counters_->flush();
  redis_.calls[0].done(
      list_reply({number_reply(redis_.time_ms), list_of({-1}), list_of({0}), list_reply({})}));
  ASSERT_THAT(redis_.calls, SizeIs(2));
  EXPECT_EQ(redis_.calls[1].own_use(0), 1);
}

TEST_F(ClusterCountersTest, SaysWhichLimitRefusesAndWhatTheOthersHave) {
  const auto place = ask({wanted("a"), wanted("b")});
  counters_->flush();
  std::string field;
  put_double(field, 10);
  put_double(field, static_cast<double>(redis_.time_ms - 60'000));
  put_double(field, 10);
  redis_.reply(list_reply(
      {number_reply(redis_.time_ms), list_of({1}), list_of({3, 10}),
       list_reply({number_reply(2), list_reply({text_reply("mta2"), text_reply(field)})})}));
  ASSERT_TRUE(is_answered(place));
  const Granted& granted = *answers_[place];
  EXPECT_EQ(granted.exceeded, 1);
  ASSERT_THAT(granted.others, SizeIs(2));
  EXPECT_EQ(granted.others[0].use(), 3u);
  EXPECT_EQ(granted.others[1].use(), 10u);
  EXPECT_EQ(granted.others[1].free_at(kHour, 10, 1),
            TimePoint{Millis{redis_.time_ms - 60'000} + kHour});

  // Known from now on, for a while.
  const Window* full = counters_->known_full(4, "b");
  ASSERT_NE(full, nullptr);
  EXPECT_EQ(full->use(), 10u);
  EXPECT_EQ(counters_->known_full(4, "a"), nullptr);
  pass(KnownFull::kTrusted - Millis{1});
  EXPECT_NE(counters_->known_full(4, "b"), nullptr);
  pass(Millis{2});
  EXPECT_EQ(counters_->known_full(4, "b"), nullptr);
}

TEST_F(ClusterCountersTest, ForgetsWhatIsFull) {
  const auto learn = [&] {
    ask("b");
    counters_->flush();
    std::string field;
    put_double(field, 10);
    put_double(field, static_cast<double>(redis_.time_ms));
    put_double(field, 10);
    redis_.reply(list_reply(
        {number_reply(redis_.time_ms), list_of({0}), list_of({10}),
         list_reply({number_reply(1), list_reply({text_reply("mta2"), text_reply(field)})})}));
    EXPECT_NE(counters_->known_full(4, "b"), nullptr);
  };
  learn();
  counters_->forget_all();
  EXPECT_EQ(counters_->known_full(4, "b"), nullptr);
  learn();
  counters_->forget_all();
  EXPECT_EQ(counters_->known_full(4, "b"), nullptr);
}

TEST_F(ClusterCountersTest, AnswersAfter50msAndAtOnceUntilTheLateReply) {
  redis_.nodes["mta2"] =
      json_of_node({"id2", "h", "1", 0, "", {}, TimePoint{Millis{redis_.time_ms}}});
  redis_.nodes["mta3"] = redis_.nodes["mta2"];
  pass(kMinute);
  const auto first = ask("a");
  counters_->flush();
  pass(Millis{49});
  EXPECT_FALSE(is_answered(first));
  pass(Millis{1});
  ASSERT_TRUE(is_answered(first));
  EXPECT_THAT(answers_[first]->own_limits, ElementsAre(3u));  // 10 of three hosts
  EXPECT_FALSE(answers_[first]->defer);
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_EQ(lines_[0],
            "cluster trouble: no answer within 50 ms; until then this host lets 1/3 of "
            "each limit pass");

  const auto second = ask("b");
  counters_->flush();
  loop_.run_posted();
  EXPECT_TRUE(is_answered(second));
  EXPECT_THAT(redis_.calls, SizeIs(1));
  EXPECT_FALSE(counters_->status().sharing);

  counters_->changed(4, "a", use(1), kHour);  // it was counted here alone
  pass(kMinute + std::chrono::seconds{1});
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_THAT(lines_[1], HasSubstr("cluster trouble continues: "));
  redis_.allow();
  ASSERT_THAT(lines_, SizeIs(3));
  EXPECT_THAT(lines_[2], HasSubstr("cluster: limits are shared again, after 6"));
  // What the late call allowed was not counted; the own part is written again.
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].questions(), 0u);
  EXPECT_EQ(redis_.calls[0].own_use(0), 1);
  redis_.allow();
  const auto third = ask("a");
  counters_->flush();
  redis_.allow();
  EXPECT_TRUE(is_answered(third));
  EXPECT_THAT(answers_[third]->own_limits, IsEmpty());
  EXPECT_EQ(counters_->status().late, 1u);
  EXPECT_EQ(counters_->status().alone, 2u);
}

TEST_F(ClusterCountersTest, AnswersQuestionsThatWaitForAnotherCallIn50msToo) {
  ask("a");
  counters_->flush();
  pass(Millis{30});
  const auto second = ask("a");
  counters_->flush();
  pass(Millis{20});  // the first is late, so nothing more is expected of the engine
  EXPECT_TRUE(is_answered(second));
}

TEST_F(ClusterCountersTest, WithoutTheEngineEachLimitHoldsAsSet) {
  for (const auto without : {Without::share, Without::local, Without::defer}) {
    counters_.reset();
    redis_.calls.clear();
    start(without);
    redis_.nodes["mta2"] =
        json_of_node({"id2", "h", "1", 0, "", {}, TimePoint{Millis{redis_.time_ms}}});
    pass(std::chrono::seconds{5});
    redis_.lose_connection();
    const auto place = ask({wanted("a", 11), wanted("b", 1)});
    counters_->flush();
    loop_.run_posted();
    ASSERT_TRUE(is_answered(place));
    EXPECT_EQ(answers_[place]->defer, without == Without::defer);
    EXPECT_THAT(answers_[place]->others, IsEmpty());
    EXPECT_THAT(answers_[place]->wanted, SizeIs(2));
    const std::uint64_t first = without == Without::share ? 5 : 11;
    EXPECT_THAT(answers_[place]->own_limits, ElementsAre(first, 1u));
    EXPECT_EQ(counters_->known_full(4, "a"), nullptr);
    redis_.is_ready = true;
    redis_.nodes.clear();
  }
}

// What is not a reply of the script is said once, and the questions are answered without it.
TEST_F(ClusterCountersTest, RepliesThatAreNone) {
  const auto time = number_reply(redis_.time_ms);
  const std::vector<std::pair<std::string, Result<RedisReply>>> rows = {
      {"nothing", RedisReply{}},
      {"text", text_reply("x")},
      {"an empty list", list_reply({})},
      {"too short", list_reply({time, list_of({-1})})},
      {"no time", list_reply({text_reply("x"), list_of({-1}), list_of({0}), list_reply({})})},
      {"a negative time",
       list_reply({number_reply(-1), list_of({-1}), list_of({0}), list_reply({})})},
      {"too many verdicts", list_reply({time, list_of({-1, -1}), list_of({0}), list_reply({})})},
      {"a verdict of no limit", list_reply({time, list_of({1}), list_of({0}), list_reply({})})},
      {"too few counters", list_reply({time, list_of({-1}), list_of({}), list_reply({})})},
      {"too much use",
       list_reply({time, list_of({-1}), list_of({(1LL << 53) + 1}), list_reply({})})},
      {"a full counter that was not asked for",
       list_reply(
           {time, list_of({0}), list_of({0}), list_reply({number_reply(2), list_reply({})})})},
      {"half a pair of fields",
       list_reply({time, list_of({0}), list_of({0}), list_reply({number_reply(1), list_of({1})})})},
      {"out of memory", failure("OOM command not allowed when used memory > 'maxmemory'.")},
      {"read-only", failure("READONLY You can't write against a read only replica.")},
      {"busy", failure("BUSY Redis is busy running a script.")},
  };
  for (const auto& [name, reply] : rows) {
    SCOPED_TRACE(name);
    pass(kMinute);
    lines_.clear();
    const auto place = ask("a");
    counters_->flush();
    ASSERT_THAT(redis_.calls, SizeIs(1));
    redis_.reply(reply);
    ASSERT_TRUE(is_answered(place));
    EXPECT_THAT(answers_[place]->own_limits, ElementsAre(10u));
    EXPECT_THAT(lines_, SizeIs(1));
    EXPECT_FALSE(counters_->status().sharing);
    // The part is tried again, and once that is stored all is well.
    pass(ClusterCounters::kWriteWithin);
    ASSERT_THAT(redis_.calls, SizeIs(1));
    redis_.allow();
    EXPECT_THAT(lines_, SizeIs(2));
    EXPECT_TRUE(counters_->status().sharing);
  }
}

TEST_F(ClusterCountersTest, AKeyOfAnotherKindConcernsItsQuestionsAlone) {
  const auto broken = ask("a");
  const auto whole = ask("b");
  counters_->flush();
  redis_.reply(list_reply(
      {number_reply(redis_.time_ms), list_of({-2, -1}), list_of({-1, 0}), list_reply({})}));
  EXPECT_THAT(answers_[broken]->own_limits, SizeIs(1));
  EXPECT_THAT(answers_[whole]->own_limits, IsEmpty());
  EXPECT_THAT(lines_,
              ElementsAre("cluster: the key 'p:c:4:a' is not a counter of ours; delete it"));
  EXPECT_TRUE(counters_->status().sharing);
}

TEST_F(ClusterCountersTest, SendsTheScriptWhereTheServerHasForgottenIt) {
  const auto place = ask("a");
  counters_->flush();
  EXPECT_EQ(redis_.calls[0].words[0], "EVALSHA");
  redis_.reply(failure("NOSCRIPT No matching script."));
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].words[0], "EVAL");
  redis_.allow();
  EXPECT_EQ(answers_[place]->exceeded, -1);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(ClusterCountersTest, WritesAllCountersAgainToAServerThatLostThem) {
  for (int i = 0; i < 450; ++i) own_.all.push_back({4, "key" + std::to_string(i), use(2), kHour});
  redis_.epoch.clear();  // FLUSHALL
  ask("a");
  counters_->flush();
  redis_.reply(list_reply({text_reply("")}));
  EXPECT_THAT(redis_.calls, IsEmpty());
  pass(2 * Rejoin::kTick);
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].counters(), 200u);
  EXPECT_EQ(redis_.calls[0].own_use(0), 2);
  redis_.allow();
  const auto meanwhile = ask("b");  // not decided with the others yet
  counters_->flush();
  loop_.run_posted();
  ASSERT_TRUE(is_answered(meanwhile));
  EXPECT_THAT(answers_[meanwhile]->own_limits, SizeIs(1));
  redis_.allow();
  EXPECT_EQ(redis_.calls[0].counters(), 50u);
  redis_.allow();
  EXPECT_TRUE(counters_->status().sharing);
}

TEST_F(ClusterCountersTest, WhatIsCountedWhileCountersAreWrittenAgainIsWrittenToo) {
  own_.all.push_back({4, "a", {}, kHour});  // read from the database before that
  ask("a");
  counters_->flush();
  redis_.allow();
  redis_.epoch.clear();
  pass(std::chrono::milliseconds{1'300});
  ASSERT_THAT(redis_.calls, SizeIs(1));
  counters_->settle(4, "a", use(1), 1, true);
  redis_.allow();
  pass(Millis{200});
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].key(0), "p:c:4:a");
  EXPECT_EQ(redis_.calls[0].own_use(0), 1);
}

TEST_F(ClusterCountersTest, WritesNothingAgainAfterALostConnectionButWhatChanged) {
  own_.all.push_back({4, "old", use(2), kHour});
  redis_.lose_connection();
  counters_->changed(4, "new", use(3), kHour);
  pass(Millis{500});
  redis_.is_ready = true;
  pass(Millis{200});
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].counters(), 1u);
  EXPECT_EQ(redis_.calls[0].key(0), "p:c:4:new");
  redis_.allow();
  // Another server, as after a failover.
  redis_.lose_connection();
  redis_.run_id = "second";
  redis_.is_ready = true;
  pass(Millis{200});
  ASSERT_THAT(redis_.calls, SizeIs(1));
  EXPECT_EQ(redis_.calls[0].key(0), "p:c:4:old");
}

TEST_F(ClusterCountersTest, WaitsAMomentUntilTheOthersHaveWrittenTheirs) {
  redis_.lose_connection();
  redis_.run_id = "second";
  redis_.nodes["mta2"] =
      json_of_node({"id2", "h", "1", 0, "1-x first", {}, TimePoint{Millis{redis_.time_ms}}});
  redis_.is_ready = true;
  pass(Millis{300});
  EXPECT_FALSE(counters_->status().sharing);
  redis_.nodes["mta2"] = json_of_node(
      {"id2", "h", "1", 0, redis_.epoch + " second", {}, TimePoint{Millis{redis_.time_ms}}});
  pass(Millis{200});
  EXPECT_TRUE(counters_->status().sharing);
  // One that does not is not waited for longer than this.
  redis_.lose_connection();
  redis_.run_id = "third";
  redis_.is_ready = true;
  pass(Rejoin::kOthers - Millis{100});
  EXPECT_FALSE(counters_->status().sharing);
  pass(Millis{400});
  EXPECT_TRUE(counters_->status().sharing);
}

TEST_F(ClusterCountersTest, WaitsForWhoWasAliveWhenTheEngineWentAway) {
  redis_.nodes["mta2"] = json_of_node(
      {"id2", "h", "1", 0, redis_.epoch + " first", {}, TimePoint{Millis{redis_.time_ms}}});
  pass(std::chrono::seconds{2});
  ASSERT_TRUE(counters_->status().sharing);
  redis_.lose_connection();
  pass(std::chrono::minutes{1});  // nobody is seen meanwhile
  redis_.run_id = "second";
  redis_.nodes.clear();
  redis_.is_ready = true;
  pass(Rejoin::kOthers - std::chrono::seconds{1});
  EXPECT_FALSE(counters_->status().sharing);
  pass(std::chrono::seconds{2});
  EXPECT_TRUE(counters_->status().sharing);
  // It is not waited for again.
  redis_.lose_connection();
  redis_.run_id = "third";
  redis_.is_ready = true;
  pass(std::chrono::seconds{1});
  EXPECT_TRUE(counters_->status().sharing);
}

TEST_F(ClusterCountersTest, HostsKnownBeforeAStartAreAwaitedAndCounted) {
  counters_.reset();
  redis_.nodes.clear();  // the engine has lost its data
  start(Without::share, 3);
  pass(std::chrono::seconds{2});
  EXPECT_FALSE(counters_->status().sharing);
  EXPECT_EQ(counters_->status().hosts, 3u);
  for (const char* name : {"mta2", "mta3"}) {
    EXPECT_FALSE(counters_->status().sharing);
    redis_.nodes[name] = json_of_node(
        {name, "h", "1", 0, redis_.epoch + " first", {}, TimePoint{Millis{redis_.time_ms}}});
    pass(Millis{300});
  }
  EXPECT_TRUE(counters_->status().sharing);
  // Others that stay away count for an hour.
  pass(std::chrono::minutes{59});
  EXPECT_EQ(counters_->status().hosts, 3u);
  pass(std::chrono::minutes{2});
  EXPECT_EQ(counters_->status().hosts, 1u);
}

// `cluster leave` and a new name remove it from the hash.
TEST_F(ClusterCountersTest, AHostThatHasLeftDoesNotCount) {
  const auto add = [&](const char* name) {
    redis_.nodes[name] = json_of_node(
        {name, "h", "1", 0, redis_.epoch + " first", {}, TimePoint{Millis{redis_.time_ms}}});
  };
  for (const std::size_t known_before : {1u, 3u}) {
    SCOPED_TRACE(known_before);
    counters_.reset();
    add("mta2");
    add("mta3");
    start(Without::share, known_before);
    pass(std::chrono::seconds{2});
    EXPECT_EQ(counters_->status().hosts, 3u);
    redis_.nodes.erase("mta3");
    pass(std::chrono::seconds{2});
    EXPECT_EQ(counters_->status().hosts, 2u);
    // The same while there was no connection.
    redis_.lose_connection();
    redis_.nodes.erase("mta2");
    pass(std::chrono::seconds{2});
    EXPECT_EQ(counters_->status().hosts, 2u);
    redis_.is_ready = true;
    pass(std::chrono::seconds{2});
    EXPECT_TRUE(counters_->status().sharing);
    EXPECT_EQ(counters_->status().hosts, 1u);
  }
}

TEST_F(ClusterCountersTest, HostsThatTheEngineHasLostStillCount) {
  const auto add = [&](const char* name) {
    redis_.nodes[name] = json_of_node(
        {name, "h", "1", 0, redis_.epoch + " first", {}, TimePoint{Millis{redis_.time_ms}}});
  };
  add("mta2");
  pass(std::chrono::seconds{2});
  redis_.nodes.clear();
  redis_.epoch.clear();
  pass(std::chrono::seconds{2});
  EXPECT_EQ(counters_->status().hosts, 2u);
  add("mta2");
  pass(std::chrono::seconds{2});
  // Restored from a file that does not have it.
  redis_.lose_connection();
  redis_.run_id = "second";
  redis_.nodes.erase("mta2");
  redis_.is_ready = true;
  pass(std::chrono::seconds{2});
  EXPECT_EQ(counters_->status().hosts, 2u);
}

TEST_F(ClusterCountersTest, AHostThatCameAndLeftIsNotOneOfThoseKnownBefore) {
  counters_.reset();
  redis_.nodes.clear();
  const auto add = [&](const char* name) {
    redis_.nodes[name] = json_of_node(
        {name, "h", "1", 0, redis_.epoch + " first", {}, TimePoint{Millis{redis_.time_ms}}});
  };
  add("mta2");
  start(Without::share, 2);
  pass(std::chrono::seconds{2});
  add("mta3");
  pass(std::chrono::seconds{2});
  EXPECT_EQ(counters_->status().hosts, 3u);
  redis_.nodes.erase("mta3");
  redis_.nodes.erase("mta2");
  pass(std::chrono::seconds{2});
  EXPECT_EQ(counters_->status().hosts, 1u);
}

TEST_F(ClusterCountersTest, TellsOfItselfEachSecondAndCountsTheHostsOfAnHour) {
  counters_->set_rules_version(17);
  pass(std::chrono::seconds{2});
  const auto self = node_of_json(redis_.nodes["mta1"]);
  ASSERT_TRUE(self);
  EXPECT_EQ(self->rules, 17);
  EXPECT_EQ(self->host, "mta1.example.com");
  EXPECT_LE(redis_.time_ms - self->seen.time_since_epoch().count(), 1100);
  redis_.nodes["mta2"] =
      json_of_node({"id2", "h", "1", 0, "", {}, TimePoint{Millis{redis_.time_ms}}});
  redis_.nodes["garbage"] = "[1,2";
  pass(std::chrono::seconds{2});
  EXPECT_EQ(counters_->status().hosts, 2u);
  pass(std::chrono::minutes{58});
  EXPECT_EQ(counters_->status().hosts, 2u);
  pass(std::chrono::minutes{3});
  EXPECT_EQ(counters_->status().hosts, 1u);
  EXPECT_EQ(counters_->status().clock_ahead, Millis{7'000});
}

TEST_F(ClusterCountersTest, HostsAreNotFewerWithoutTheEngine) {
  redis_.nodes["mta2"] =
      json_of_node({"id2", "h", "1", 0, "", {}, TimePoint{Millis{redis_.time_ms}}});
  pass(std::chrono::seconds{2});
  redis_.lose_connection();
  pass(std::chrono::hours{2});
  EXPECT_EQ(counters_->status().hosts, 2u);
}

TEST_F(ClusterCountersTest, ASecondHostOfTheSameNameCountsAlone) {
  counters_.reset();
  const auto earlier = TimePoint{Millis{redis_.time_ms - 1'000}};
  redis_.nodes["mta1"] = json_of_node({"other", "mta9", "1", 0, "", earlier, earlier});
  const std::string theirs = redis_.nodes["mta1"];
  start(Without::share);
  pass(Millis{500});
  EXPECT_FALSE(counters_->status().sharing);
  EXPECT_EQ(redis_.nodes["mta1"], theirs);
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], HasSubstr("the host 'mta9' has the same name in the cluster, 'mta1'"));
  pass(std::chrono::seconds{10});  // it is gone
  EXPECT_TRUE(counters_->status().sharing);
}

TEST_F(ClusterCountersTest, AnotherProtocolIsSaidAndNotUsed) {
  counters_.reset();
  redis_.epoch = "2-abc";
  start(Without::share);
  pass(Millis{100});
  EXPECT_FALSE(counters_->status().sharing);
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], HasSubstr("of another version (p:epoch is '2-abc')"));
}

TEST_F(ClusterCountersTest, SaysThatASilentServerDoesNotAnswer) {
  redis_.is_silent = true;
  pass(std::chrono::seconds{4});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], HasSubstr("cluster trouble: no answer for "));
}

TEST_F(ClusterCountersTest, AFlickeringConnectionIsLoggedOnceAMinute) {
  for (int i = 0; i < 20; ++i) {
    redis_.lose_connection();
    pass(Millis{1'000});
    redis_.is_ready = true;
    pass(Millis{1'000});
  }
  EXPECT_THAT(lines_, SizeIs(2)) << testing::PrintToString(lines_);
}

TEST_F(ClusterCountersTest, AMessageWithTooManyCountersIsCountedAlone) {
  std::vector<Wanted> many(1'167, wanted("a"));
  const auto fits = ask(std::vector<Wanted>(many.begin(), many.end() - 1));
  const auto does_not = ask(many);
  counters_->flush();
  loop_.run_posted();
  EXPECT_TRUE(is_answered(does_not));
  ASSERT_THAT(redis_.calls, SizeIs(1));
  redis_.allow();
  EXPECT_THAT(answers_[fits]->own_limits, IsEmpty());
}

TEST_F(ClusterCountersTest, WhatIsNeverSettledIsDropped) {
  ask("a");
  counters_->flush();
  redis_.allow();
  pass(std::chrono::seconds{12});
  ASSERT_THAT(redis_.calls, SizeIs(1));  // the engine has it no longer, either
  EXPECT_EQ(redis_.calls[0].own_use(0), 0);
}

TEST_F(ClusterCountersTest, AllAreWrittenAgainIfTooManyChangedMeanwhile) {
  own_.all.push_back({4, "all", use(2), kHour});
  redis_.lose_connection();
  for (std::size_t i = 0; i <= ActiveCounters::kMaxUnwritten; ++i) {
    counters_->changed(4, "key" + std::to_string(i), use(1), kHour);
  }
  EXPECT_EQ(counters_->status().unwritten, ActiveCounters::kMaxUnwritten);
  redis_.is_ready = true;
  pass(Millis{200});
  ASSERT_FALSE(redis_.calls.empty());
  EXPECT_EQ(redis_.calls[0].key(0), "p:c:4:all");
}

}  // namespace
}  // namespace policyd
