// SPDX-License-Identifier: AGPL-3.0-only
// Limits that several MTAs share, as the engine and Quotas ask for them; the others are played
// here.
#include "daemon/modules/shared_limits.hpp"

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

using Key = std::pair<std::int64_t, std::string>;

// Answers when it is told to. Questions of one answer() are decided in order, each counted for the
// next.
class OtherMtas final : public SharedCounters {
 public:
  const Window* known_full(std::int64_t limit_id, std::string_view track_key) override {
    const auto found = full.find({limit_id, std::string{track_key}});
    return found == full.end() ? nullptr : &found->second;
  }
  void ask(std::vector<Wanted> wanted, Done done) override {
    waiting.emplace_back(std::move(wanted), std::move(done));
  }
  void flush() override { ++flushes; }
  void changed(std::int64_t limit_id, std::string_view track_key, const Window& own,
               Millis) override {
    told[{limit_id, std::string{track_key}}] = own.use();
  }
  void settle(std::int64_t limit_id, std::string_view track_key, const Window& own,
              std::uint64_t units, bool counted) override {
    settled[{limit_id, std::string{track_key}}] = {own.use(), units, counted};
  }
  [[nodiscard]] TimePoint now() const override { return kNoon; }

  void answer() {
    std::map<Key, std::uint64_t> granted_now;
    for (auto& [wanted, done] : std::exchange(waiting, {})) {
      Granted granted;
      for (const Wanted& want : wanted) {
        const Key key{want.limit_id, want.track_key};
        granted.others.push_back(others[key]);
        const auto use = want.own.use() + granted_now[key] + others[key].use();
        if (want.bites && use + want.asked > want.limit) {
          granted.exceeded = static_cast<int>(granted.others.size()) - 1;
        }
      }
      for (const Wanted& want : wanted) {
        if (granted.exceeded < 0) granted_now[{want.limit_id, want.track_key}] += want.units;
      }
      granted.wanted = std::move(wanted);
      done(std::move(granted));
    }
  }
  // As without the engine.
  void answer_alone(std::uint64_t own_limit, bool defer = false) {
    for (auto& [wanted, done] : std::exchange(waiting, {})) {
      Granted granted;
      granted.own_limits.assign(wanted.size(), own_limit);
      granted.defer = defer;
      granted.wanted = std::move(wanted);
      done(std::move(granted));
    }
  }

  std::vector<std::pair<std::vector<Wanted>, Done>> waiting;
  std::map<Key, Window> others, full;
  std::map<Key, std::uint64_t> told;
  using Settled = std::tuple<std::uint64_t, std::uint64_t, bool>;  // own, units, counted
  std::map<Key, Settled> settled;
  int flushes = 0;
};

Window used(std::uint64_t units, TimePoint when) {
  return Window::of_counter(static_cast<double>(units), when);
}

// Everybody may send 10 messages a minute, and 100 KiB.
class SharedLimitsTest : public EngineFixture {
 protected:
  SharedLimitsTest() {
    config_.access_control = true;
    config_.quotas = true;
    shared_ = &mtas_;
    start();
    add_policy();
    admin(
        "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES"
        " (1, 'q', 'Sender:user@domain', 60, 'REJECT', '{used} of {limit}, free in {retry_after}');"
        "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'MessageCount', 10),"
        " (1, 'MessageCumulativeSize', 100);");
  }

  std::shared_ptr<Asker> ask(const Request& request) {
    auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    loop_.run_posted();
    return asker;
  }
  void answer() {
    mtas_.answer();
    loop_.run_posted();
  }
  std::string answered(const Asker& asker) {
    std::string text;
    append_action(text, asker.received);
    return asker.answers == 1 ? text.substr(7, text.size() - 9)
                              : std::to_string(asker.answers) + " answers";
  }
  std::string next_answer(const std::string& instance) {
    const auto asker = ask(rcpt(instance));
    answer();
    return answered(*asker);
  }
  std::string counted() { return ask_admin("SELECT Counter FROM quotas_tracking"); }

  const Key kCount{1, "Sender:alice@example.org"}, kSize{2, "Sender:alice@example.org"};
  OtherMtas mtas_;
};

