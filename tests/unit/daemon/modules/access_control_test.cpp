// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/access_control.hpp"

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

class AccessControlTest : public EngineFixture {
 protected:
  AccessControlTest() { config_.access_control = true; }

  // For the policy made last; SQL literals.
  void add_row(const std::string& verdict, const std::string& data, int disabled = 0) {
    admin(
        "INSERT INTO access_control (PolicyID, Name, Verdict, Data, Disabled) VALUES "
        "((SELECT max(ID) FROM policies), 'a', " +
        verdict + ", " + data + ", " + std::to_string(disabled) + ")");
  }
};

TEST_F(AccessControlTest, AnswersWithVerdictAndData) {
  struct Row {
    const char* verdict;
    const char* data;
    const char* answer;
  };
  start();
  add_policy();
  int instance = 0;
  for (const Row& row : {
           Row{"'REJECT'", "'go away'", "REJECT go away"},
           Row{"'reject'", "'550 5.7.1 Gone'", "550 5.7.1 Gone"},
           Row{"'REJECT'", "'451 later'", "REJECT 451 later"},
           Row{"'Hold'", "'look'", "HOLD look"},
           Row{"'DISCARD'", "NULL", "DISCARD"},
           Row{"'FILTER'", "'smtp:[127.0.0.1]:10025'", "FILTER smtp:[127.0.0.1]:10025"},
           Row{"'REDIRECT'", "'admin@example.org'", "REDIRECT admin@example.org"},
           Row{"'REDIRECT'", "'admin'", "DEFER"},
           Row{"'FILTER'", "NULL", "DEFER"},
           Row{"'OK'", "''", "OK"},
           Row{"'PASS'", "'seen'", "DUNNO seen"},
           Row{"NULL", "'seen'", "DUNNO"},
           Row{"''", "'seen'", "DEFER"},
           Row{"'DEFER'", "'seen'", "DEFER"},
           Row{"'DUNNO'", "'seen'", "DEFER"},
           Row{"'PREPEND'", "'X: y'", "DEFER"},
           Row{"'Nonsense'", "'seen'", "DEFER"},
       }) {
    SCOPED_TRACE(row.verdict);
    admin("DELETE FROM access_control");
    add_row(row.verdict, row.data);
    EXPECT_EQ(answer(rcpt(std::to_string(++instance))), row.answer);
  }
}

TEST_F(AccessControlTest, TakesTheFirstEnabledRowOfTheFirstPolicyThatHasOne) {
  start();
  add_policy();  // has none
  add_policy();
  add_row("'HOLD'", "'disabled'", 1);
  add_row("'REJECT'", "'first'");
  add_row("'OK'", "'second'");
  add_policy();
  add_row("'OK'", "'later policy'");
  EXPECT_EQ(answer(rcpt("1")), "REJECT first");
}

TEST_F(AccessControlTest, ContinuesWithTheNextPolicyWithoutAVerdict) {
  start();
  add_policy();
  add_row("NULL", "'nothing'");
  add_row("'REJECT'", "'a second row of that policy'");
  add_policy();
  add_row("'HOLD'", "'next'");
  EXPECT_EQ(answer(rcpt("1")), "HOLD next");
}

TEST_F(AccessControlTest, LaterModulesRunAfterPassButNotAfterOk) {
  config_.accounting = true;
  start();
  add_policy();
  admin(
      "INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod, MessageCountLimit, Verdict)"
      " VALUES (1, 'c', 'Policy', 0, 1, 'REJECT')");
  add_row("'PASS'", "'seen'");
  EXPECT_EQ(answer(rcpt("1")), "DUNNO seen");
  EXPECT_EQ(answer(rcpt("2")), "REJECT Policy rejection; Message count exceeded");
  admin("UPDATE access_control SET Verdict = 'OK'");
  EXPECT_EQ(answer(rcpt("3")), "OK seen");
}

TEST_F(AccessControlTest, LogsToTheLetter) {
  const std::string who =
      "host=192.0.2.1, helo=mail.example.org, from=alice@example.org, "
      "to=bob@example.com, ";
  start();
  add_policy();
  add_row("NULL", "NULL");
  add_policy();
  add_row("'REJECT'", "NULL");
  answer(rcpt("1"));
  EXPECT_EQ(log_text(), "module=AccessControl, action=none, " + who + "reason=no_verdict\n" +
                            "module=AccessControl, action=reject, " + who + "reason=verdict\n");
  admin("UPDATE access_control SET Verdict = 'what?' WHERE ID = 1");
  answer(rcpt("2"));
  EXPECT_TRUE(log_text().ends_with(
      "module=AccessControl, action=none, " + who + "reason=invalid_verdict\n" +
      "module=AccessControl, access_control=1: 'what?' is not a valid Verdict; "
      "use HOLD, REJECT, DISCARD, FILTER, REDIRECT, OK or PASS\n"))
      << log_text();
  admin("UPDATE access_control SET Verdict = 'FILTER', Data = 'seen' WHERE ID = 1");
  answer(rcpt("3"));
  EXPECT_TRUE(log_text().ends_with(
      "module=AccessControl, action=defer, " + who + "reason=verdict\n" +
      "module=AccessControl, access_control=1: 'seen' is not a valid Data for FILTER; use "
      "transport:destination, like smtp:[192.0.2.1]:25\n"))
      << log_text();
}

TEST_F(AccessControlTest, ABlockWithAnotherVerdictIsARowLikeOthersUntilItsEnd) {
  start();
  add_policy();
  admin(
      "UPDATE policies SET Name = 'carbonio-limits block alice@example.org until "
      "2026-11-22T12:10:00Z'");
  add_row("'REJCT'", "'no'");
  EXPECT_EQ(answer(rcpt("1")), "DEFER");
  admin("UPDATE access_control SET Verdict = 'REDIRECT', Data = 'admin@example.org'");
  EXPECT_EQ(answer(rcpt("2")), "REDIRECT admin@example.org");
  admin("UPDATE access_control SET Verdict = 'REJECT', Data = 'no'");
  EXPECT_EQ(answer(rcpt("3")), "REJECT no");
  now_ += std::chrono::minutes{10};
  EXPECT_EQ(answer(rcpt("4")), "DUNNO");
  admin("UPDATE access_control SET Verdict = 'REJCT'");
  EXPECT_EQ(answer(rcpt("5")), "DUNNO");
}

TEST_F(AccessControlTest, ABlockedRecipientIsDecidedOnce) {
  config_.access_control = false;
  config_.quotas = true;
  start();
  add_policy();
  admin("UPDATE policies SET Name = 'carbonio-limits block alice@example.org'");
  add_row("'HOLD'", "'wait'");
  EXPECT_EQ(answer(rcpt("1")), "HOLD wait");
  EXPECT_EQ(answer(rcpt("1")), "HOLD wait");
  EXPECT_EQ(events(),
            std::vector<std::string>{"refused AccessControl 1 Sender:alice@example.org hold"});
  answer(end("1", 100));
  EXPECT_EQ(ask_admin("SELECT RecipientData FROM session_tracking"), "/<bob@example.com>#0=1;");
}

TEST_F(AccessControlTest, IsNotAskedAtEndOfMessageNorWhenDisabled) {
  start();
  add_policy();
  add_row("'REJECT'", "'no'");
  answer(rcpt("1"));
  EXPECT_EQ(answer(end("1", 100)), "DUNNO");
  config_.access_control = false;
  engine_->configure(config_);
  EXPECT_EQ(answer(rcpt("2")), "DUNNO");
}

}  // namespace
}  // namespace policyd
