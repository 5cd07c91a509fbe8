// SPDX-License-Identifier: AGPL-3.0-only
// Quotas' own Types: messages, recipients of a message, size of a message.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

class MessageLimits : public EngineFixture {
 protected:
  void begin(const std::string& type, const std::string& limit,
             const std::string& track = "Sender:user@domain", const std::string& data = "full") {
    config_.quotas = true;
    start();
    add_policy();
    admin("INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES (1, 'q', '" +
          track + "', 60, 'REJECT', '" + data +
          "'); INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, '" + type +
          "', " + limit + ");");
  }
  std::string to(const std::string& instance, const std::string& recipient) {
    return answer(rcpt(instance, recipient));
  }
  // How many of so many recipients pass.
  int let_through(const std::string& instance, int recipients) {
    int out = 0;
    for (int i = 0; i < recipients; ++i) {
      if (to(instance, "r" + std::to_string(i) + "@example.com") == "DUNNO") ++out;
    }
    return out;
  }
  std::string counters() { return ask_admin("SELECT count(*) FROM quotas_tracking"); }
  std::string counter() { return ask_admin("SELECT Counter FROM quotas_tracking"); }
};

TEST_F(MessageLimits, RefuseTheRecipientBeyondThoseOfAMessage) {
  begin("RecipientsPerMessage", "3", "Sender:user@domain", "{used} of {limit} per {period}");
  EXPECT_EQ(let_through("1.1", 3), 3);
  EXPECT_EQ(to("1.1", "x@example.com"), "REJECT 3 of 3 per message");
  EXPECT_EQ(to("1.1", "r0@example.com"), "DUNNO");  // asked again
  EXPECT_EQ(to("1.1", "x@example.com"), "REJECT 3 of 3 per message");
  EXPECT_EQ(let_through("1.2", 9), 3);  // each message for itself
  EXPECT_EQ(answer(end("1.1", 1024)), "DUNNO");
  EXPECT_EQ(counters(), "0");
  EXPECT_EQ(events().front(), "refused Quotas 1 Sender:alice@example.org reject x7");
  EXPECT_NE(log_text().find("reason=quota_match, policy=1, quota=1, limit=1, track=Sender:alice@"
                            "example.org, counter=RecipientsPerMessage, quota=3.00/3 (100.0%)"),
            std::string::npos);
}

TEST_F(MessageLimits, CountOnlyRecipientsOfTheSameKey) {
  begin("RecipientsPerMessage", "2", "Recipient:@domain");
  EXPECT_EQ(to("1.1", "a@one.example"), "DUNNO");
  EXPECT_EQ(to("1.1", "a@two.example"), "DUNNO");
  EXPECT_EQ(to("1.1", "b@one.example"), "DUNNO");
  EXPECT_EQ(to("1.1", "c@one.example"), "REJECT full");
  EXPECT_EQ(to("1.1", "b@two.example"), "DUNNO");
}

TEST_F(MessageLimits, CountOnlyRecipientsOfTheirPolicy) {
  begin("RecipientsPerMessage", "1");
  admin("UPDATE policy_members SET Destination = '@example.com'");
  EXPECT_EQ(to("1.1", "a@example.net"), "DUNNO");
  EXPECT_EQ(to("1.1", "b@example.net"), "DUNNO");
  EXPECT_EQ(to("1.1", "a@example.com"), "DUNNO");
  EXPECT_EQ(to("1.1", "b@example.com"), "REJECT full");
}