// Nor a transaction.
TEST_F(SharedLimitsTest, AQuestionThatWaitsNeedsNoLock) {
  EXPECT_EQ(next_answer("1"), "DUNNO");
  admin("BEGIN IMMEDIATE");
  ask(rcpt("2"));
  EXPECT_EQ(mtas_.waiting.size(), 1U);
  EXPECT_TRUE(store_->trouble().empty()) << store_->trouble();
  admin("COMMIT");
}

TEST_F(SharedLimitsTest, AQuestionWaitsForTheOthersAndCounts) {
  const auto asker = ask(rcpt("1"));
  EXPECT_EQ(answered(*asker), "0 answers");
  EXPECT_FALSE(engine_->idle());
  ASSERT_EQ(mtas_.waiting.size(), 1U);
  EXPECT_EQ(mtas_.waiting[0].first.size(), 2U);
  EXPECT_GT(mtas_.flushes, 0);
  EXPECT_EQ(counted(), "(no row)");
  answer();
  EXPECT_EQ(answered(*asker), "DUNNO");
  EXPECT_EQ(counted(), "1");
  EXPECT_TRUE(engine_->idle());
  EXPECT_TRUE(mtas_.told.empty());
  EXPECT_EQ(mtas_.settled[kCount], OtherMtas::Settled(1, 1, true));
  EXPECT_EQ(mtas_.settled[kSize], OtherMtas::Settled(0, 0, true));
}

TEST_F(SharedLimitsTest, WhatTheOthersCountedCounts) {
  mtas_.others[kCount] = used(7, kNoon - std::chrono::seconds{20});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(next_answer(std::to_string(i)), "DUNNO") << i;
  EXPECT_EQ(next_answer("4"), "REJECT 10 of 10, free in 40 seconds");
  EXPECT_EQ(counted(), "3");
  EXPECT_TRUE(mtas_.told.empty());
  EXPECT_EQ(mtas_.settled[kCount], OtherMtas::Settled(3, 1, true));  // not the one that was refused
}

TEST_F(SharedLimitsTest, NothingIsAskedAboutOneMessage) {
  admin(
      "UPDATE quotas_limits SET Type = 'RecipientsPerMessage', CounterLimit = 1 WHERE ID = 1;"
      "UPDATE quotas_limits SET Type = 'SizePerMessage' WHERE ID = 2;");
  EXPECT_EQ(answered(*ask(rcpt("1", "a@example.com"))), "DUNNO");
  EXPECT_EQ(answered(*ask(rcpt("1", "b@example.com"))), "REJECT 1 of 1, free in another message");
  EXPECT_EQ(answered(*ask(end("1", 101 * 1024))),
            "REJECT 101 KiB of 100 KiB, free in another message");
  EXPECT_TRUE(mtas_.waiting.empty());
}

TEST_F(SharedLimitsTest, AMessageIsAskedAboutOnce) {
  admin(
      "UPDATE quotas_limits SET Type = 'Messages' WHERE ID = 1; DELETE FROM quotas_limits WHERE "
      "ID = 2;");
  mtas_.others[kCount] = used(9, kNoon);
  const auto first = ask(rcpt("1", "a@example.com"));
  ASSERT_EQ(mtas_.waiting.size(), 1U);
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_EQ(answered(*ask(rcpt("1", "b@example.com"))), "DUNNO");
  EXPECT_TRUE(mtas_.waiting.empty());
  EXPECT_EQ(next_answer("2"), "REJECT 10 of 10, free in 1 minute");
  EXPECT_EQ(counted(), "1");
}

constexpr auto kOnlyDistinct =
    "UPDATE quotas_limits SET Type = 'DistinctRecipients' WHERE ID = 1; DELETE FROM quotas_limits "
    "WHERE ID = 2;";

TEST_F(SharedLimitsTest, ARecipientIsAskedAboutOnceAndRenewedWithoutAsking) {
  admin(kOnlyDistinct);
  mtas_.others[kCount] = used(9, kNoon);
  const auto first = ask(rcpt("1", "a@example.com"));
  ASSERT_EQ(mtas_.waiting.size(), 1U);
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_TRUE(mtas_.told.empty());
  EXPECT_EQ(answered(*ask(rcpt("2", "a@example.com"))), "DUNNO");
  EXPECT_TRUE(mtas_.waiting.empty());
  EXPECT_EQ(mtas_.told[kCount], 1U);  // its time is another
  const auto other = ask(rcpt("3", "b@example.com"));
  answer();
  EXPECT_EQ(answered(*other), "REJECT 10 of 10, free in 1 minute");
  EXPECT_EQ(counted(), "1");
}

