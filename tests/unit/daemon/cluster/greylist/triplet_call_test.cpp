// SPDX-License-Identifier: AGPL-3.0-only
// What is written to Redis and read back, by the installed server, and replies of anything else.
#include "daemon/cluster/greylist/triplet_call.hpp"

#include <gtest/gtest.h>

#include "tests/unit/daemon/cluster/count/real_redis.hpp"

namespace policyd {
namespace {

using Time = GreylistingTables::Time;
using std::chrono::seconds;

constexpr Time kNow{seconds{1'800'000'000}};
const std::string kPrefix = "p:";

Time ago(std::int64_t count) { return kNow - seconds{count}; }

TripletQuestion question(const std::string& sender, bool with_lists = true) {
  TripletQuestion question{"SenderIP:192.0.2.0/24", sender, "bob@example.com", kNow};
  if (!with_lists) return question;
  question.whitelist_period = seconds{600};
  question.blacklist_period = seconds{300};
  return question;
}

class TripletCall : public testing::Test {
 protected:
  void SetUp() override {
    if (!RealRedis::is_installed()) GTEST_SKIP() << "redis-server is not installed";
    server_ = std::make_unique<RealRedis>();
    redis_ = std::make_unique<WaitingRedis>(loop_, server_->port());
  }

  Result<TripletAnswer> ask(const TripletQuestion& question) {
    const auto commands = triplet_question_commands(kPrefix, question);
    std::vector<Result<RedisReply>> replies;
    for (const RedisWords& command : commands) replies.push_back(redis_->run(command));
    return read_triplet_answer(commands, question, replies);
  }
  void tell(const std::string& sender, TripletState state, Time first_seen,
            seconds keep_for = seconds{1'000}, seconds count_for = seconds{600}) {
    const TripletQuestion about = question(sender);
    for (const RedisWords& command :
         tell_triplet_commands(kPrefix, about.names(), state, first_seen, keep_for, count_for)) {
      EXPECT_TRUE(redis_->run(command)) << command[0];
    }
  }
  double seconds_left(const std::string& key) {
    return static_cast<double>(redis_->run({"TTL", kPrefix + key})->number);
  }

  ManualLoop loop_;
  std::unique_ptr<RealRedis> server_;
  std::unique_ptr<WaitingRedis> redis_;
};

TEST_F(TripletCall, NothingIsKnownAtFirst) {
  const auto answer = ask(question("a@x"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->answered);
  EXPECT_FALSE(answer->first_seen || answer->whitelist_seen || answer->blacklist_added ||
               answer->is_counted || answer->is_counted_as_passed);
  EXPECT_EQ(answer->in_whitelist_period.total, 0);
}

TEST_F(TripletCall, TheFirstToSeeATripletSaysWhen) {
  tell("a@x", TripletState::first_seen, ago(9));
  tell("a@x", TripletState::first_seen, ago(5));
  EXPECT_EQ(ask(question("a@x"))->first_seen, ago(9));
  EXPECT_EQ(ask(question("a@x", false))->first_seen, ago(9));
  EXPECT_FALSE(ask(question("b@x"))->first_seen);
  // What was decided by both, this host's and the engine's, is written over it.
  tell("a@x", TripletState::deferred, ago(20));
  EXPECT_EQ(ask(question("a@x"))->first_seen, ago(20));
}

TEST_F(TripletCall, TripletsDifferHoweverTheirNamesAreDivided) {
  TripletQuestion one = question("a:b", false);
  one.recipient = "c";
  TripletQuestion other = question("a", false);
  other.recipient = "b:c";
  const auto commands = tell_triplet_commands(kPrefix, one.names(), TripletState::first_seen,
                                              ago(1), seconds{60}, seconds{0});
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_TRUE(redis_->run(commands[0]));
  EXPECT_TRUE(ask(one)->first_seen);
  EXPECT_FALSE(ask(other)->first_seen);
}

TEST_F(TripletCall, EverythingExpires) {
  tell("a@x", TripletState::passed, ago(9), seconds{1'000}, seconds{600});
  EXPECT_TRUE(redis_->run(tell_listed_command(kPrefix, TripletList::white, "SenderIP:192.0.2.0/24",
                                              kNow, seconds{70})));
  EXPECT_TRUE(redis_->run(
      tell_listed_command(kPrefix, TripletList::black, "SenderIP:192.0.2.0/24", kNow, seconds{0})));
  EXPECT_NEAR(seconds_left("g:t:SenderIP:192.0.2.0/24:3:a@x:bob@example.com"), 1'000, 60);
  EXPECT_NEAR(seconds_left("g:s:SenderIP:192.0.2.0/24"), 600, 60);
  EXPECT_NEAR(seconds_left("g:p:SenderIP:192.0.2.0/24"), 600, 60);
  EXPECT_NEAR(seconds_left("g:w:SenderIP:192.0.2.0/24"), 70, 60);
  EXPECT_LE(seconds_left("g:b:SenderIP:192.0.2.0/24"), 1);
}

TEST_F(TripletCall, CountsWhatAllHaveSeenAndLetThrough) {
  tell("a@x", TripletState::first_seen, ago(601));
  tell("b@x", TripletState::first_seen, ago(600));
  tell("b@x", TripletState::passed, ago(600));
  tell("c@x", TripletState::passed, ago(300));
  tell("d@x", TripletState::deferred, ago(300));
  tell("e@x", TripletState::first_seen, ago(1), seconds{1'000}, seconds{0});  // no lists
  const auto answer = ask(question("b@x"));
  EXPECT_EQ(answer->in_whitelist_period.total, 3);
  EXPECT_EQ(answer->in_whitelist_period.passed, 2);
  EXPECT_EQ(answer->in_blacklist_period.total, 2);
  EXPECT_EQ(answer->in_blacklist_period.passed, 1);
  EXPECT_TRUE(answer->is_counted && answer->is_counted_as_passed);
  EXPECT_FALSE(ask(question("d@x"))->is_counted_as_passed);
  EXPECT_FALSE(ask(question("e@x"))->is_counted);
}

TEST_F(TripletCall, ATrackKeyKeepsABoundedNumberOfTriplets) {
  EXPECT_TRUE(
      redis_->run({"EVAL", "for i = 1, 100000 do redis.call('ZADD', KEYS[1], i, i) end return 1",
                   "1", "p:g:s:SenderIP:192.0.2.0/24"}));
  tell("a@x", TripletState::first_seen, ago(1));
  tell("b@x", TripletState::first_seen, ago(1));
  EXPECT_EQ(redis_->run({"ZCARD", "p:g:s:SenderIP:192.0.2.0/24"})->number, kMaxTripletsCounted);
  EXPECT_TRUE(ask(question("b@x"))->is_counted);
  EXPECT_EQ(ask(question("b@x"))->in_blacklist_period.total, 2);
}

TEST_F(TripletCall, ListedTrackKeys) {
  for (const TripletList list : {TripletList::white, TripletList::black}) {
    EXPECT_TRUE(
        redis_->run(tell_listed_command(kPrefix, list, "SenderIP:192.0.2.0/24",
                                        ago(list == TripletList::white ? 5 : 7), seconds{100})));
  }
  const auto answer = ask(question("a@x"));
  EXPECT_EQ(answer->whitelist_seen, ago(5));
  EXPECT_EQ(answer->blacklist_added, ago(7));
  EXPECT_FALSE(ask(question("a@x", false))->whitelist_seen) << "not used";
}

TEST_F(TripletCall, AKeyThatNoHostWroteIsNamed) {
  for (const std::string kind :
       {"t:SenderIP:192.0.2.0/24:3:a@x:bob@example.com", "w:SenderIP:192.0.2.0/24",
        "b:SenderIP:192.0.2.0/24", "s:SenderIP:192.0.2.0/24", "p:SenderIP:192.0.2.0/24"}) {
    SCOPED_TRACE(kind);
    redis_->run({"FLUSHALL"});
    redis_->run({"LPUSH", "p:g:" + kind, "x"});
    const auto answer = ask(question("a@x"));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message, "the key 'p:g:" + kind + "' is not one of ours; delete it");
  }
}

TEST_F(TripletCall, AValueThatNoHostWroteIsNotUsed) {
  for (const std::string value : {"", "nonsense", "-1", "1800000061", "99999999999999999999",
                                  "1800000000.5", " 1", "1 ", "0x10", "+5"}) {
    SCOPED_TRACE(value);
    redis_->run({"SET", "p:g:w:SenderIP:192.0.2.0/24", value});
    EXPECT_FALSE(ask(question("a@x")));
  }
  // Clocks that differ by a moment.
  redis_->run({"SET", "p:g:w:SenderIP:192.0.2.0/24", "1800000060"});
  EXPECT_EQ(ask(question("a@x"))->whitelist_seen, kNow);
}

TEST(TripletReply, FewerOrMoreRepliesThanCommands) {
  const TripletQuestion about = question("a@x");
  const auto commands = triplet_question_commands(kPrefix, about);
  EXPECT_FALSE(read_triplet_answer(commands, about, {}));
  std::vector<Result<RedisReply>> replies(commands.size(), RedisReply{});
  EXPECT_FALSE(read_triplet_answer(commands, about, replies)) << "counts are numbers";
  replies.clear();
  for (std::size_t i = 0; i < commands.size(); ++i) {
    replies.emplace_back(i < 5 ? RedisReply{} : RedisReply{RedisReply::Kind::number, -1, {}, {}});
  }
  EXPECT_FALSE(read_triplet_answer(commands, about, replies)) << "below nothing";
  for (std::size_t i = 5; i < commands.size(); ++i) replies[i]->number = 1'000'000'000'000;
  EXPECT_EQ(read_triplet_answer(commands, about, replies)->in_whitelist_period.total,
            kMaxTripletsCounted);
  replies.emplace_back(RedisReply{});
  EXPECT_FALSE(read_triplet_answer(commands, about, replies));
}

}  // namespace
}  // namespace policyd
