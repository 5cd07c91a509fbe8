// SPDX-License-Identifier: AGPL-3.0-only
// When a question about a triplet is answered: once, in time, whatever the engine does.
#include "daemon/cluster/greylist/cluster_greylisting.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <utility>

#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {
namespace {

using Time = GreylistingTables::Time;
using std::chrono::seconds;

// Answers when it is told to.
class SlowRedis final : public Redis {
 public:
  [[nodiscard]] bool ready() const override { return is_ready; }
  [[nodiscard]] const std::string& trouble() const override { return why_not; }
  void command(std::vector<std::string> words, Done done) override {
    calls.emplace_back(std::move(words), std::move(done));
  }
  // The oldest.
  void reply(const Result<RedisReply>& reply) {
    const Done done = std::move(calls.front().second);
    calls.pop_front();
    done(reply);
  }

  bool is_ready = true;
  std::string why_not;
  std::deque<std::pair<std::vector<std::string>, Done>> calls;
};

RedisReply text(const std::string& text) { return {RedisReply::Kind::text, 0, text, {}}; }

class ClusterGreylistingTest : public testing::Test {
 protected:
  void ask(bool with_lists = false) {
    TripletQuestion question;
    question.track_key = "k";
    question.sender = "s";
    question.recipient = "r";
    question.now = Time{seconds{2'000}};
    if (with_lists) question.whitelist_period = seconds{100};
    greylisting_.ask(question, [this](const TripletAnswer& answer) { answers_.push_back(answer); });
  }
  void tell() {
    greylisting_.tell({"k", "s", "r"}, TripletState::first_seen, Time{seconds{1'000}}, seconds{60},
                      seconds{0});
  }

  ManualLoop loop_;
  SlowRedis redis_;
  std::vector<std::string> lines_;
  Maillog log_{lines_};
  bool sharing_ = true;
  std::vector<TripletAnswer> answers_;
  ClusterGreylisting greylisting_{
      loop_, redis_, log_, {"p:", Millis{50}, std::chrono::hours{1}}, [this] { return sharing_; }};
};

TEST_F(ClusterGreylistingTest, AnswersWhenTheReplyComes) {
  ask();
  loop_.advance(Millis{10});
  EXPECT_TRUE(answers_.empty());
  redis_.reply(text("1500"));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0].answered);
  EXPECT_EQ(answers_[0].track_key, "k");
  EXPECT_EQ(answers_[0].first_seen, Time{seconds{1'500}});
  loop_.advance(Millis{100});
  EXPECT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(lines_.empty());
}

TEST_F(ClusterGreylistingTest, WaitsForAllReplies) {
  ask(true);
  ASSERT_EQ(redis_.calls.size(), 9U);
  for (int i = 0; i < 5; ++i) redis_.reply(RedisReply{});
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(answers_.empty()) << i;
    redis_.reply(RedisReply{RedisReply::Kind::number, i, {}, {}});
  }
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].in_blacklist_period.passed, 3);
}

TEST_F(ClusterGreylistingTest, AnswersWithoutTheEngineAfterTheDeadline) {
  ask();
  loop_.advance(Millis{49});
  EXPECT_TRUE(answers_.empty());
  loop_.advance(Millis{1});
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(answers_[0].answered);
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("triplets of Greylisting are not shared: no answer within 50 ms"),
            std::string::npos)
      << lines_[0];
  // Until the engine says something nothing more is sent.
  ask();
  tell();
  loop_.run_posted();
  EXPECT_EQ(answers_.size(), 2U);
  EXPECT_EQ(redis_.calls.size(), 1U);
  redis_.reply(text("1500"));
  EXPECT_EQ(answers_.size(), 2U) << "answered twice";
  tell();
  ask();
  EXPECT_EQ(redis_.calls.size(), 2U);
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(ClusterGreylistingTest, DoesNotAskWhileNothingIsShared) {
  for (bool* const state : {&sharing_, &redis_.is_ready}) {
    *state = false;
    answers_.clear();
    ask();
    tell();
    greylisting_.tell_whitelisted("k", Time{}, seconds{60});
    greylisting_.tell_blacklisted("k", Time{}, seconds{60});
    EXPECT_TRUE(answers_.empty()) << "before ask() returned";
    loop_.run_posted();
    ASSERT_EQ(answers_.size(), 1U);
    EXPECT_FALSE(answers_[0].answered);
    EXPECT_TRUE(redis_.calls.empty());
    *state = true;
  }
  EXPECT_TRUE(lines_.empty());
}

TEST_F(ClusterGreylistingTest, ALostConnectionAnswersAtOnce) {
  ask();
  redis_.is_ready = false;
  redis_.reply(failure("Redis is gone"));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(answers_[0].answered);
  EXPECT_TRUE(lines_.empty()) << "who keeps the connection up says so";
}

TEST_F(ClusterGreylistingTest, AnErrorIsLoggedOnce) {
  for (int i = 0; i < 3; ++i) {
    ask();
    redis_.reply(failure("LOADING the data"));
    tell();
    redis_.reply(failure("OOM command not allowed"));
  }
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_FALSE(answers_[0].answered);
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("the engine answers: LOADING the data"), std::string::npos);
}

TEST_F(ClusterGreylistingTest, AWriteThatFailsIsLogged) {
  tell();
  redis_.reply(failure("WRONGTYPE Operation against a key"));
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("the key 'p:g:t:k:1:s:r' is not one of ours; delete it"),
            std::string::npos)
      << lines_[0];
}

}  // namespace
}  // namespace policyd