TEST_F(MessageLimits, DoNotCountRecipientsThatWereRefused) {
  begin("RecipientsPerMessage", "2");
  admin(
      "INSERT INTO policies (Name, Priority) VALUES ('no', 1);"
      "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (2, 'any', '@no.example');"
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES (2, 'no', "
      "'Policy', "
      "60, 'REJECT', 'no');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (2, 'MessageCount', 0.5);");
  EXPECT_EQ(to("1.1", "a@no.example"), "REJECT no");
  EXPECT_EQ(to("1.1", "b@no.example"), "REJECT no");
  EXPECT_EQ(let_through("1.1", 5), 2);
}

TEST_F(MessageLimits, OnlyMonitorWithoutAVerdict) {
  begin("RecipientsPerMessage", "1");
  admin("UPDATE quotas SET Verdict = NULL");
  EXPECT_EQ(let_through("1.1", 3), 3);
  EXPECT_EQ(events().front(), "watched Quotas 1 Sender:alice@example.org none x2");
}

TEST_F(MessageLimits, RefuseAMessageThatIsTooLarge) {
  begin("SizePerMessage", "10", "Sender:user@domain", "{used}, {limit} per {period}");
  Request large = rcpt("1.1");
  large.size_bytes = 10 * 1024 + 1;
  EXPECT_EQ(answer(large), "REJECT 11 KiB, 10 KiB per message");
  EXPECT_EQ(to("1.2", "a@example.com"), "DUNNO");  // it says 2 KiB
  EXPECT_EQ(to("1.2", "b@example.com"), "DUNNO");
  EXPECT_EQ(answer(end("1.2", 10 * 1024 + 1)), "REJECT 11 KiB, 10 KiB per message");
  EXPECT_EQ(to("1.3", "a@example.com"), "DUNNO");
  EXPECT_EQ(answer(end("1.3", 10 * 1024)), "DUNNO");
  EXPECT_EQ(counters(), "0");
}

TEST_F(MessageLimits, CountNothingOfAMessageThatIsTooLarge) {
  begin("SizePerMessage", "10");
  admin(
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, "
      "'MessageCumulativeSize', 1000)");
  EXPECT_EQ(to("1.1", "a@example.com"), "DUNNO");
  EXPECT_EQ(answer(end("1.1", 11 * 1024)), "REJECT full");
  EXPECT_EQ(counter(), "(no row)");
}

TEST_F(MessageLimits, CountAMessageOnceHoweverManyRecipientsItHas) {
  begin("Messages", "2");
  EXPECT_EQ(let_through("1.1", 5), 5);
  EXPECT_EQ(counter(), "1");
  EXPECT_EQ(let_through("1.2", 5), 5);
  EXPECT_EQ(counter(), "2");
  EXPECT_EQ(let_through("1.3", 5), 0);
  EXPECT_EQ(to("1.1", "late@example.com"), "DUNNO");  // of a message that has passed
  now_ += std::chrono::seconds{61};
  EXPECT_EQ(let_through("1.4", 5), 5);
  EXPECT_EQ(counter(), "1");
}

TEST_F(MessageLimits, CountAMessageForEachKey) {
  begin("Messages", "1", "Recipient:@domain");
  EXPECT_EQ(to("1.1", "a@one.example"), "DUNNO");
  EXPECT_EQ(to("1.1", "b@one.example"), "DUNNO");
  EXPECT_EQ(to("1.1", "a@two.example"), "DUNNO");
  EXPECT_EQ(counters(), "2");
  EXPECT_EQ(to("1.2", "c@one.example"), "REJECT full");
}

// It has ended the walk of the first recipient, who has not counted the message.
TEST_F(MessageLimits, CountAMessageWhoseFirstRecipientEndedAtAnEarlierQuota) {
  begin("Messages", "1");
  admin(
      "INSERT INTO policies (Name, Priority) VALUES ('first', -1);"
      "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (2, 'any', "
      "'r0@example.com');"
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, LastQuota) VALUES (2, 'last', "
      "'Policy', 60, 'REJECT', 1);"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (2, 'MessageCount', 100);");
  EXPECT_EQ(let_through("1.1", 3), 3);
  EXPECT_EQ(let_through("1.2", 3), 1);
  // The quota itself may be the last one.
  admin("UPDATE policy_members SET Destination = 'x@example.com' WHERE PolicyID = 2");
  admin("UPDATE quotas SET LastQuota = 1; UPDATE quotas_limits SET CounterLimit = 3");
  EXPECT_EQ(let_through("1.3", 3), 3);
  EXPECT_EQ(let_through("1.4", 3), 3);
  EXPECT_EQ(let_through("1.5", 3), 0);
}

TEST_F(MessageLimits, CountAMessageWhoseFirstRecipientIsHeldByAnotherLimit) {
  begin("Messages", "2");
  admin(
      "INSERT INTO policies (Name, Priority) VALUES ('first', -1);"
      "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (2, 'any', 'any');"
      "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES (2, 'held', "
      "'Recipient:user@domain', 60, 'HOLD', 'wait');"
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (2, 'MessageCount', 1);");
  EXPECT_EQ(to("0.1", "r0@example.com"), "DUNNO");
  for (const std::string message : {"1.1", "1.2", "1.3"}) {
    EXPECT_EQ(to(message, "r0@example.com"), "HOLD wait");
    const bool passes = message == "1.1";
    EXPECT_EQ(to(message, message + "@example.com"), passes ? "DUNNO" : "REJECT full");
  }
}

// What a row of session_tracking says of a recipient is too little to know who has counted.
TEST_F(MessageLimits, CountAMessageAgainThatAnotherProcessBegan) {
  config_.access_control = true;
  begin("Messages", "2");
  admin(
      "INSERT INTO policies (Name, Priority) VALUES ('ok', -1);"
      "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (2, 'any', "
      "'r0@example.com');"
      "INSERT INTO access_control (PolicyID, Name, Verdict) VALUES (2, 'ok', 'OK');");
  for (const auto* message : {"1.1", "1.2", "1.3"}) EXPECT_EQ(to(message, "r0@example.com"), "OK");
  engine_->save_open_sessions();
  restart_engine();
  EXPECT_EQ(to("1.1", "x@example.com"), "DUNNO");
  EXPECT_EQ(to("1.1", "y@example.com"), "DUNNO");  // counted by x
  EXPECT_EQ(to("1.2", "x@example.com"), "DUNNO");
  EXPECT_EQ(to("1.3", "x@example.com"), "REJECT full");
}

TEST_F(MessageLimits, CountAMessageThatBeganBeforeThem) {
  begin("Messages", "1");
  admin("UPDATE quotas SET Disabled = 1");
  for (const auto* message : {"1.1", "1.2"}) EXPECT_EQ(to(message, "a@example.com"), "DUNNO");
  admin("UPDATE quotas SET Disabled = 0");
  EXPECT_EQ(to("1.1", "b@example.com"), "DUNNO");
  EXPECT_EQ(to("1.1", "c@example.com"), "DUNNO");
  EXPECT_EQ(to("1.2", "b@example.com"), "REJECT full");
}

// The memory of its first recipients is gone.
TEST_F(MessageLimits, CountAMessageAgainAfterACrashButNeverLess) {
  begin("Messages", "2");
  EXPECT_EQ(let_through("1.1", 2), 2);
  restart_engine();
  EXPECT_EQ(to("1.1", "x@example.com"), "DUNNO");
  EXPECT_EQ(counter(), "2");
  EXPECT_EQ(let_through("1.2", 1), 0);
}

// That nothing is asked for is no reason to pass in a limit that is over already.
TEST_F(MessageLimits, RefuseAnEmptyMessageOnceALimitOfSizesWasLowered) {
  begin("MessageCumulativeSize", "100");
  EXPECT_EQ(to("1.1", "a@example.com"), "DUNNO");
  EXPECT_EQ(to("1.2", "a@example.com"), "DUNNO");
  EXPECT_EQ(answer(end("1.1", 60 * 1024)), "DUNNO");
  admin("UPDATE quotas_limits SET CounterLimit = 50");
  EXPECT_EQ(answer(end("1.2", 0)), "REJECT full");
}

TEST_F(MessageLimits, WorkWithDecayToo) {
  config_.quotas_algorithm = Algorithm::decay;
  begin("RecipientsPerMessage", "2");
  EXPECT_EQ(let_through("1.1", 5), 2);
  admin("UPDATE quotas_limits SET Type = 'SizePerMessage'");
  EXPECT_EQ(to("1.2", "a@example.com"), "DUNNO");
  EXPECT_EQ(answer(end("1.2", 3 * 1024)), "REJECT full");
  admin("UPDATE quotas_limits SET Type = 'Messages', CounterLimit = 1");
  EXPECT_EQ(let_through("2.1", 3), 3);
  EXPECT_EQ(let_through("2.2", 3), 3);  // as the Perl daemon counts: one more
  EXPECT_EQ(let_through("2.3", 3), 0);
}

TEST_F(MessageLimits, AreReadWhateverTheCaseOfTheirType) {
  begin("recipientspermessage", "1");
  EXPECT_EQ(let_through("1.1", 3), 1);
}

TEST_F(MessageLimits, DeferForALimitOfNothing) {
  begin("RecipientsPerMessage", "0");
  EXPECT_TRUE(to("1.1", "a@example.com").starts_with("DEFER"));
}

}  // namespace
}  // namespace policyd
