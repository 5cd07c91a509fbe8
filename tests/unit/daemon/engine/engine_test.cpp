// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/engine/engine.hpp"
#include "daemon/counting/counters.hpp"

#include <numeric>

#include "tests/unit/daemon/engine/asker.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class EngineTest : public StoreTest {
 protected:
  void start() {
    make_database();
    open_store();
    config_.quotas = true;
    engine_ = std::make_unique<Engine>(loop_, *store_, *log_, config_);
  }

  std::shared_ptr<Asker> ask(const Request& request) {
    auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    return asker;
  }

  Verdict answer(const Request& request) {
    auto asker = ask(request);
    loop_.run_posted();
    EXPECT_EQ(asker->answers, 1);
    return asker->received;
  }

  std::string counter() {
    return ask_admin("SELECT Counter FROM quotas_tracking WHERE QuotasLimitsID=4");
  }

  Config config_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, DefersTheEleventhMailWithinThePeriod) {
  start();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(answer(rcpt("1." + std::to_string(i))).action, Action::dunno) << i;
  }
  const Verdict verdict = answer(rcpt("1.10"));
  EXPECT_EQ(verdict.action, Action::defer);
  EXPECT_EQ(verdict.text, "slow down");
}

TEST_F(EngineTest, DecidesQuestionsOfOneBatchOneAfterAnother) {
  start();
  std::vector<std::string> instances;
  for (int i = 0; i < 12; ++i) instances.push_back("1." + std::to_string(i));
  std::vector<std::shared_ptr<Asker>> askers;
  for (const std::string& instance : instances) askers.push_back(ask(rcpt(instance)));
  EXPECT_EQ(askers[0]->answers, 0) << "answered before the batch was committed";
  loop_.run_posted();
  int passed = 0;
  for (const auto& asker : askers) passed += asker->received.action == Action::dunno ? 1 : 0;
  EXPECT_EQ(passed, 10);
  EXPECT_EQ(engine_->statistics().batches, 1U);
  EXPECT_EQ(counter(), "10");
}

TEST_F(EngineTest, RunsWorkAtTheBeginningOfABatch) {
  start();
  std::vector<Store::Outcome> done;
  const auto full = [](Transaction& store) {
    Counter& counter = store.counter(4, "Sender:alice@example.org");
    add(store, counter, 10, store.now());
  };
  const auto asker = ask(rcpt("1.0"));
  engine_->in_batch(full, [&](Store::Outcome outcome) { done.push_back(outcome); });
  EXPECT_FALSE(engine_->idle());
  loop_.run_posted();
  EXPECT_EQ(asker->received.action, Action::defer);
  EXPECT_EQ(done, std::vector{Store::Outcome::stored});
  // Also without questions, and from within.
  engine_->in_batch([](Transaction&) {},
                    [&](Store::Outcome) {
                      engine_->in_batch([](Transaction&) {},
                                        [&](Store::Outcome outcome) { done.push_back(outcome); });
                    });
  loop_.run_posted();
  EXPECT_EQ(done.size(), 2U);
  EXPECT_TRUE(engine_->idle());
}

TEST_F(EngineTest, TimesEachRequestItAnswers) {
  start();
  for (const char* instance : {"1.0", "1.0", "1.1"}) answer(rcpt(instance));
  const auto first = ask(rcpt("1.2"));
  const auto second = ask(rcpt("1.3"));
  engine_->in_batch([](Transaction&) {}, [](Store::Outcome) {});  // is no request
  loop_.run_posted();
  const DecisionTimes times = engine_->statistics().times;
  EXPECT_EQ(std::accumulate(times.requests.begin(), times.requests.end(), std::uint64_t{0}), 5);
  EXPECT_GT(times.sum.count(), 0);
}

