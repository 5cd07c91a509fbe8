// SPDX-License-Identifier: AGPL-3.0-only
// CheckHelo, and the engine's way of waiting for the DNS, with lookups that the test answers.
#include "daemon/modules/check_helo.hpp"

#include <deque>
#include <numeric>

#include "daemon/base/ip_address.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/engine/engine.hpp"
#include "tests/unit/daemon/engine/asker.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class FakeLookups final : public LookupService {
 public:
  struct Asked {
    LookupQuestion question;
    Done done;
  };
  void look_up(LookupQuestion question, Done done) override {
    asked.push_back({std::move(question), std::move(done)});
  }
  void answer(Lookups found) {
    Asked first = std::move(asked.front());
    asked.pop_front();
    first.done(std::move(found));
  }
  std::deque<Asked> asked;
};

constexpr char kRow[] =
    "INSERT INTO checkhelo (PolicyID, Name, RejectInvalid, RejectUnresolvable) VALUES (6, 'h', 1, "
    "1);"
    "UPDATE quotas_limits SET CounterLimit = 1000;";

class CheckHeloTest : public StoreTest {
 protected:
  void start(const std::string& sql) {
    make_database();
    admin(sql);
    open_store();
    config_.check_helo = true;
    config_.quotas = true;
    engine_ = std::make_unique<Engine>(
        loop_, *store_, *log_, config_, [this] { return now_; }, &lookups_);
  }

  static Request rcpt(std::string_view instance, std::string_view helo,
                      std::string_view address = "192.0.2.1") {
    Request request = policyd::rcpt(instance);
    request.helo_name = helo;
    request.client_address = *IpAddress::parse(address);
    return request;
  }

  std::shared_ptr<Asker> ask(const Request& request) {
    auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    loop_.run_posted();
    return asker;
  }

  std::string answer_to(std::string_view helo, std::string_view address = "192.0.2.1") {
    instances_.push_back(std::to_string(instances_.size()));
    const auto asker = ask(rcpt(instances_.back(), helo, address));
    EXPECT_EQ(asker->answers, 1);
    return std::string{name_of(asker->received.action)} + " " + asker->received.text;
  }

  void find(HeloFound found) {
    lookups_.answer({found, {}});
    loop_.run_posted();
  }

  std::string counted() {
    return ask_admin("SELECT coalesce(sum(Counter), 0) FROM quotas_tracking");
  }

  Config config_;
  TimePoint now_ = kNoon;
  FakeLookups lookups_;
  std::unique_ptr<Engine> engine_;
  std::deque<std::string> instances_;
};

TEST(HeloForm, DistinguishesNamesFromAddresses) {
  struct Row {
    const char* helo;
    HeloForm form;
  };
  for (const Row& row : {Row{"192.0.2.1", HeloForm::address},
                         Row{"300.1.1.1", HeloForm::address},
                         Row{"2001:db8::1", HeloForm::address},
                         Row{"::1", HeloForm::address},
                         Row{"[192.0.2.1]", HeloForm::literal},
                         Row{"[2001:db8::1]", HeloForm::literal},
                         Row{"[IPv6:2001:db8::1]", HeloForm::literal},
                         Row{"[ipv6:::1]", HeloForm::literal},
                         Row{"[IPv6:192.0.2.1]", HeloForm::invalid},
                         Row{"[]", HeloForm::invalid},
                         Row{"[192.0.2.1", HeloForm::invalid},
                         Row{"[mail.example]", HeloForm::invalid},
                         Row{"mail.example", HeloForm::name},
                         Row{"-a_.b", HeloForm::name},
                         Row{"1.2.3", HeloForm::name},
                         Row{"1234.1.1.1", HeloForm::name},
                         Row{"bad", HeloForm::invalid},
                         Row{"a..b", HeloForm::invalid},
                         Row{"a.", HeloForm::invalid},
                         Row{".a", HeloForm::invalid},
                         Row{"host name.x", HeloForm::invalid},
                         Row{"a\xc3\xa9.b", HeloForm::invalid},
                         Row{"[", HeloForm::invalid},
                         Row{":", HeloForm::invalid}}) {
    EXPECT_EQ(helo_form(row.helo), row.form) << row.helo;
  }
}

TEST_F(CheckHeloTest, WaitsForTheDnsWithoutDelayingOthers) {
  start(kRow);
  const auto waiting = ask(rcpt("1.1", "mail.example"));
  EXPECT_EQ(waiting->answers, 0);
  ASSERT_EQ(lookups_.asked.size(), 1U);
  EXPECT_EQ(lookups_.asked.front().question.helo_name, "mail.example");
  EXPECT_EQ(ask(rcpt("1.2", "[192.0.2.1]"))->answers, 1);
  EXPECT_EQ(counted(), "1") << "what waits is counted already";
  EXPECT_FALSE(engine_->idle());
  find(HeloFound::address);
  EXPECT_EQ(waiting->answers, 1);
  EXPECT_EQ(waiting->received.action, Action::dunno);
  EXPECT_EQ(counted(), "2");
  EXPECT_TRUE(engine_->idle());
}

