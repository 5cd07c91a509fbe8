// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/message/refund.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

using std::chrono::seconds;

class Refunds : public EngineFixture {
 protected:
  void begin(const std::string& track = "Sender:user@domain", const std::string& limit = "10",
             const std::string& type = "MessageCount") {
    config_.quotas = true;
    config_.quotas_refund = true;
    start();
    add_policy();
    admin("INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES (1, 'q', '" +
          track + "', 60, 'REJECT', 'full');" +
          "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, '" + type + "', " +
          limit + ");");
  }
  // How many of so many recipients pass.
  int to(const std::string& instance, int recipients, const std::string& domain = "example.com") {
    int out = 0;
    for (int i = 0; i < recipients; ++i) {
      const std::string name = "r" + std::to_string(i) + "@" + domain;
      if (answer(rcpt(instance, name)) == "DUNNO") ++out;
    }
    return out;
  }
  std::string end_of(const std::string& instance, std::uint64_t accepted,
                     const std::string& recipient = {}, std::uint64_t bytes = 1024) {
    Request request = end(instance, bytes);
    request.recipient_count = accepted;
    request.recipient = recipient;
    return answer(request);
  }
  std::string counter(const std::string& key = "Sender:alice@example.org") {
    return ask_admin("SELECT Counter FROM quotas_tracking WHERE TrackKey = '" + key + "'");
  }
};

TEST_F(Refunds, GiveBackWhatPostfixHasRefused) {
  begin();
  EXPECT_EQ(to("1.1", 6), 6);
  EXPECT_EQ(counter(), "6");
  EXPECT_EQ(end_of("1.1", 4), "DUNNO");
  EXPECT_EQ(counter(), "4");
  EXPECT_EQ(end_of("1.1", 4), "DUNNO");  // asked again
  EXPECT_EQ(counter(), "4");
  EXPECT_NE(log_text().find("module=Quotas, mode=update, host=192.0.2.1, helo=mail.example.org, "
                            "from=alice@example.org, to=r5@example.com, reason=quota_refund, "
                            "policy=1, quota=1, limit=1, track=Sender:alice@example.org, "
                            "counter=MessageCount, quota=4.00/10 (40.0%)"),
            std::string::npos);
  EXPECT_EQ(to("1.2", 9), 6);
}

TEST_F(Refunds, GiveBackNothingUnlessAsked) {
  begin();
  config_.quotas_refund = false;
  restart_engine();
  EXPECT_EQ(to("1.1", 6), 6);
  end_of("1.1", 4);
  EXPECT_EQ(counter(), "6");
}

TEST_F(Refunds, GiveBackNothingIfPostfixSaysNothingOrMore) {
  begin();
  to("1.1", 3);
  end_of("1.1", 0);
  EXPECT_EQ(counter(), "3");
  to("1.2", 3);
  end_of("1.2", 7);
  EXPECT_EQ(counter(), "6");
  to("1.3", 3);  // and no end
  EXPECT_EQ(counter(), "9");
}

TEST_F(Refunds, GiveBackInAPauseThatCounts) {
  begin("Sender:user@domain", "2");
  admin(
      "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, "
      "'MessageCumulativeSize', 1);");
  engine_->set_pause({now_ + std::chrono::hours{1}, true});
  EXPECT_EQ(to("1.1", 6), 6);
  EXPECT_EQ(counter(), "6");
  EXPECT_EQ(end_of("1.1", 4, {}, 1 << 20), "DUNNO");
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking WHERE QuotasLimitsID = 1"), "4");
}

TEST_F(Refunds, GiveBackAMessageThatIsRefusedAtItsEnd) {
  begin();
  admin("INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'SizePerMessage', 5)");
  EXPECT_EQ(to("1.1", 3), 3);
  EXPECT_EQ(end_of("1.1", 3, {}, 6 * 1024), "REJECT full");
  EXPECT_EQ(counter(), "0");
}

TEST_F(Refunds, GiveBackAMessageThatCountedOnceOnlyIfNoRecipientIsLeft) {
  begin("Recipient:@domain", "5", "Messages");
  EXPECT_EQ(to("1.1", 2, "one.example") + to("1.1", 2, "two.example"), 4);
  end_of("1.1", 1, "r1@two.example");
  EXPECT_EQ(counter("Recipient:@one.example"), "0");
  EXPECT_EQ(counter("Recipient:@two.example"), "1");
}

