// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/ip_address.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/session/session_row.hpp"
#include "tests/unit/daemon/engine/asker.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

Rules two_priorities() {
  Rules rules;
  for (const auto& [id, priority] : {std::pair{1, 0}, {6, 0}, {7, 10}, {9, -2}}) {
    rules.policy_by_id.emplace(id, static_cast<std::uint32_t>(rules.policies.size()));
    Policy& policy = rules.policies.emplace_back();
    policy.id = id;
    policy.priority = priority;
  }
  return rules;
}

SessionRow row_of(std::string recipient_data) {
  SessionRow row;
  row.instance = "1.2.3";
  row.client_address = "192.0.2.1";
  row.sender = "alice@example.org";
  row.recipient_data = std::move(recipient_data);
  return row;
}

TEST(RecipientData, NamesThePoliciesByPriority) {
  const Rules rules = two_priorities();
  Session session;
  session.add_recipient("a@x", std::vector<std::int64_t>{9, 1, 6, 7}, {});
  session.add_recipient("b@x", {}, {Action::defer, nullptr});
  session.add_recipient("c@x", std::vector<std::int64_t>{7, 99}, {});
  EXPECT_EQ(recipient_data(session, rules, Which::all),
            "/<a@x>#-2=9;0=1,6;10=7;/<b@x>#/<c@x>#10=7;");
  EXPECT_EQ(recipient_data(session, rules, Which::accepted), "/<a@x>#-2=9;0=1,6;10=7;/<c@x>#10=7;");
}