TEST_F(CheckHeloTest, TimesTheWaitForTheDnsToo) {
  start(kRow);
  const auto waiting = ask(rcpt("1.1", "mail.example"));
  const auto repeated = ask(rcpt("1.1", "mail.example"));
  EXPECT_EQ(engine_->statistics().times, DecisionTimes{});
  constexpr Millis kWait{3};
  const auto until = std::chrono::steady_clock::now() + kWait;
  while (std::chrono::steady_clock::now() < until) continue;
  find(HeloFound::address);
  const DecisionTimes waited = engine_->statistics().times;
  EXPECT_GE(waited.sum, 2 * kWait);
  EXPECT_EQ(std::accumulate(waited.requests.begin(), waited.requests.end(), std::uint64_t{0}), 2);
}

TEST_F(CheckHeloTest, AnswersARepeatedQuestionLikeTheFirst) {
  start(kRow);
  const auto first = ask(rcpt("1.1", "mail.example"));
  const auto second = ask(rcpt("1.1", "mail.example"));
  EXPECT_EQ(lookups_.asked.size(), 1U);
  lookups_.answer({HeloFound::no_such_domain, {}});
  const auto third = ask(rcpt("1.1", "mail.example"));  // in the batch that decides the first
  for (const auto& asker : {first, second, third}) {
    EXPECT_EQ(asker->answers, 1);
    EXPECT_EQ(asker->received.action, Action::reject);
  }
  EXPECT_TRUE(lookups_.asked.empty());
  EXPECT_EQ(ask(rcpt("1.1", "mail.example"))->received.action, Action::reject);
  EXPECT_TRUE(lookups_.asked.empty());
}

TEST_F(CheckHeloTest, LooksUpOnceForARepeatInTheSameBatch) {
  start(kRow);
  auto first = std::make_shared<Asker>(rcpt("1.1", "mail.example"));
  auto second = std::make_shared<Asker>(rcpt("1.1", "mail.example"));
  engine_->ask(first);
  engine_->ask(second);
  loop_.run_posted();
  EXPECT_EQ(lookups_.asked.size(), 1U);
  find(HeloFound::address);
  EXPECT_EQ(first->answers + second->answers, 2);
  EXPECT_EQ(counted(), "1");
}

TEST_F(CheckHeloTest, AnswersAccordingToTheDns) {
  struct Row {
    HeloFound found;
    const char* answer;
  };
  start(kRow);
  for (const Row& row :
       {Row{HeloFound::address, ""},
        Row{HeloFound::other_records, "Invalid HELO/EHLO; No A or MX records found for 'm.x'"},
        Row{HeloFound::no_such_domain, "Invalid HELO/EHLO; Cannot resolve 'm.x', no such domain"},
        Row{HeloFound::no_records, "Invalid HELO/EHLO; Cannot resolve 'm.x', no records found"},
        Row{HeloFound::server_failure,
            "Invalid HELO/EHLO; Failure while trying to resolve 'm.x'"}}) {
    instances_.push_back("2." + std::to_string(instances_.size()));
    const auto asker = ask(rcpt(instances_.back(), "m.x"));
    find(row.found);
    EXPECT_EQ(asker->received.action, *row.answer == '\0' ? Action::dunno : Action::reject);
    EXPECT_EQ(asker->received.text, row.answer);
  }
  const auto asker = ask(rcpt("3.1", "m.x"));
  find(HeloFound::no_answer);
  EXPECT_EQ(asker->received.action, Action::defer);
}

TEST_F(CheckHeloTest, PassesIfTheLookupWasSkipped) {
  start(kRow);
  const auto asker = ask(rcpt("1.1", "mail.example"));
  lookups_.answer({});
  loop_.run_posted();
  EXPECT_EQ(asker->answers, 1);
  EXPECT_EQ(asker->received.action, Action::dunno);
}

TEST_F(CheckHeloTest, DropsAnAnswerAfterItsDestruction) {
  start(kRow);
  ask(rcpt("1.1", "mail.example"));
  engine_.reset();
  find(HeloFound::address);
}

TEST_F(CheckHeloTest, AnswersWaitingQuestionsWhenTheModulesAreDisabled) {
  start(kRow);
  const auto first = ask(rcpt("1.1", "mail.example"));
  const auto second = ask(rcpt("1.1", "mail.example"));
  engine_->configure({});
  find(HeloFound::no_such_domain);
  EXPECT_EQ(first->received.action, Action::dunno);
  EXPECT_EQ(first->answers + second->answers, 2);
  EXPECT_TRUE(engine_->idle());
}

TEST_F(CheckHeloTest, DoesNotLookUpForTheWhitelisted) {
  start(std::string{kRow} +
        "INSERT INTO checkhelo_whitelist (Source) VALUES ('SenderIP:192.0.2.0/24');");
  EXPECT_EQ(answer_to("mail.example"), "dunno ");
  EXPECT_TRUE(lookups_.asked.empty());
}