// Until the others have learnt that it was renewed they must not let its unit go.
TEST_F(SharedLimitsTest, ARecipientThatIsAboutToLeaveIsAskedAboutAgain) {
  admin(kOnlyDistinct);
  const auto first = ask(rcpt("1", "a@example.com"));
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  now_ += Millis{58'999};
  EXPECT_EQ(answered(*ask(rcpt("2", "a@example.com"))), "DUNNO");
  now_ += Millis{59'000};
  const auto late = ask(rcpt("3", "a@example.com"));
  ASSERT_EQ(mtas_.waiting.size(), 1U);
  answer();
  EXPECT_EQ(answered(*late), "DUNNO");
  EXPECT_EQ(counted(), "2");  // for a second
  now_ += Millis{1'000};
  EXPECT_EQ(answered(*ask(rcpt("4", "a@example.com"))), "DUNNO");
  EXPECT_EQ(counted(), "1");
}

// It became known while the second question waited: what was allowed for that is told otherwise.
TEST_F(SharedLimitsTest, TwoQuestionsAboutANewRecipientCountItOnce) {
  admin(kOnlyDistinct);
  const auto first = ask(rcpt("1", "a@example.com"));
  const auto second = ask(rcpt("2", "a@example.com"));
  ASSERT_EQ(mtas_.waiting.size(), 2U);
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_EQ(answered(*second), "DUNNO");
  EXPECT_EQ(counted(), "1");
  EXPECT_EQ(mtas_.told[kCount], 1U);
  EXPECT_EQ(mtas_.settled[kCount], OtherMtas::Settled(1, 1, true));
}

TEST_F(SharedLimitsTest, WhatTheOthersRefusedIsRefusedThoughItIsKnownByNow) {
  admin(kOnlyDistinct);
  mtas_.others[kCount] = used(9, kNoon);
  const auto first = ask(rcpt("1", "a@example.com"));
  const auto second = ask(rcpt("2", "a@example.com"));
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_EQ(answered(*second).substr(0, 6), "REJECT");
  EXPECT_EQ(counted(), "1");
}

TEST_F(SharedLimitsTest, QuestionsOfOneBatchAreDecidedInOrder) {
  mtas_.others[kCount] = used(8, kNoon);
  std::vector<std::shared_ptr<Asker>> askers;
  for (int i = 0; i < 4; ++i) {
    askers.push_back(std::make_shared<Asker>(rcpt(i == 0   ? "a"
                                                  : i == 1 ? "b"
                                                  : i == 2 ? "c"
                                                           : "d")));
    engine_->ask(askers.back());
  }
  loop_.run_posted();
  answer();
  EXPECT_EQ(answered(*askers[0]), "DUNNO");
  EXPECT_EQ(answered(*askers[1]), "DUNNO");
  EXPECT_EQ(answered(*askers[2]).substr(0, 6), "REJECT");
  EXPECT_EQ(answered(*askers[3]).substr(0, 6), "REJECT");
  EXPECT_EQ(counted(), "2");
}

TEST_F(SharedLimitsTest, ARepeatWaitsAndCountsOnce) {
  const auto first = ask(rcpt("1"));
  const auto repeat = ask(rcpt("1"));
  EXPECT_EQ(mtas_.waiting.size(), 1U);
  answer();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_EQ(answered(*repeat), "DUNNO");
  EXPECT_EQ(counted(), "1");
}

TEST_F(SharedLimitsTest, SizesAreCountedAtTheEndOfTheMessage) {
  EXPECT_EQ(next_answer("1"), "DUNNO");
  mtas_.others[kSize] = used(60, kNoon);
  const auto end_of_first = ask(end("1", 40 * 1024));
  answer();
  EXPECT_EQ(answered(*end_of_first), "DUNNO");
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking WHERE QuotasLimitsID = 2"), "40");
  EXPECT_EQ(next_answer("2"), "REJECT 100 KiB of 100 KiB, free in 1 minute");
}

TEST_F(SharedLimitsTest, ModulesBeforeItAreAskedOnce) {
  admin("INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (1, 'a', 'PASS')");
  EXPECT_EQ(next_answer("1"), "DUNNO");
  EXPECT_EQ(counted(), "1");
  const std::string log = log_text();
  const auto first = log.find("module=AccessControl");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("module=AccessControl", first + 1), std::string::npos);
}

TEST_F(SharedLimitsTest, AFullCounterRefusesWithoutAsking) {
  mtas_.full[kCount] = used(10, kNoon - std::chrono::seconds{30});
  EXPECT_EQ(answered(*ask(rcpt("1"))), "REJECT 10 of 10, free in 30 seconds");
  EXPECT_TRUE(mtas_.waiting.empty());
  now_ += std::chrono::seconds{31};  // and no longer, once units have left
  EXPECT_EQ(next_answer("2"), "DUNNO");
}

TEST_F(SharedLimitsTest, OnesOwnFullCounterRefusesWithoutAsking) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(next_answer(std::to_string(i)), "DUNNO") << i;
  EXPECT_EQ(answered(*ask(rcpt("11"))).substr(0, 6), "REJECT");
}

TEST_F(SharedLimitsTest, WhatOnlyMonitorsIsCountedAndRefusesNothing) {
  admin("UPDATE quotas SET Verdict = ''");
  mtas_.others[kCount] = used(50, kNoon);
  EXPECT_EQ(next_answer("1"), "DUNNO");
  EXPECT_EQ(counted(), "1");
  EXPECT_NE(log_text().find("reason=no_verdict"), std::string::npos);
}

TEST_F(SharedLimitsTest, AloneTheShareHolds) {
  for (int i = 0; i < 4; ++i) {
    const std::string instance = std::to_string(i);  // must outlive the question
    const auto asker = ask(rcpt(instance));
    mtas_.answer_alone(3);
    loop_.run_posted();
    EXPECT_EQ(answered(*asker).substr(0, 6), i < 3 ? "DUNNO" : "REJECT") << i;
  }
  EXPECT_EQ(counted(), "3");
  EXPECT_EQ(mtas_.told[kCount], 3U);  // they learn it afterwards
  EXPECT_TRUE(mtas_.settled.empty());
}

TEST_F(SharedLimitsTest, AloneAllMayBeDeferred) {
  const auto asker = ask(rcpt("1"));
  mtas_.answer_alone(0, true);
  loop_.run_posted();
  EXPECT_EQ(answered(*asker).substr(0, 46), "DEFER Mail limits cannot be shared between the");
  EXPECT_EQ(counted(), "(no row)");
}

// With the option `refund`.
TEST_F(SharedLimitsTest, WhatCountedForAMessageThatIsDeferredAtItsEndIsGivenBack) {
  config_.quotas_refund = true;
  restart_engine();
  for (const char* recipient : {"a@example.com", "b@example.com"}) {
    ask(rcpt("1", recipient));
    answer();
  }
  EXPECT_EQ(counted(), "2");
  const auto asker = ask(end("1", 1024));
  mtas_.answer_alone(0, true);
  loop_.run_posted();
  EXPECT_EQ(answered(*asker).substr(0, 5), "DEFER");
  EXPECT_EQ(counted(), "0");
}

TEST_F(SharedLimitsTest, WhatIsNotCountedAfterAllIsGivenBack) {
  const auto asker = ask(rcpt("1"));
  admin("UPDATE quotas SET Track = 'nonsense'");
  answer();
  EXPECT_EQ(answered(*asker).substr(0, 5), "DEFER");
  EXPECT_EQ(mtas_.settled[kCount], OtherMtas::Settled(0, 1, false));
}

TEST_F(SharedLimitsTest, InAPauseItIsCounted) {
  mtas_.others[kCount] = used(50, kNoon);
  engine_->set_pause({kNoon + std::chrono::hours{1}, true});
  EXPECT_EQ(next_answer("1"), "DUNNO");
  EXPECT_EQ(counted(), "1");
}

TEST_F(SharedLimitsTest, WithDecayNothingIsShared) {
  config_.quotas_algorithm = Algorithm::decay;
  restart_engine();
  EXPECT_EQ(answered(*ask(rcpt("1"))), "DUNNO");
  EXPECT_TRUE(mtas_.waiting.empty());
}

}  // namespace
}  // namespace policyd
