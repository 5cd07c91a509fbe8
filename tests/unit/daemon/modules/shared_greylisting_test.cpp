// SPDX-License-Identifier: AGPL-3.0-only
// Triplets that several MTAs share, as the engine and Greylisting ask for them.
#include "tests/unit/daemon/modules/shared_greylisting_fixture.hpp"

namespace policyd {
namespace {

// Allows everything at once.
class NoOneElse final : public SharedCounters {
 public:
  explicit NoOneElse(ManualLoop& loop) : loop_(loop) {}
  const Window* known_full(std::int64_t, std::string_view) override { return nullptr; }
  void ask(std::vector<Wanted> wanted, Done done) override {
    ++asked;
    Granted granted;
    granted.others.resize(wanted.size());
    granted.wanted = std::move(wanted);
    loop_.post([done = std::move(done), granted = std::move(granted)] { done(granted); });
  }
  void flush() override {}
  void changed(std::int64_t, std::string_view, const Window&, Millis) override {}
  void settle(std::int64_t, std::string_view, const Window&, std::uint64_t, bool) override {}
  [[nodiscard]] TimePoint now() const override { return kNoon; }

  int asked = 0;

 private:
  ManualLoop& loop_;
};

TEST_F(SharedGreylistingTest, ATripletThatIsNewToAllIsDeferredAndTold) {
  const auto asker = ask("a@x");
  EXPECT_EQ(answered(*asker), "0 answers");
  EXPECT_FALSE(engine_->idle());
  ASSERT_EQ(mtas_.waiting.size(), 1U);
  const TripletQuestion& question = mtas_.waiting[0].first;
  EXPECT_EQ(question.track_key, kKey);
  EXPECT_EQ(question.sender, "a@x");
  EXPECT_EQ(question.recipient, "bob@example.com");
  EXPECT_EQ(question.now, ago(0));
  EXPECT_FALSE(question.uses_lists());
  EXPECT_EQ(triplet("a@x"), "(no row)");
  mtas_.answer({});
  loop_.run_posted();
  EXPECT_EQ(answered(*asker), kDefer);
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 0 1 0");
  EXPECT_EQ(mtas_.take_told(), Told{"new " + kTriplet + " 0 keep=1000 count=0"});
  EXPECT_TRUE(engine_->idle());
}

TEST_F(SharedGreylistingTest, ARetryHereOfMailDeferredElsewherePassesAfterThePeriod) {
  struct Row {
    const char* sender;
    int seconds_ago;
    const char* answer;
    const char* stored;
    const char* told;
  };
  for (const Row& row :
       {Row{"a@x", 0, kDefer, "0 0 2 0", "deferred {} 0 keep=1000 count=0"},
        Row{"b@x", 239, kDefer, "-239 0 2 0", "deferred {} -239 keep=1000 count=0"},
        Row{"c@x", 240, "DUNNO", "-240 0 1 1", "passed {} -240 keep=9000 count=0"},
        Row{"d@x", 900, "DUNNO", "-900 0 1 1", "passed {} -900 keep=9000 count=0"}}) {
    SCOPED_TRACE(row.sender);
    EXPECT_EQ(answer_to(row.sender, seen(ago(row.seconds_ago))), row.answer);
    EXPECT_EQ(triplet(row.sender), fmt::format("{} bob@example.com {}", kKey, row.stored));
    const std::string names = fmt::format("{} {} bob@example.com", kKey, row.sender);
    EXPECT_EQ(mtas_.take_told(), Told{fmt::format(fmt::runtime(row.told), names)});
  }
}

TEST_F(SharedGreylistingTest, TheEarlierTimeHolds) {
  EXPECT_EQ(answer_to("a@x", {}), kDefer);
  EXPECT_EQ(answer_to("b@x", {}), kDefer);
  pass_time(seconds{240});
  EXPECT_EQ(answer_to("a@x", seen(ago(100))), "DUNNO") << "first seen here";
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 240 1 1");
  mtas_.told.clear();
  EXPECT_EQ(answer_to("b@x", seen(ago(300))), "DUNNO");
  EXPECT_EQ(triplet("b@x"), std::string{kKey} + " bob@example.com -60 240 1 1");
  EXPECT_EQ(mtas_.take_told(),
            Told{fmt::format("passed {} b@x bob@example.com -60 keep=9000 count=0", kKey)});
}

TEST_F(SharedGreylistingTest, WhatPassedHereIsNotAskedAboutAndToldNowAndThen) {
  let_pass("a@x");
  for (int i = 0; i < 40; ++i) {
    pass_time(seconds{100});
    EXPECT_EQ(answer_here("a@x"), "DUNNO");
  }
  // 4000 of the 8000 seconds for which it is kept: in four of their eight parts.
  EXPECT_EQ(mtas_.told.size(), 4U);
  EXPECT_EQ(mtas_.told.back(), "passed " + kTriplet + " -240 keep=9000 count=0");
  admin("UPDATE greylisting SET GreylistPeriod = 999999");
  EXPECT_EQ(answer_to("a@x", {}), kDefer) << "it is too young now";
}

TEST_F(SharedGreylistingTest, WithoutAnAnswerTheOwnTablesDecide) {
  EXPECT_EQ(answer_alone("a@x"), kDefer);
  pass_time(seconds{239});
  EXPECT_EQ(answer_alone("a@x"), kDefer);
  pass_time(seconds{1});
  EXPECT_EQ(answer_alone("a@x"), "DUNNO");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 240 2 1");
  EXPECT_EQ(mtas_.take_told(), Told{}) << "which would overwrite what the others know";
}

TEST_F(SharedGreylistingTest, ARepeatWaitsWithItsQuestion) {
  const auto first = ask("a@x", "7.1");
  const auto repeat = ask("a@x", "7.1");
  EXPECT_EQ(mtas_.waiting.size(), 1U);
  mtas_.answer(seen(ago(300)));
  loop_.run_posted();
  EXPECT_EQ(answered(*first), "DUNNO");
  EXPECT_EQ(answered(*repeat), "DUNNO");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com -300 0 1 1");
}

TEST_F(SharedGreylistingTest, TwoMailsOfOneTripletInOneBatchAreSeenOnce) {
  const auto first = ask("a@x");
  const auto second = ask("a@x");
  ASSERT_EQ(mtas_.waiting.size(), 2U);
  mtas_.answer({});
  loop_.run_posted();
  EXPECT_EQ(answered(*first), kDefer);
  EXPECT_EQ(answered(*second), kDefer);
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 0 2 0");
}

TEST_F(SharedGreylistingTest, ModulesAreAskedOnceEachAlsoIfQuotasWaitsAfterwards) {
  NoOneElse counters{loop_};
  config_.access_control = config_.quotas = true;
  shared_ = &counters;
  restart_engine();
  admin(
      "INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (1, 'a', 'PASS');"
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict)"
      " VALUES (1, 'q', 'Sender:user@domain', 60, 'DEFER');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'MessageCount', 10)");
  EXPECT_EQ(answer_to("a@x", seen(ago(300))), "DUNNO");
  EXPECT_EQ(counters.asked, 1);
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com -300 0 1 1");
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking"), "1");
  const std::string log = log_text();
  for (const char* module : {"module=AccessControl", "module=Greylisting", "module=Quotas"}) {
    const auto first = log.find(module);
    ASSERT_NE(first, std::string::npos) << log;
    EXPECT_EQ(log.find(module, first + 1), std::string::npos) << log;
  }
  EXPECT_EQ(answer_to("b@x", {}), kDefer);
  EXPECT_EQ(counters.asked, 1) << "Quotas was not reached";
}

TEST_F(SharedGreylistingTest, APauseThatBeginsMeanwhileStillCounts) {
  config_.quotas = true;
  restart_engine();
  admin(
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict)"
      " VALUES (1, 'q', 'Sender:user@domain', 60, 'DEFER');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'MessageCount', 10)");
  const auto asker = ask("a@x");
  engine_->set_pause({now_ + seconds{60}, true});
  mtas_.answer({});
  loop_.run_posted();
  EXPECT_EQ(answered(*asker), "DUNNO");
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking"), "1");
}