TEST_F(EngineTest, EndsABatchAtItsMaximumSize) {
  start();
  std::vector<std::string> instances;
  for (std::size_t i = 0; i < Engine::kMaxBatch + 1; ++i)
    instances.push_back("1." + std::to_string(i));
  std::vector<std::shared_ptr<Asker>> askers;
  for (const std::string& instance : instances) askers.push_back(ask(rcpt(instance)));
  loop_.run_posted();
  for (const auto& asker : askers) EXPECT_EQ(asker->answers, 1);
  EXPECT_GE(engine_->statistics().batches, 2U);
}

TEST_F(EngineTest, CountsARecipientOnceHoweverOftenPostfixAsks) {
  start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
  EXPECT_EQ(counter(), "1");
  answer(rcpt("1.1", "carol@example.com"));
  EXPECT_EQ(counter(), "2");
}

TEST_F(EngineTest, RepeatsARefusal) {
  start();
  for (int i = 0; i < 10; ++i) answer(rcpt("1." + std::to_string(i)));
  EXPECT_EQ(answer(rcpt("2.1")).action, Action::defer);
  admin("DELETE FROM quotas_tracking");
  EXPECT_EQ(answer(rcpt("2.1")).action, Action::defer);
  EXPECT_EQ(answer(rcpt("2.2")).action, Action::dunno);
}

TEST_F(EngineTest, CountsNothingAgainThatWasCountedBeforeACrash) {
  start();
  answer(rcpt("1.1"));
  engine_.reset();
  open_store();
  engine_ = std::make_unique<Engine>(loop_, *store_, *log_, config_);
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
  EXPECT_EQ(counter(), "1");
}

TEST_F(EngineTest, DoesNotCountAMessageItDidNotSeeBegin) {
  start();
  EXPECT_EQ(answer(end("9.9", 5'000'000)).action, Action::dunno);
  EXPECT_EQ(counter(), "(no row)");
}

TEST_F(EngineTest, RefusesAMessageWhoseTrueSizeIsOverTheLimit) {
  start();
  admin("UPDATE quotas_limits SET Type = 'MessageCumulativeSize', CounterLimit = 100 WHERE ID = 4");
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
  EXPECT_EQ(answer(end("1.1", 60 * 1024)).action, Action::dunno);
  EXPECT_EQ(counter(), "60");
  EXPECT_EQ(answer(rcpt("1.2")).action, Action::dunno);  // it says 2 KiB
  EXPECT_EQ(answer(end("1.2", 40 * 1024 + 1)).action, Action::defer);
  EXPECT_EQ(counter(), "60");
  answer(rcpt("1.3"));
  EXPECT_EQ(answer(end("1.3", 40 * 1024)).action, Action::dunno);
  EXPECT_EQ(counter(), "100");
  EXPECT_EQ(answer(rcpt("1.4")).action, Action::defer);
}

TEST_F(EngineTest, AddsTheSizeOfAMessageOnceForAKey) {
  start();
  admin(
      "UPDATE quotas_limits SET Type = 'MessageCumulativeSize', CounterLimit = 1000 WHERE ID = 4");
  answer(rcpt("1.1", "b@example.com"));
  answer(rcpt("1.1", "c@example.com"));
  answer(end("1.1", 10 * 1024));
  answer(end("1.1", 10 * 1024));  // asked again
  EXPECT_EQ(counter(), "10");
}

TEST_F(EngineTest, OnlyMonitorsWithoutAVerdict) {
  start();
  admin("UPDATE quotas SET Verdict = NULL WHERE ID = 3");
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(answer(rcpt("1." + std::to_string(i))).action, Action::dunno) << i;
  }
  EXPECT_EQ(counter(), "12");
}

TEST_F(EngineTest, CountsInAllLimitsOrInNone) {
  start();
  admin(
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict) VALUES (6, 'second', 'Policy', "
      "60, 'REJECT');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (4, 'MessageCount', 1)");
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
  EXPECT_EQ(answer(rcpt("1.2")).action, Action::reject);
  EXPECT_EQ(counter(), "1") << "the first quota counted a mail that the second refused";
}

