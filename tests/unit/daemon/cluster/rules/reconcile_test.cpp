// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/reconcile.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "daemon/cluster/rules/rule_text.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

using Kind = RuleStep::Kind;

// Two hosts and what an engine has; steps are taken as the daemon takes them.
class ReconcileTest : public StoreTest {
 protected:
  ReconcileTest() {
    make_database();
    a_.file = file_;
    b_.file = folder_ / "other.sqlitedb";
    EXPECT_TRUE(create_database(b_.file));
  }

  Kind step(const RuleDatabase& host) {
    const auto next = next_rule_step(host, published_);
    EXPECT_TRUE(next) << next.error().message;
    if (next->kind == Kind::publish) {
      published_ = {next->version, next->digest, next->ids};
      rules_ = next->rules;
      EXPECT_TRUE(remember_published(host, published_));
    }
    if (next->kind == Kind::take) {
      const auto kept = take_rules(host, rules_, published_, kNoon);
      EXPECT_TRUE(kept) << kept.error().message;
      kept_ = *kept;
    }
    return next->kind;
  }
  // Typed at a host.
  void type(const RuleDatabase& host, const std::string& statement) {
    auto db = open_database(host.file, OpenMode::read_write, std::chrono::seconds{5});
    ASSERT_TRUE(sql::execute_or_explain(db->get(), statement));
  }
  std::string rules_of(const RuleDatabase& host) {
    auto db = open_database(host.file, OpenMode::read_only, std::chrono::seconds{5});
    return sha1_of(save_rules(db->get(), {}).value());
  }
  void both_agree() {
    EXPECT_EQ(step(a_), Kind::publish);
    EXPECT_TRUE(choose_rules(b_, RuleChoice::theirs));
    EXPECT_EQ(step(b_), Kind::take);
    EXPECT_EQ(step(b_), Kind::agree);
    EXPECT_EQ(rules_of(a_), rules_of(b_));
  }

  RuleDatabase a_, b_;
  PublishedRules published_;
  std::string rules_;
  std::filesystem::path kept_;
};

TEST_F(ReconcileTest, TheFirstHostPublishesItsRules) {
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::agree);
}

// Its counters and events would be those of the other limit.
TEST_F(ReconcileTest, TheIdOfARemovedLimitIsNotGivenAgain) {
  both_agree();
  const std::string make =
      "INSERT INTO quotas (PolicyID, Name, Track, Period) VALUES (1, 'x', '', 1)";
  const std::string latest = "SELECT max(ID) FROM quotas";
  type(a_, make);
  const std::string given = ask_admin(latest);
  EXPECT_EQ(step(a_), Kind::publish);
  type(a_, "DELETE FROM quotas WHERE ID = " + given);
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::agree);  // it was away meanwhile, and has the same rules
  type(b_, make);
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_EQ(ask_admin(latest), std::to_string(std::stoi(given) + 1));
}

TEST_F(ReconcileTest, RulesThatAreGivenKeepTheIdsOfTheCluster) {
  both_agree();
  published_.ids = "quotas=70";
  type(b_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_NE(published_.ids.find("quotas=70"), std::string::npos) << published_.ids;
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_EQ(ask_admin("SELECT seq FROM sqlite_sequence WHERE name = 'quotas'"), "70");
}

TEST_F(ReconcileTest, AHostWithTheSameRulesJoins) {
  EXPECT_EQ(step(a_), Kind::publish);
  remove_database(b_.file);
  admin("VACUUM INTO '" + b_.file.string() + "'");
  EXPECT_EQ(step(b_), Kind::agree);
  type(b_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(b_), Kind::publish);
}

TEST_F(ReconcileTest, AHostWithOtherRulesHasToChoose) {
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::choose);
  EXPECT_EQ(step(b_), Kind::choose);
}

TEST_F(ReconcileTest, TheirsAreTakenAndOursKept) {
  both_agree();
  EXPECT_TRUE(std::filesystem::exists(kept_));
  std::ifstream in{kept_};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto before = rules_of(b_);
  type(b_, text);
  EXPECT_NE(rules_of(b_), before);
}

TEST_F(ReconcileTest, TheirsAreTakenThoughOursChangedSinceTheyAgreed) {
  both_agree();
  type(b_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_TRUE(choose_rules(b_, RuleChoice::theirs));
  EXPECT_EQ(step(b_), Kind::take);
  EXPECT_EQ(rules_of(a_), rules_of(b_));
  EXPECT_EQ(step(b_), Kind::agree);
}

TEST_F(ReconcileTest, AHostThatLeftHasToChooseAgain) {
  both_agree();
  EXPECT_TRUE(forget_published(b_));
  type(b_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(b_), Kind::choose);
}

TEST_F(ReconcileTest, OursAreGiven) {
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_TRUE(choose_rules(b_, RuleChoice::ours));
  const auto ours = rules_of(b_);
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::agree);
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_EQ(rules_of(a_), ours);
  EXPECT_EQ(step(a_), Kind::agree);
}