TEST_F(Refunds, KnowOfSeveralRecipientsOnlyHowManyWereAccepted) {
  begin("Recipient:@domain");
  EXPECT_EQ(to("1.1", 4, "one.example") + to("1.1", 1, "two.example"), 5);
  end_of("1.1", 2);  // at most two of each
  EXPECT_EQ(counter("Recipient:@one.example"), "2");
  EXPECT_EQ(counter("Recipient:@two.example"), "1");
  EXPECT_EQ(to("1.2", 4, "one.example") + to("1.2", 1, "two.example"), 5);
  end_of("1.2", 1, "r0@two.example");  // who it is
  EXPECT_EQ(counter("Recipient:@one.example"), "2");
  EXPECT_EQ(counter("Recipient:@two.example"), "2");
}

TEST_F(Refunds, GiveBackNothingThatHasLeftTheWindow) {
  begin();
  to("1.1", 5);
  now_ += seconds{60};
  to("1.2", 5);
  end_of("1.1", 1);
  EXPECT_EQ(counter(), "5");
}

TEST_F(Refunds, GiveBackNothingOnceRulesHaveChanged) {
  begin();
  to("1.1", 5);
  admin("UPDATE quotas SET Data = 'x'");
  end_of("1.1", 1);
  EXPECT_EQ(counter(), "5");
}

TEST_F(Refunds, GiveBackNothingOfAMessageThatAnotherProcessBegan) {
  begin();
  to("1.1", 5);
  engine_->save_open_sessions();
  restart_engine();
  EXPECT_EQ(end_of("1.1", 1), "DUNNO");
  EXPECT_EQ(counter(), "5");
}

TEST_F(Refunds, GiveBackNothingOfOtherMailAfterAReset) {
  begin("Sender:user@domain", "3");
  EXPECT_EQ(to("1.1", 3), 3);
  admin("DELETE FROM quotas_tracking");
  now_ += seconds{1};
  EXPECT_EQ(to("1.2", 3), 3);
  end_of("1.1", 1);
  EXPECT_EQ(counter(), "3");
  EXPECT_EQ(to("1.3", 3), 0);
}

// A recipient over a limit that holds it is in the message, but was not counted.
TEST_F(Refunds, GiveBackNoMoreThanWasCounted) {
  begin("Sender:user@domain", "2");
  admin("UPDATE quotas SET Verdict = 'HOLD'");
  EXPECT_EQ(to("1.1", 4), 2);
  EXPECT_EQ(counter(), "2");
  end_of("1.1", 1);
  EXPECT_EQ(counter(), "1");
}

TEST_F(Refunds, WorkWithDecay) {
  config_.quotas_algorithm = Algorithm::decay;
  begin();
  to("1.1", 4);
  now_ += seconds{30};
  end_of("1.1", 1);
  EXPECT_EQ(counter(), "0.5");  // half of the one that remains
}

// With `decay` a quota without a verdict that is exceeded ends the walk, and nothing is counted.
TEST_F(Refunds, GiveBackNothingWithDecayThatWasNotCounted) {
  config_.quotas_algorithm = Algorithm::decay;
  begin("Sender:user@domain", "2");
  admin("UPDATE quotas SET Verdict = NULL");
  EXPECT_EQ(to("1.1", 6), 6);
  EXPECT_EQ(counter(), "3");
  end_of("1.1", 3);  // of the three that were counted, three may have been accepted
  EXPECT_EQ(counter(), "3");
}

// Whatever is given back, no more pass in a period than the limit says.
TEST_F(Refunds, LetNoMorePassThanTheLimit) {
  begin();
  std::mt19937 random{7};  // NOLINT: the same each time
  const auto below = [&](int n) { return std::uniform_int_distribution<int>{0, n - 1}(random); };
  std::vector<TimePoint> passed;
  int given_back = 0;
  for (int message = 0; message < 150; ++message) {
    const std::string instance = "m." + std::to_string(message);
    std::vector<TimePoint> times;
    for (int i = below(5); i >= 0; --i) {
      const std::string name = "r" + std::to_string(i) + "@example.com";
      if (answer(rcpt(instance, name)) == "DUNNO") times.push_back(now_);
      now_ += Millis{below(2'000)};
    }
    if (times.empty()) continue;
    std::shuffle(times.begin(), times.end(), random);
    const auto accepted = static_cast<std::size_t>(below(static_cast<int>(times.size()))) + 1;
    given_back += static_cast<int>(times.size() - accepted);
    end_of(instance, accepted);
    times.resize(accepted);
    passed.insert(passed.end(), times.begin(), times.end());
  }
  std::sort(passed.begin(), passed.end());
  for (std::size_t i = 10; i < passed.size(); ++i) {
    EXPECT_GE(passed[i] - passed[i - 10], seconds{60}) << i;
  }
  EXPECT_GT(given_back, 10);
  EXPECT_GT(passed.size(), 40U);
}

}  // namespace
}  // namespace policyd