TEST_F(EngineTest, EndsTheWalkAfterALastQuota) {
  start();
  admin(
      "UPDATE quotas SET LastQuota = 1 WHERE ID = 3;"
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict) VALUES (6, 'second', 'Policy', "
      "60, 'REJECT');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (4, 'MessageCount', 1)");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(answer(rcpt("1." + std::to_string(i))).action, Action::dunno);
}

TEST_F(EngineTest, DefersForAnInvalidRow) {
  struct Row {
    const char* name;
    const char* sql;
  };
  start();
  for (const Row& row :
       {Row{"unknown track", "UPDATE quotas SET Track = 'Colour:red' WHERE ID = 3"},
        Row{"unknown verdict",
            "UPDATE quotas SET Track = 'Policy', Verdict = 'MAYBE' WHERE ID = 3;"
            "INSERT INTO quotas_tracking VALUES (4, 'Policy', strftime('%s','now'), 99, NULL)"},
        Row{"limit of nothing",
            "UPDATE quotas SET Track = 'Policy', Verdict = 'REJECT' WHERE ID = 3;"
            "UPDATE quotas_limits SET CounterLimit = NULL WHERE ID = 4"}}) {
    SCOPED_TRACE(row.name);
    admin(row.sql);
    EXPECT_EQ(answer(rcpt(row.name)).action, Action::defer);
  }
}

TEST_F(EngineTest, AnswersByBypassModeWithoutAnyRules) {
  open_store();
  store_.reset();
  std::filesystem::resize_file(file_, 10);
  std::filesystem::remove(file_.string() + "-wal");
  std::filesystem::remove(backup_of(file_));  // where the first store lived long enough to make it
  open_store();
  config_.quotas = true;
  engine_ = std::make_unique<Engine>(loop_, *store_, *log_, config_);
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::defer);
  config_.bypass_mode = Bypass::pass;
  engine_->configure(config_);
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
}

TEST_F(EngineTest, AnswersDunnoWithoutModules) {
  start();
  config_.quotas = false;
  engine_->configure(config_);
  EXPECT_EQ(answer(rcpt("1.1")).action, Action::dunno);
  EXPECT_EQ(counter(), "(no row)");
}

TEST(Sessions, DropsTheLeastRecentlyUsed) {
  Sessions sessions{2};
  Request request;
  for (const char* instance : {"a", "b"}) {
    request.instance = instance;
    sessions.open(request);
  }
  EXPECT_NE(sessions.find("a"), nullptr);
  request.instance = "c";
  sessions.open(request);
  EXPECT_EQ(sessions.find("b"), nullptr);
  EXPECT_NE(sessions.find("a"), nullptr);
  EXPECT_NE(sessions.find("c"), nullptr);
}

TEST(Sessions, KeepOnlyTheMemoryOfUsualMessages) {
  Session session;
  Request request;
  request.instance = "1.2.3";
  request.helo_name = "client.example.net";
  const auto fill = [&](std::size_t recipients) {
    session.begin(request);
    for (std::size_t i = 0; i < recipients; ++i) {
      session.add_recipient("other@example.com", std::vector<std::int64_t>{1, 6}, {});
    }
  };
  fill(2);
  const std::size_t usual = session.memory();
  session.recycle();
  EXPECT_EQ(session.memory(), usual);
  fill(Session::kMaxRecipients);
  EXPECT_GT(session.memory(), 100'000U);
  session.recycle();
  EXPECT_LT(session.memory(), 8'000U);
  EXPECT_EQ(session.instance(), "");
}

TEST(QuestionHash, DiffersIfOnePartDiffers) {
  Request request;
  request.state = ProtocolState::rcpt;
  request.instance = "1.2";
  request.recipient = "3@x";
  const auto hash = question_hash(request);
  request.instance = "1.23";
  request.recipient = "@x";
  EXPECT_NE(question_hash(request), hash);
  request.instance = "1.2";
  request.recipient = "3@x";
  EXPECT_EQ(question_hash(request), hash);
  request.state = ProtocolState::end_of_message;
  EXPECT_NE(question_hash(request), hash);
}

}  // namespace
}  // namespace policyd
