// SPDX-License-Identifier: AGPL-3.0-only
// What the modules remember of their decisions.
#include <array>

#include "daemon/sqlite/database.hpp"
#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

class EventsTest : public EngineFixture {
 protected:
  EventsTest() { config_.quotas = true; }

  void add_quota(int limit, const std::string& verdict = "'DEFER'",
                 const std::string& type = "MessageCount") {
    admin(
        "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, Data) VALUES "
        "((SELECT max(ID) FROM policies), 'q', 'Sender:user@domain', 3600, " +
        verdict +
        ", 'full');"
        "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES ((SELECT max(ID) FROM "
        "quotas), '" +
        type + "', " + std::to_string(limit) + ")");
  }
  void ask(int count) {
    for (int i = 0; i < count; ++i) answer(rcpt(std::to_string(++asked_)));
  }
  int asked_ = 0;
};

TEST_F(EventsTest, ALimitThatRefusesIsRememberedWithItsFigures) {
  start();
  add_policy();
  add_quota(2);
  ask(2);
  EXPECT_EQ(events(), Lines{});
  ask(1);
  const auto batch = events_.take();
  ASSERT_TRUE(batch);
  const Event event = batch->take_oldest();
  EXPECT_EQ(event.kind, EventKind::refused);
  EXPECT_EQ(event.module, "Quotas");
  EXPECT_EQ(event.row_id, 1);
  EXPECT_EQ(event.track_key, "Sender:alice@example.org");
  EXPECT_EQ(event.verdict, "defer");
  EXPECT_EQ(event.first, kNoon);
  EXPECT_EQ(event.client, "192.0.2.1");
  EXPECT_EQ(event.sender, "alice@example.org");
  EXPECT_EQ(event.recipient, "bob@example.com");
  EXPECT_EQ(event.used, 2);
  EXPECT_EQ(event.limit, 2);
  EXPECT_EQ(event.free_at, kNoon + 1h);
  ask(3);
  EXPECT_EQ(events(), Lines{"refused Quotas 1 Sender:alice@example.org defer x3"});
}

TEST_F(EventsTest, AQuestionAskedAgainIsOneRefusal) {
  start();
  add_policy();
  add_quota(1);
  ask(1);
  for (int i = 0; i < 3; ++i) answer(rcpt("again"));
  EXPECT_EQ(events(), Lines{"refused Quotas 1 Sender:alice@example.org defer"});
}

TEST_F(EventsTest, ALimitWithoutAVerdictIsWatched) {
  start();
  add_policy();
  add_quota(1, "NULL");
  ask(3);
  EXPECT_EQ(events(), Lines{"watched Quotas 1 Sender:alice@example.org none x2"});
}

TEST_F(EventsTest, WhatAPauseLetsThroughIsRememberedAsSuch) {
  start();
  add_policy();
  add_quota(1, "'REJECT'");
  ask(1);
  engine_->set_pause({now_ + 1min});
  ask(2);
  EXPECT_EQ(events(), Lines{"let_through Quotas 1 Sender:alice@example.org reject x2"});
}

TEST_F(EventsTest, ALimitThatIsNearlyUsedUpIsRememberedOnce) {
  events_.set_near_percent(80);
  start();
  add_policy();
  add_quota(10);
  ask(7);
  EXPECT_EQ(events(), Lines{});
  ask(3);
  EXPECT_EQ(events(), Lines{"near Quotas 1 Sender:alice@example.org "});
  ask(1);
  EXPECT_EQ(events(), Lines{"refused Quotas 1 Sender:alice@example.org defer"});
}

TEST_F(EventsTest, ASizeThatIsRefusedAtTheEndIsRemembered) {
  start();
  add_policy();
  add_quota(10, "'DEFER'", "MessageCumulativeSize");
  answer(rcpt("1"));
  answer(end("1", 20 * 1024));
  EXPECT_EQ(events(), Lines{"refused Quotas 1 Sender:alice@example.org defer"});
}

TEST_F(EventsTest, AccountingRemembersWhatItRefusesAndWatches) {
  config_.accounting = true;
  for (const char* verdict : {"'REJECT'", "NULL"}) {
    start();
    add_policy();
    admin(
        "INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod, MessageCountLimit, "
        "Verdict) VALUES (1, 'a', 'Sender:user@domain', 0, 1, " +
        std::string{verdict} + ")");
    ask(3);
    EXPECT_EQ(events(),
              Lines{verdict[0] == 'N' ? "watched Accounting 1 Sender:alice@example.org none x2"
                                      : "refused Accounting 1 Sender:alice@example.org reject x2"});
    engine_.reset();
    store_.reset();
    admin_.reset();
    remove_database(file_);
  }
}

TEST_F(EventsTest, OtherModulesAreRememberedWhereTheyKeepMailAway) {
  config_.access_control = true;
  start();
  add_policy();
  for (const auto& [verdict, data, wanted] : std::vector<std::array<std::string, 3>>{
           {"REJECT", "no", "refused AccessControl 1 Sender:alice@example.org reject"},
           {"HOLD", "no", "refused AccessControl 1 Sender:alice@example.org hold"},
           {"DISCARD", "", "refused AccessControl 1 Sender:alice@example.org discard"},
           {"OK", "", ""},
           {"REDIRECT", "a@example.org", ""},
           {"Nonsense", "", "refused AccessControl 1 Sender:alice@example.org defer"}}) {
    admin(
        "DELETE FROM access_control; INSERT INTO access_control (ID, PolicyID, Name, Verdict, "
        "Data) VALUES (1, 1, 'a', '" +
        verdict + "', '" + data + "')");
    ask(1);
    EXPECT_EQ(events(), wanted.empty() ? Lines{} : Lines{wanted});
  }
}

TEST_F(EventsTest, AnInvalidRowIsNamed) {
  start();
  add_policy();
  add_quota(1, "'WAIT'");
  ask(2);
  const auto batch = events_.take();
  ASSERT_TRUE(batch);
  const Event event = batch->take_oldest();
  EXPECT_TRUE(event.detail.starts_with("quota=1: 'WAIT' is not a valid Verdict")) << event.detail;
}

TEST_F(EventsTest, ABounceIsRememberedByItsClient) {
  config_.access_control = true;
  start();
  add_policy();
  admin("INSERT INTO access_control (PolicyID, Name, Verdict, Data) VALUES (1, 'a', 'REJECT', '')");
  Request bounce = rcpt("1");
  bounce.sender = "";
  answer(bounce);
  EXPECT_EQ(events(), Lines{"refused AccessControl 1 SenderIP:192.0.2.1/32 reject"});
}

}  // namespace
}  // namespace policyd