TEST_F(ReconcileTest, AChangeReachesTheOthers) {
  both_agree();
  type(b_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_TRUE(kept_.empty());
  EXPECT_EQ(step(a_), Kind::agree);
  EXPECT_EQ(rules_of(a_), rules_of(b_));
}

// Restored from an old file, or a replica that had not received the last writes.
TEST_F(ReconcileTest, AnEngineWithOlderRulesGetsTheNewerOnesAgain) {
  both_agree();
  const auto old = std::pair{published_, rules_};
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::take);
  std::tie(published_, rules_) = old;
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::agree);
  EXPECT_EQ(ask_admin("SELECT Period FROM quotas WHERE ID = 3"), "61");
  EXPECT_TRUE(kept_.empty());
}

// Its rules are not newer than a change that was made after the engine went back.
TEST_F(ReconcileTest, AHostThatWasAwayWhenTheEngineWentBackTakesTheNextChange) {
  both_agree();
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::take);
  published_ = {};
  EXPECT_EQ(step(b_), Kind::publish);
  type(b_, "UPDATE quotas SET Period = 62 WHERE ID = 3");
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_EQ(ask_admin("SELECT Period FROM quotas WHERE ID = 3"), "62");
}

// The URL was changed by hand.
TEST_F(ReconcileTest, RulesOfAnotherClusterAreNotReplacedByOursAndOursAreKept) {
  both_agree();
  const std::string theirs = rules_;
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  type(a_, "UPDATE quotas SET Period = 62 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  rules_ = theirs;
  published_ = {2, sha1_of(theirs)};
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_FALSE(kept_.empty());
  EXPECT_EQ(step(a_), Kind::agree);
}

TEST_F(ReconcileTest, RulesThatTheEngineLostAreKeptIfAHostWithOlderOnesCameBefore) {
  both_agree();
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  published_ = {};
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::take);
  EXPECT_FALSE(kept_.empty());
  EXPECT_EQ(rules_of(a_), rules_of(b_));
  EXPECT_EQ(step(a_), Kind::agree);
}

TEST_F(ReconcileTest, OfTwoChangesAtOnceTheLaterOneIsKept) {
  both_agree();
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  type(b_, "UPDATE quotas SET Period = 62 WHERE ID = 3");
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::take);
  EXPECT_FALSE(kept_.empty());
  EXPECT_EQ(rules_of(a_), rules_of(b_));
  EXPECT_EQ(ask_admin("SELECT Period FROM quotas WHERE ID = 3"), "61");
}

TEST_F(ReconcileTest, WhatCommandsAsk) {
  const auto last = [this](const RuleDatabase& host) {
    auto db = open_database(host.file, OpenMode::read_only, std::chrono::seconds{5});
    return remembered_rules(db->get(), {}).value().last;
  };
  EXPECT_EQ(last(a_), PublishedRules{}) << "nothing was ever shared";
  both_agree();
  EXPECT_EQ(last(a_), published_);
  EXPECT_TRUE(is_published(a_).value());
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  type(b_, "UPDATE quotas SET Period = 62 WHERE ID = 3");
  EXPECT_FALSE(is_published(a_).value());
  EXPECT_EQ(kept_rules(b_), std::vector{kept_}) << "those before it joined";
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_TRUE(is_published(a_).value());
  EXPECT_NE(last(b_), published_);
  EXPECT_EQ(step(b_), Kind::take);
  EXPECT_TRUE(is_published(b_).value());
  EXPECT_EQ(kept_rules(b_).back(), kept_);
  EXPECT_TRUE(choose_rules(b_, RuleChoice::ours));
  EXPECT_FALSE(is_published(b_).value()) << "they are to be published again";
}

TEST_F(ReconcileTest, AnEmptiedEngineGetsThemAgain) {
  both_agree();
  published_ = {};
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::agree);
}

TEST_F(ReconcileTest, AChangeMadeMeanwhileHoldsThoughAnotherHostIsFirstAtAnEmptiedEngine) {
  both_agree();
  type(a_, "UPDATE quotas SET Period = 61 WHERE ID = 3");
  const auto changed = rules_of(a_);
  published_ = {};
  EXPECT_EQ(step(b_), Kind::publish);
  EXPECT_EQ(step(a_), Kind::publish);
  EXPECT_EQ(step(b_), Kind::take);
  EXPECT_EQ(rules_of(b_), changed);
}

TEST_F(ReconcileTest, DamagedRulesChangeNothing) {
  both_agree();
  const auto before = rules_of(b_);
  EXPECT_FALSE(take_rules(b_, "nonsense", {9, "x"}, kNoon));
  EXPECT_EQ(rules_of(b_), before);
  EXPECT_EQ(step(b_), Kind::agree);
}

TEST_F(ReconcileTest, ALockIsAnErrorAndChangesNothing) {
  admin("BEGIN IMMEDIATE");
  ASSERT_TRUE(next_rule_step(a_, published_));  // reading needs none
  const auto done = remember_published(a_, {1, std::string(40, '0')});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("locked"), std::string::npos) << done.error().message;
  admin("ROLLBACK");
  EXPECT_EQ(step(a_), Kind::publish);
}

}  // namespace
}  // namespace policyd
