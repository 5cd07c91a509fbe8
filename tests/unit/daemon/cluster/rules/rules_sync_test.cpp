// SPDX-License-Identifier: AGPL-3.0-only
// One host whose engine is played here; another host's rules are put into it by the test.
#include "daemon/cluster/rules/rules_sync.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/cluster/rules/rule_text.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

using Kind = RedisReply::Kind;

RedisReply text_or_nothing(const std::string& text) {
  return text.empty() ? RedisReply{} : RedisReply{Kind::text, 0, text, {}};
}

// The commands that RulesSync sends.
class RulesRedis final : public Redis {
 public:
  explicit RulesRedis(ManualLoop& loop) : loop_(loop) {}

  [[nodiscard]] bool ready() const override { return is_ready; }
  [[nodiscard]] const std::string& trouble() const override { return none_; }
  void command(std::vector<std::string> words, Done done) override {
    Result<RedisReply> reply = answer(words);
    if (refused.contains(words[0])) reply = failure(refusal);
    if (lost.erase(words[0]) > 0) reply = RedisReply{};
    loop_.post([done = std::move(done), reply = std::move(reply)] { done(reply); });
  }

  bool is_ready = true;
  std::string version, digest, ids;
  std::vector<std::string> body;
  std::set<std::string> refused;  // by the server
  std::string refusal = "NOPERM";
  std::set<std::string> lost;  // whose next reply is nothing

 private:
  RedisReply answer(const std::vector<std::string>& words) {
    const auto number = [](std::size_t value) {
      return RedisReply{Kind::number, static_cast<std::int64_t>(value), {}, {}};
    };
    const std::string& name = words[0];
    if (name == "HMGET") {
      return {Kind::list,
              0,
              {},
              {text_or_nothing(version), text_or_nothing(digest), text_or_nothing(ids)}};
    }
    if (name == "LLEN") return number(body.size());
    if (name == "LINDEX") return text_or_nothing(body.at(std::stoul(words[2])));
    if (name == "DEL") upload_.clear();
    if (name == "RPUSH") upload_.push_back(words[2]);
    if (name == "EVAL") {
      version = words[7];
      digest = words[8];
      ids = words[10];
      body = std::exchange(upload_, {});
    }
    return number(1);
  }

  ManualLoop& loop_;
  std::string none_;
  std::vector<std::string> upload_;
};

class RulesSyncTest : public StoreTest {
 protected:
  void SetUp() override {
    make_database();
    sync_.emplace(
        loop_, *log_, redis_, RulesSync::Settings{{file_, ""}, "p:", "mta1"},
        RulesSync::Ask{[this] { return local_version(); }, [] { return std::size_t{2}; }, [] {}});
    ASSERT_TRUE(until([this] { return sync_->agrees(); }));
    ASSERT_EQ(sync_->version(), 1);
  }
  void TearDown() override { sync_.reset(); }

  std::int64_t local_version() {
    return sql::first_integer(admin_.get(), "SELECT Version FROM {p}limits_rules_version", "")
        .value_or(0);
  }
  // A minute of the loop at most; the thread of the database takes real time.
  bool until(const std::function<bool()>& is_so) {
    for (int i = 0; i < 3'000; ++i) {
      if (is_so()) return true;
      loop_.advance(Millis{20});
      std::this_thread::sleep_for(Millis{1});
    }
    return false;
  }
  void pass(Millis time) {
    auto turns = time / Millis{20};
    until([&] { return turns-- == 0; });
  }
  // Another host sets the limit.
  void publish(const std::string& limit) {
    admin("BEGIN; UPDATE quotas_limits SET CounterLimit = " + limit);
    const std::string rules = save_rules(admin_.get(), "").value();
    admin("ROLLBACK");
    redis_.version = std::to_string(std::stoi(redis_.version) + 1);
    redis_.digest = sha1_of(rules);
    redis_.body = {rules};
  }
  std::string limit() { return ask_admin("SELECT CounterLimit FROM quotas_limits WHERE ID = 4"); }

  RulesRedis redis_{loop_};
  std::optional<RulesSync> sync_;
};

TEST_F(RulesSyncTest, TakesOverWhatAnotherHostHasPublished) {
  publish("3");
  EXPECT_TRUE(until([this] { return sync_->version() == 2; }));
  EXPECT_EQ(limit(), "3");
  EXPECT_TRUE(sync_->agrees());
}

TEST_F(RulesSyncTest, TriesAgainWhatCouldNotBeFetched) {
  for (const char* command : {"LLEN", "LINDEX"}) {
    SCOPED_TRACE(command);
    const std::int64_t before = sync_->version();
    redis_.refused = {command};
    publish(std::to_string(before));
    ASSERT_TRUE(until([this] { return !sync_->agrees(); }));
    EXPECT_EQ(sync_->trouble(), "NOPERM");
    EXPECT_EQ(sync_->version(), before);
    redis_.refused.clear();
    ASSERT_TRUE(until([this] { return sync_->agrees(); }));
    EXPECT_EQ(sync_->version(), before + 1);
    EXPECT_EQ(limit(), std::to_string(before));
  }
}

TEST_F(RulesSyncTest, TriesAgainWhatWasReplacedMeanwhile) {
  redis_.lost = {"LINDEX"};
  publish("3");
  EXPECT_TRUE(until([this] { return sync_->version() == 2; }));
  EXPECT_EQ(limit(), "3");
}

TEST_F(RulesSyncTest, DoesNotAgreeWithWhatItCannotRead) {
  const struct {
    const char* name;
    std::string refusal, version, trouble;
  } cases[] = {
      {"not allowed", "NOPERM", "", "the key 'p:rules' cannot be read: NOPERM"},
      {"of another type", "WRONGTYPE Operation against", "",
       "the key 'p:rules' holds no rules; delete it, and the hosts publish theirs again"},
      {"no version", "", "x",
       "the key 'p:rules' holds no rules; delete it, and the hosts publish theirs again"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    const std::string version = redis_.version;
    redis_.refusal = one.refusal;
    if (!one.refusal.empty()) redis_.refused = {"HMGET"};
    if (!one.version.empty()) redis_.version = one.version;
    ASSERT_TRUE(until([this] { return !sync_->agrees(); }));
    EXPECT_EQ(sync_->trouble(), one.trouble);
    redis_.refused.clear();
    redis_.version = version;
    ASSERT_TRUE(until([this] { return sync_->agrees(); }));
    EXPECT_EQ(sync_->trouble(), "");
  }
}

TEST_F(RulesSyncTest, ALostConnectionIsNoTroubleOfTheRules) {
  redis_.refused = {"HMGET"};
  redis_.is_ready = false;
  pass(Millis{1'000});
  EXPECT_TRUE(sync_->agrees());
}

TEST_F(RulesSyncTest, HandsOverWhichIdsWereGiven) {
  EXPECT_NE(redis_.ids.find("quotas_limits=4"), std::string::npos) << redis_.ids;
  redis_.ids = "quotas_limits=70";
  publish("3");
  EXPECT_TRUE(until([this] { return sync_->version() == 2; }));
  admin("INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (3, 'MessageCount', 1)");
  EXPECT_EQ(ask_admin("SELECT max(ID) FROM quotas_limits"), "71");
}

TEST_F(RulesSyncTest, SaysTheVersionThatIsInForce) {
  redis_.refused = {"LINDEX"};
  publish("3");
  pass(Millis{1'000});
  EXPECT_EQ(sync_->version(), 1);
}

}  // namespace
}  // namespace policyd