TEST(RecipientData, IsBounded) {
  const Rules rules = two_priorities();
  Session session;
  const std::string name(100'000, 'a');
  for (int i = 0; i < 20; ++i) {
    session.add_recipient(name + "@x", std::vector<std::int64_t>{1}, {});
  }
  const std::string data = recipient_data(session, rules, Which::all);
  EXPECT_LE(data.size(), kMaxRecipientData);
  EXPECT_TRUE(resume(row_of(data)));
}

TEST(TakenOver, ReadsWhatIsWritten) {
  const auto session = resume(row_of("/<a@x>#10=7;0=6,1;/<b@x>#/<a/b@x>#-2=9/<a@x>#0=1;"));
  ASSERT_TRUE(session);
  ASSERT_EQ(session->recipients(), 3U) << "a recipient named twice is one";
  const auto policies = [&session](std::size_t number) {
    const auto ids = session->recipient(number).policies;
    return std::vector<std::int64_t>(ids.begin(), ids.end());
  };
  EXPECT_EQ(policies(0), (std::vector<std::int64_t>{1, 6, 7}));
  EXPECT_TRUE(policies(1).empty());
  EXPECT_EQ(session->recipient(2).address, "a/b@x");
  EXPECT_EQ(policies(2), std::vector<std::int64_t>{9});
  EXPECT_EQ(session->first_request().sender, "alice@example.org");
}

TEST(TakenOver, RefusesWhatIsWrittenOtherwise) {
  for (const char* data :
       {"x", "/", "/<a@x>", "/<a@x>0=1;", "/<a@x>#0=1;x", "/<a@x>#0=;", "/<a@x>#0", "/<a@x>#0=1,;",
        "/<a@x>#=1;", "/<a@x>#0=99999999999999999999;"}) {
    EXPECT_FALSE(resume(row_of(data))) << data;
  }
  EXPECT_FALSE(resume(row_of(std::string(kMaxRecipientData + 1, '/'))));
  SessionRow row = row_of("/<a@x>#0=1;");
  row.client_address = "elsewhere";
  EXPECT_FALSE(resume(row));
  row = row_of("/<a@x>#0=1;");
  row.queue_id = "4F1A";
  EXPECT_FALSE(resume(row)) << "that message ended";
}

TEST(TakenOver, IsBoundedInRecipients) {
  std::string data;
  for (std::size_t i = 0; i <= kMaxResumedRecipients; ++i)
    data += "/<" + std::to_string(i) + "@x>#";
  EXPECT_FALSE(resume(row_of(data)));
}

class SessionTrackingTest : public StoreTest {
 protected:
  void start() {
    make_database();
    admin(
        "UPDATE quotas_limits SET Type = 'MessageCumulativeSize', CounterLimit = 1000 WHERE ID = "
        "4");
    start_daemon();
  }

  void start_daemon() {
    engine_.reset();
    open_store();
    config_.quotas = true;
    engine_ = std::make_unique<Engine>(loop_, *store_, *log_, config_);
  }

  static Request rcpt(std::string_view recipient, std::string_view instance = "1.1") {
    Request request = policyd::rcpt(instance, recipient);
    request.client_address = *IpAddress::parse("2001:db8::1");
    request.sasl_username = "alice";
    request.helo_name = "client.example.net";
    request.sasl_method = "PLAIN";
    return request;
  }

  static Request end(std::string_view instance = "1.1") {
    Request request = rcpt("", instance);
    request.state = ProtocolState::end_of_message;
    request.size_bytes = 10 * 1024 + 1;
    request.queue_id = "4F1A2B3C";
    request.sasl_method = "";
    request.protocol_name = "ESMTP";
    return request;
  }

  Action ask(const Request& request) {
    auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    loop_.run_posted();
    return asker->answers == 1 ? asker->received.action : Action::reject;
  }

  std::string counter() {
    return ask_admin("SELECT Counter FROM quotas_tracking WHERE QuotasLimitsID=4");
  }
  std::string rows() { return ask_admin("SELECT count(*) FROM session_tracking"); }
  std::string row(const std::string& columns) {
    return ask_admin("SELECT " + columns + " FROM session_tracking WHERE Instance='1.1'");
  }
  // As the Perl daemon leaves it at RCPT.
  void perl_row(const std::string& recipient_data, const std::string& queue_id = "''") {
    admin(
        "INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, ClientAddress, Sender, "
        "Size,"
        " RecipientData) VALUES ('1.1', " +
        queue_id +
        ", strftime('%s','now'), '192.0.2.1',"
        " 'alice@example.org', 3, '" +
        recipient_data + "')");
  }

  Config config_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(SessionTrackingTest, HasARowForAMessageThatEnds) {
  start();
  ask(rcpt("bob@example.com"));
  ask(rcpt("carol@example.com"));
  EXPECT_EQ(rows(), "0");
  ask(end());
  EXPECT_EQ(row("QueueID||' '||ClientAddress||' '||SASLUsername||' '||Helo||' '||Sender||' "
                "'||Size||' '||Protocol||' '||SASLMethod"),
            "4F1A2B3C 2001:db8::1 alice client.example.net alice@example.org 11 ESMTP PLAIN");
  EXPECT_EQ(row("RecipientData"), "/<bob@example.com>#0=1,6;/<carol@example.com>#0=1,6;");
  EXPECT_EQ(row("typeof(UnixTimestamp) || typeof(Size)"), "integerinteger");
  ask(end());  // asked again
  EXPECT_EQ(rows(), "1");
}

TEST_F(SessionTrackingTest, HasNoneWithoutQuotasAndAccounting) {
  start();
  config_.quotas = false;
  config_.greylisting = true;
  engine_->configure(config_);
  ask(rcpt("bob@example.com"));
  ask(end());
  EXPECT_EQ(rows(), "0");
}

TEST_F(SessionTrackingTest, StopsNoMailWhereARowCannotBeWritten) {
  start();
  admin("CREATE TRIGGER no BEFORE INSERT ON session_tracking BEGIN SELECT RAISE(ABORT, 'no'); END");
  ask(rcpt("bob@example.com"));
  EXPECT_EQ(ask(end()), Action::dunno);
  EXPECT_EQ(counter(), "11");
  EXPECT_EQ(store_->trouble(), "");
}

TEST_F(SessionTrackingTest, TakesOverAMessageThatThePerlDaemonBegan) {
  start();
  perl_row("/<bob@example.com>#0=6,1;/<carol@example.com>#0=1,6;");
  EXPECT_EQ(ask(end()), Action::dunno);
  EXPECT_EQ(counter(), "11");
  EXPECT_EQ(row("QueueID"), "4F1A2B3C");
  EXPECT_EQ(row("RecipientData"), "/<bob@example.com>#0=1,6;/<carol@example.com>#0=1,6;");
  EXPECT_EQ(rows(), "1");
}

TEST_F(SessionTrackingTest, CountsAMessageThatEndedOnceHoweverItIsAskedAgain) {
  start();
  perl_row("/<bob@example.com>#0=6;", "'ABCD'");
  EXPECT_EQ(ask(end()), Action::dunno);
  EXPECT_EQ(counter(), "(no row)");
  EXPECT_EQ(row("Size"), "3");
}

TEST_F(SessionTrackingTest, TellsAMessageThatEndedWithoutAQueueId) {
  start();
  ask(rcpt("bob@example.com"));
  Request request = end();
  request.queue_id = "";
  ask(request);
  admin("DELETE FROM limits_counted");
  start_daemon();
  ask(request);
  EXPECT_EQ(counter(), "11");
}

TEST_F(SessionTrackingTest, CountsNothingOfARowThatMakesNoSense) {
  start();
  perl_row("nonsense");
  EXPECT_EQ(ask(end()), Action::dunno);
  EXPECT_EQ(counter(), "(no row)");
}

// A message that took hours, whose end was asked about last, stands in front of newer ones.
TEST_F(SessionTrackingTest, KeepsOpenMessagesAfterAnOldOneThatJustEnded) {
  start();
  TimePoint now = kNoon;
  engine_ = std::make_unique<Engine>(loop_, *store_, *log_, config_, [&now] { return now; });
  ask(rcpt("carol@example.com", "2.2"));
  now += std::chrono::hours{2};
  ask(rcpt("bob@example.com"));
  ask(end("2.2"));
  engine_->save_open_sessions();
  EXPECT_EQ(row("QueueID||RecipientData"), "/<bob@example.com>#0=1,6;");
}

TEST_F(SessionTrackingTest, KeepsMessagesUnderWayAcrossARestart) {
  start();
  ask(rcpt("bob@example.com"));
  ask(rcpt("carol@example.com", "2.2"));
  ask(end("2.2"));
  ask(rcpt("", "3.3"));
  engine_->save_open_sessions();
  EXPECT_EQ(row("QueueID||RecipientData"), "/<bob@example.com>#0=1,6;");
  start_daemon();
  ask(rcpt("dave@example.com"));
  EXPECT_EQ(ask(end()), Action::dunno);
  EXPECT_EQ(counter(), "22");
  EXPECT_EQ(row("RecipientData"), "/<bob@example.com>#0=1,6;/<dave@example.com>#0=1,6;");
  start_daemon();
  ask(end());
  EXPECT_EQ(counter(), "22");
}

}  // namespace
}  // namespace policyd