TEST_F(CheckHeloTest, DefersForAnInvalidWhitelistRow) {
  start(std::string{kRow} +
        "INSERT INTO checkhelo_whitelist (Source) VALUES ('SenderIP:nonsense'), "
        "('SenderIP:10.0.0.0/8'), ('oops');");
  EXPECT_EQ(answer_to("[192.0.2.1]", "10.0.0.1"), "dunno ");  // found before the row
  EXPECT_EQ(answer_to("[192.0.2.1]"), "defer ");
  admin("DELETE FROM checkhelo_whitelist WHERE Source = 'oops'");
  EXPECT_EQ(answer_to("[192.0.2.1]"), "dunno ");
}

TEST_F(CheckHeloTest, RecordsNamesWithAddressAndTime) {
  start("INSERT INTO checkhelo (PolicyID, Name) VALUES (6, 'h')");
  answer_to("one.example", "2001:db8::1");
  answer_to("");
  now_ += std::chrono::milliseconds{61'500};
  answer_to("one.example", "2001:db8::1");
  EXPECT_EQ(
      ask_admin("SELECT group_concat(Address || ' ' || Helo || ' ' || (LastUpdate - 1795348800))"
                " FROM checkhelo_tracking"),
      "2001:db8::1 one.example 61");
}

TEST_F(CheckHeloTest, RefusesABlacklistedNameForItsPeriod) {
  start(
      "INSERT INTO checkhelo (PolicyID, Name, UseBlacklist, BlacklistPeriod) VALUES (6, 'h', 1, "
      "60)");
  EXPECT_EQ(answer_to("LOCALHOST"), "dunno ");
  EXPECT_EQ(answer_to("localhost"), "reject Invalid HELO/EHLO; Blacklisted");
  EXPECT_EQ(answer_to("mail.example"), "reject Invalid HELO/EHLO; Blacklisted");
  EXPECT_EQ(answer_to("mail.example", "192.0.2.2"), "dunno ");
  now_ += std::chrono::seconds{60};
  EXPECT_EQ(answer_to("mail.example"), "reject Invalid HELO/EHLO; Blacklisted");
  now_ += std::chrono::seconds{1};
  EXPECT_EQ(answer_to("mail.example"), "dunno ");
  admin("UPDATE checkhelo SET BlacklistPeriod = 0");
  EXPECT_EQ(answer_to("mail.example"), "reject Invalid HELO/EHLO; Blacklisted");
  admin("UPDATE checkhelo_blacklist SET Disabled = 1");
  EXPECT_EQ(answer_to("mail.example"), "dunno ");
}

TEST_F(CheckHeloTest, RefusesTooManyNamesWithinThePeriod) {
  start(
      "INSERT INTO checkhelo (PolicyID, Name, UseHRP, HRPPeriod, HRPLimit) VALUES (6, 'h', 1, 60, "
      "2)");
  EXPECT_EQ(answer_to("a.x"), "dunno ");
  EXPECT_EQ(answer_to("b.x"), "dunno ");
  EXPECT_EQ(answer_to("b.x"), "dunno ");
  EXPECT_EQ(answer_to("c.x"), "reject Invalid HELO/EHLO; HRP limit exceeded");
  EXPECT_EQ(answer_to("c.x", "192.0.2.2"), "dunno ");
  now_ += std::chrono::seconds{60};
  EXPECT_EQ(answer_to("a.x"), "reject Invalid HELO/EHLO; HRP limit exceeded");
  now_ += std::chrono::seconds{1};
  EXPECT_EQ(answer_to("a.x"), "dunno ");
}

TEST_F(CheckHeloTest, DefersForHrpWithoutPeriodOrLimit) {
  start("INSERT INTO checkhelo (PolicyID, Name, UseHRP) VALUES (6, 'h', 1)");
  EXPECT_EQ(answer_to("a.x"), "defer ");
  admin("UPDATE checkhelo SET HRPPeriod = 60");
  EXPECT_EQ(answer_to("a.x"), "defer ");
  admin("UPDATE checkhelo SET HRPLimit = 0");
  EXPECT_EQ(answer_to("a.x"), "defer ");
  admin("UPDATE checkhelo SET HRPLimit = 9223372036854775807, HRPPeriod = 9223372036854775807");
  EXPECT_EQ(answer_to("a.x"), "dunno ");
}

TEST_F(CheckHeloTest, ChecksOnlyTheNameWhileTheDatabaseIsUnavailable) {
  start(std::string{kRow} + "UPDATE checkhelo SET UseBlacklist = 1");
  EXPECT_EQ(answer_to("[127.0.0.1]"), "reject Invalid HELO/EHLO; Blacklisted");
  admin("BEGIN IMMEDIATE");
  EXPECT_EQ(answer_to("[127.0.0.1]"), "dunno ");
  EXPECT_EQ(answer_to("bad"),
            "reject Invalid HELO/EHLO; Must be a FQDN or an address literal, not 'bad'");
  admin("ROLLBACK");
}

TEST_F(CheckHeloTest, WorksWithoutItsTable) {
  start(kRow);
  admin("DROP TABLE checkhelo_tracking");
  EXPECT_EQ(answer_to("[192.0.2.1]"), "dunno ");
  EXPECT_EQ(counted(), "1");
}

}  // namespace
}  // namespace policyd