TEST_F(SharedGreylistingTest, AnAnswerAboutAnotherTrackKeyIsNotUsed) {
  const auto asker = ask("a@x");
  admin("UPDATE greylisting SET Track = 'SenderIP:/32'");
  mtas_.answer(seen(ago(300)));
  loop_.run_posted();
  EXPECT_EQ(answered(*asker), kDefer);
  EXPECT_EQ(triplet("a@x"), "SenderIP:192.0.2.1/32 bob@example.com 0 0 1 0");
  EXPECT_EQ(mtas_.take_told(), Told{});
}

TEST_F(SharedGreylistingTest, WhatIsDecidedWithoutATripletIsNotAskedAbout) {
  admin("INSERT INTO greylisting_whitelist (Source) VALUES ('SenderIP:192.0.2.1')");
  EXPECT_EQ(answer_here("a@x"), "DUNNO");
  admin("DELETE FROM greylisting_whitelist; UPDATE greylisting SET Track = 'nonsense'");
  EXPECT_EQ(answer_here("a@x"), "DEFER");
  admin("UPDATE greylisting SET UseGreylisting = 0");
  EXPECT_EQ(answer_here("a@x"), "DUNNO");
}

TEST_F(SharedGreylistingTest, HowLongTheOthersKeepATripletIsBounded) {
  struct Row {
    const char* name;
    const char* sql;
    const char* keep;
  };
  for (const Row& row :
       {Row{"unset", "GreylistUnAuthValidity = NULL", "keep=2592000"},
        Row{"nothing", "GreylistUnAuthValidity = 0", "keep=2592000"},
        Row{"below nothing", "GreylistUnAuthValidity = -9223372036854775808", "keep=2592000"},
        Row{"for ever", "GreylistUnAuthValidity = 9223372036854775807", "keep=316224000"},
        Row{"shorter than the period", "GreylistUnAuthValidity = 100", "keep=480"},
        Row{"a period of nothing", "GreylistPeriod = -9223372036854775808", "keep=1000"},
        Row{"a period for ever", "GreylistPeriod = 9223372036854775807", "keep=632448000"}}) {
    SCOPED_TRACE(row.name);
    admin(
        "DELETE FROM greylisting_tracking;"
        "UPDATE greylisting SET GreylistPeriod = 240, GreylistUnAuthValidity = 1000");
    admin(fmt::format("UPDATE greylisting SET {}", row.sql));
    EXPECT_EQ(answer_to("a@x", {}), kDefer);
    EXPECT_EQ(mtas_.take_told(), Told{fmt::format("new {} 0 {} count=0", kTriplet, row.keep)});
  }
}

}  // namespace
}  // namespace policyd
