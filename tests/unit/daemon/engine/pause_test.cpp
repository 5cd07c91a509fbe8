// SPDX-License-Identifier: AGPL-3.0-only
// While limits are paused every answer is DUNNO; what passes is counted, or not.
#include "daemon/engine/pause.hpp"

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

using namespace std::chrono_literals;

class PauseTest : public EngineFixture {
 protected:
  void start_with(const std::string& rows) {
    start();
    add_policy();
    admin(rows);
  }
  void pause(bool counted = true) { engine_->set_pause({now_ + 1min, counted}); }

  std::vector<std::string> ask(int count) {
    std::vector<std::string> answers;
    for (int i = 0; i < count; ++i) answers.push_back(answer(rcpt(std::to_string(++asked_))));
    return answers;
  }
  std::string counter() { return ask_admin("SELECT Counter FROM quotas_tracking"); }
  static std::vector<std::string> passed(std::size_t count) {
    return std::vector<std::string>(count, "DUNNO");
  }

  // Two messages an hour for each sender.
  static constexpr const char* kTwo =
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES "
      "(1, 'q', 'Sender:user@domain', 3600, 'DEFER', 'full');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'MessageCount', 2);";
  int asked_ = 0;
};

TEST_F(PauseTest, LetsAllPassAndCountsItUntilItEnds) {
  config_.quotas = true;
  start_with(kTwo);
  EXPECT_EQ(ask(3), (std::vector<std::string>{"DUNNO", "DUNNO", "DEFER full"}));
  pause();
  EXPECT_EQ(ask(5), passed(5));
  EXPECT_EQ(counter(), "7");
  EXPECT_NE(log_text().find("action=none"), std::string::npos);
  EXPECT_NE(log_text().find("reason=paused"), std::string::npos);
  now_ += 59s + 999ms;
  EXPECT_EQ(ask(1), passed(1));
  now_ += 1ms;
  EXPECT_EQ(ask(1), (std::vector<std::string>{"DEFER full"}));
  EXPECT_EQ(counter(), "8");
}

TEST_F(PauseTest, CountsNothingIfItIsUncounted) {
  config_.quotas = true;
  start_with(kTwo);
  pause(false);
  EXPECT_EQ(ask(5), passed(5));
  EXPECT_EQ(counter(), "(no row)");
  engine_->set_pause({});
  EXPECT_EQ(ask(3), (std::vector<std::string>{"DUNNO", "DUNNO", "DEFER full"}));
}

TEST_F(PauseTest, CountsInDecayToo) {
  config_.quotas = true;
  config_.quotas_algorithm = Algorithm::decay;
  start_with(kTwo);
  pause();
  EXPECT_EQ(ask(6), passed(6));
  EXPECT_EQ(counter(), "6");
}

TEST_F(PauseTest, CountsSizesWhenTheyAreKnown) {
  config_.quotas = true;
  start_with(
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict) VALUES "
      "(1, 'q', 'Sender:user@domain', 3600, 'REJECT');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES "
      "(1, 'MessageCumulativeSize', 10);");
  pause();
  EXPECT_EQ(answer(rcpt("1")), "DUNNO");
  EXPECT_EQ(answer(end("1", 50 * 1024)), "DUNNO");
  EXPECT_EQ(counter(), "50");
}

TEST_F(PauseTest, AnswersARepeatedQuestionThatWasRefused) {
  config_.quotas = true;
  start_with(kTwo);
  ask(2);
  EXPECT_EQ(answer(rcpt("again")), "DEFER full");
  pause();
  EXPECT_EQ(answer(rcpt("again")), "DUNNO");
}

TEST_F(PauseTest, CountsAccountingBeyondItsLimit) {
  config_.accounting = true;
  start_with(
      "INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod, MessageCountLimit, "
      "Verdict, Data) VALUES (1, 'a', 'Sender:user@domain', 0, 1, 'REJECT', 'no')");
  pause();
  EXPECT_EQ(ask(3), passed(3));
  EXPECT_EQ(ask_admin("SELECT MessageCount FROM accounting_tracking"), "3");
  engine_->set_pause({});
  EXPECT_EQ(ask(1), (std::vector<std::string>{"REJECT no"}));
}

TEST_F(PauseTest, SilencesTheOtherModules) {
  config_.access_control = config_.check_helo = config_.greylisting = true;
  start_with(
      "INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (1, 'a', 'REJECT');"
      "INSERT INTO checkhelo (PolicyID, Name, RejectInvalid) VALUES (1, 'c', 1);"
      "INSERT INTO greylisting (PolicyID, Name, UseGreylisting, GreylistPeriod, Track) VALUES "
      "(1, 'g', 1, 60, 'SenderIP:/24')");
  EXPECT_EQ(ask(1), (std::vector<std::string>{"REJECT"}));
  pause();
  EXPECT_EQ(ask(2), passed(2));
  EXPECT_EQ(ask_admin("SELECT count(*) FROM greylisting_tracking"), "0");
}

// Or a newsletter's host that is exempt would use up what its domain shares.
TEST_F(PauseTest, DoesNotCountWhatAccessControlExempts) {
  config_.access_control = config_.quotas = true;
  start_with(
      std::string{kTwo} +
      "INSERT INTO policies (Name, Priority) VALUES ('first', -1), ('none', -2);"
      "INSERT INTO policy_members (PolicyID, Source) VALUES (2, 'any'), (3, 'any');"
      "INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (2, 'a', 'OK'), (3, 'b', NULL)");
  pause();
  EXPECT_EQ(ask(3), passed(3));
  EXPECT_EQ(counter(), "(no row)");
  admin("UPDATE access_control SET Verdict = 'REJECT' WHERE PolicyID = 2");
  EXPECT_EQ(ask(3), passed(3));
  EXPECT_EQ(counter(), "3");
}

// A row that defers all mail is what the brake is for; the others still count.
TEST_F(PauseTest, LeavesOutARowThatCannotBeUnderstood) {
  config_.quotas = config_.accounting = true;
  start_with(
      std::string{kTwo} +
      "INSERT INTO quotas (PolicyID, Name, Track, Period) VALUES (1, 'x', 'user@x', 60);"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (2, 'MessageCount', 2);"
      "INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod) VALUES (1, 'a', 'x', 0), "
      "(1, 'b', 'Policy', 9)");
  EXPECT_EQ(ask(1), (std::vector<std::string>{"DEFER"}));
  pause();
  EXPECT_EQ(ask(3), passed(3));
  EXPECT_EQ(counter(), "3");
}

TEST_F(PauseTest, PassesEvenIfNoRulesCanBeRead) {
  config_.quotas = true;
  std::ofstream{file_} << "not a database";
  open_store();
  restart_engine();
  EXPECT_EQ(ask(1).front(),
            "DEFER Mail limits cannot be read at the moment; please try again later");
  pause();
  EXPECT_EQ(ask(2), passed(2));
}

TEST_F(PauseTest, IsNoneIfTheClockIsSetBackByMoreThanItsBound) {
  config_.quotas = true;
  start_with(kTwo);
  pause();
  now_ -= Pause::kMax;
  EXPECT_EQ(ask(3), (std::vector<std::string>{"DUNNO", "DUNNO", "DEFER full"}));
}

}  // namespace
}  // namespace policyd
