// SPDX-License-Identifier: AGPL-3.0-only
// Limits on how many different recipients there may be within a period.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

using std::chrono::seconds;

class DistinctLimits : public EngineFixture {
 protected:
  void begin(const std::string& limit, const std::string& data = "full",
             const std::string& track = "Sender:user@domain") {
    config_.quotas = true;
    start();
    add_policy();
    admin("INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES (1, 'q', '" +
          track + "', 60, 'REJECT', '" + data +
          "'); INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, "
          "'DistinctRecipients', " +
          limit + ");");
  }
  // Each mail is a message of its own.
  std::string to(const std::string& recipient) {
    return answer(rcpt(std::to_string(++mails_), recipient));
  }
  std::string counter() { return ask_admin("SELECT Counter FROM quotas_tracking"); }

  int mails_ = 0;
};

TEST_F(DistinctLimits, RefuseOneMoreRecipientUntilOneHasLeft) {
  begin("2", "{used} of {limit} per {period}, free in {retry_after}");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  now_ += seconds{10};
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  EXPECT_EQ(to("c@example.com"), "REJECT 2 of 2 per minute, free in 50 seconds");
  EXPECT_EQ(counter(), "2");
  now_ += seconds{50};
  EXPECT_EQ(to("c@example.com"), "DUNNO");
  EXPECT_EQ(to("a@example.com"), "REJECT 2 of 2 per minute, free in 10 seconds");
  EXPECT_NE(log_text().find("counter=DistinctRecipients, quota=2.00/2 (100.0%)"),
            std::string::npos);
  EXPECT_EQ(events().back(), "refused Quotas 1 Sender:alice@example.org reject");
}

TEST_F(DistinctLimits, LetFurtherMailToKnownOnesPassAndRenewThem) {
  begin("2");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  for (int i = 0; i < 5; ++i) {
    now_ += seconds{20};
    EXPECT_EQ(to("a@example.com"), "DUNNO") << i;
  }
  EXPECT_EQ(counter(), "1");  // b has left
  EXPECT_EQ(to("c@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "REJECT full");
}

TEST_F(DistinctLimits, CountARecipientOfOneMessageLikeAnyOther) {
  begin("2");
  EXPECT_EQ(answer(rcpt("m", "a@example.com")), "DUNNO");
  EXPECT_EQ(answer(rcpt("m", "b@example.com")), "DUNNO");
  EXPECT_EQ(answer(rcpt("m", "c@example.com")), "REJECT full");
  EXPECT_EQ(answer(rcpt("m", "a@example.com")), "DUNNO");
}

// However it is spelt, and with whatever extension in an own domain.
TEST_F(DistinctLimits, KnowARecipientByItsName) {
  config_.recipient_delimiter = "+";
  begin("1");
  admin(
      "INSERT INTO policy_group_members (PolicyGroupID, Member) SELECT ID, '@own.example' FROM "
      "policy_groups WHERE Name = 'internal_domains'");
  restart_engine();
  EXPECT_EQ(to("bob@own.example"), "DUNNO");
  EXPECT_EQ(to("bob+news@own.example"), "DUNNO");
  EXPECT_EQ(to("bob@other.example"), "REJECT full");
  EXPECT_EQ(to("bobs@own.example"), "REJECT full");
}

TEST_F(DistinctLimits, HoldThemAWholePeriodAfterTheClockWasSetBack) {
  begin("1");
  now_ += seconds{1'000};
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  now_ -= seconds{1'000};
  EXPECT_EQ(to("b@example.com"), "REJECT full");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  now_ += seconds{59};
  EXPECT_EQ(to("b@example.com"), "REJECT full");
  now_ += seconds{1};
  EXPECT_EQ(to("b@example.com"), "DUNNO");
}

TEST_F(DistinctLimits, KnowThemAfterARestart) {
  begin("2");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  engine_.reset();
  open_store();
  restart_engine();
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  EXPECT_EQ(to("c@example.com"), "REJECT full");
}

TEST_F(DistinctLimits, LetKnownOnesPassOnceTheLimitWasLowered) {
  begin("3");
  for (const char* name : {"a@x.example", "b@x.example", "c@x.example"}) to(name);
  admin("UPDATE quotas_limits SET CounterLimit = 1");
  EXPECT_EQ(to("a@x.example"), "DUNNO");
  EXPECT_EQ(to("d@x.example"), "REJECT full");
}

// What an admin has written is all that is known then.
TEST_F(DistinctLimits, CountAnewAfterTheRowWasEdited) {
  begin("3");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  admin("UPDATE quotas_tracking SET Counter = 2");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(counter(), "3");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "REJECT full");
  admin("DELETE FROM quotas_tracking");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  EXPECT_EQ(counter(), "1");
}

TEST_F(DistinctLimits, ForgetThemWhereTheTypeWasAnotherMeanwhile) {
  begin("3");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  admin("UPDATE quotas_limits SET Type = 'MessageCount'");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  admin("UPDATE quotas_limits SET Type = 'DistinctRecipients'");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(counter(), "3");
}

TEST_F(DistinctLimits, AreExactWithDecayToo) {
  config_.quotas_algorithm = Algorithm::decay;
  begin("2");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "DUNNO");
  engine_.reset();
  open_store();
  restart_engine();
  now_ += seconds{59};
  EXPECT_EQ(to("c@example.com"), "REJECT full");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
  now_ += seconds{1};
  EXPECT_EQ(to("c@example.com"), "DUNNO");
  EXPECT_EQ(to("b@example.com"), "REJECT full");
}

TEST_F(DistinctLimits, OnlyMonitorWithoutAVerdict) {
  begin("1");
  admin("UPDATE quotas SET Verdict = NULL");
  for (const char* name : {"a@x.example", "b@x.example", "a@x.example"}) {
    EXPECT_EQ(to(name), "DUNNO");
  }
  EXPECT_EQ(counter(), "2");
  EXPECT_EQ(events().back(), "watched Quotas 1 Sender:alice@example.org none");
}

TEST_F(DistinctLimits, AreNotGivenBack) {
  config_.quotas_refund = true;
  begin("1");
  EXPECT_EQ(answer(rcpt("m", "a@example.com")), "DUNNO");
  Request ended = end("m", 1'000);
  ended.recipient_count = 0;
  answer(ended);
  EXPECT_EQ(counter(), "1");
  EXPECT_EQ(to("b@example.com"), "REJECT full");
}

TEST_F(DistinctLimits, DeferForALimitOfMoreThanCanBeCounted) {
  begin("1001");
  EXPECT_TRUE(to("a@example.com").starts_with("DEFER"));
  ASSERT_EQ(store_->rules()->problems.size(), 1U);
  EXPECT_EQ(describe(store_->rules()->problems[0]),
            "quotas_limits 1: '1001' is not a valid CounterLimit; use 1 to 1000 with the Type "
            "DistinctRecipients; while its module is on, ALL MAIL IS DEFERRED");
  admin("UPDATE quotas_limits SET CounterLimit = 1000");
  EXPECT_EQ(to("a@example.com"), "DUNNO");
}

}  // namespace
}  // namespace policyd
