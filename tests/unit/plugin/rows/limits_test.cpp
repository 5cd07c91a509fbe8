// SPDX-License-Identifier: AGPL-3.0-only
// Limits and their rows on real databases, and whom they apply to according to the daemon itself.
#include "plugin/rows/limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "daemon/base/ip_address.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/counting/window.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/sqlite/database.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/rows/replacements.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Limits : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "limits-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    ASSERT_TRUE(policyd::create_database(folder_ / "db"));
    auto opened = policyd::open_database(folder_ / "db", policyd::OpenMode::read_write, {});
    ASSERT_TRUE(opened);
    handle_ = std::move(*opened);
    tables_ = Tables{handle_.get(), {}};
    // What zmcbpolicydinit would write.
    sql("UPDATE policy_group_members SET Member='@own.org' WHERE ID=2;"
        "UPDATE policy_group_members SET Member='@own.com' WHERE ID=3");
  }
  void TearDown() override {
    handle_.reset();
    fs::remove_all(folder_);
  }

  void sql(const std::string& text) const {
    ASSERT_EQ(policyd::sql::execute(tables_.db, text.c_str()), SQLITE_OK)
        << policyd::sql::message_of(tables_.db) << " in " << text;
  }

  // Rows as "a|b|c"; NULL is empty.
  std::vector<std::string> rows(const std::string& query) const {
    auto statement = policyd::sql::Statement::prepare(tables_.db, query);
    EXPECT_TRUE(statement) << query;
    std::vector<std::string> out;
    while (statement && statement->step() == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(statement->get()); ++i) {
        row += (i > 0 ? "|" : "") + std::string{statement->text(i)};
      }
      out.push_back(row);
    }
    return out;
  }

  std::vector<std::string> everything() const {
    std::vector<std::string> out;
    for (const char* table : {"policies", "policy_members", "policy_groups", "policy_group_members",
                              "quotas", "quotas_limits"}) {
      for (const auto& row : rows(std::string{"SELECT * FROM "} + table)) {
        out.push_back(std::string{table} + ": " + row);
      }
    }
    return out;
  }

  // What a command plans; nothing is written.
  template <typename Action>
  PlannedChange planned(Action action) const {
    auto all = read_limits(tables_);
    auto around = read_surroundings(tables_);
    EXPECT_TRUE(all && around);
    LimitPlan plan{std::move(*all), std::move(*around)};
    action(plan);
    auto out = plan.finish();
    EXPECT_TRUE(out) << (out ? "" : out.error().message);
    return out ? std::move(*out) : PlannedChange{};
  }

  void write(const PlannedChange& planned) const {
    ChangeSet changes{tables_, {}};
    EXPECT_TRUE(changes.begin());
    for (const RowChange& row : planned.changes) changes.run(row);
    const auto done = changes.commit();
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    // What the plan says comes true.
    const auto all = read_limits(tables_);
    ASSERT_TRUE(all);
    ASSERT_EQ(all->limits.size(), planned.after.limits.size());
    for (std::size_t i = 0; i < all->limits.size(); ++i) {
      const StoredLimit& is = all->limits[i];
      const StoredLimit& said = planned.after.limits[i];
      EXPECT_EQ(is.id, said.id);
      EXPECT_EQ(is.policy_id, said.policy_id);
      EXPECT_EQ(who_text(is), who_text(said));
      EXPECT_EQ(is.exempt, said.exempt);
      EXPECT_EQ(is.plain_rates(), said.plain_rates());
      EXPECT_EQ(is.enabled(), said.enabled()) << is.id;
    }
  }

  ApplyResult put(const WantedLimit& wanted) const {
    const PlannedChange change = planned([&](LimitPlan& plan) {
      const auto done = plan.put(wanted);
      EXPECT_TRUE(done) << (done ? "" : done.error().message);
    });
    write(change);
    return change.results.front();
  }

  static WantedLimit desired(Direction direction, const char* rates, const Target& target,
                             Per per) {
    WantedLimit wanted;
    wanted.direction = direction;
    wanted.target = target;
    wanted.per = per;
    wanted.rates = *parse_limit(rates);
    wanted.verdict =
        direction == Direction::send ? policyd::Action::defer : policyd::Action::reject;
    return wanted;
  }
  static WantedLimit send(const char* rates, const Target& target = {}, Per per = Per::user) {
    return desired(Direction::send, rates, target, per);
  }

  // "3 send everyone 100/h per user defer on"
  std::vector<std::string> listed() const {
    const auto all = read_limits(tables_);
    EXPECT_TRUE(all);
    std::vector<std::string> out;
    for (const StoredLimit& limit : all->limits) {
      if (limit.policy_id <= 5) continue;  // of a fresh database
      out.push_back(std::to_string(limit.id) + ' ' + direction_text(limit) + ' ' + who_text(limit) +
                    ' ' + format_limit(limit.plain_rates()) + " per " + per_text(limit) + ' ' +
                    verdict_word(limit.verdict) + (limit.enabled() ? " on" : " off"));
    }
    return out;
  }

  // The names of the policies that match a mail in the daemon, without the default
  // ones.
  std::vector<std::string> policies_for(const char* sender, const char* recipient, const char* sasl,
                                        const char* client) const {
    const auto rules = policyd::load_rules(tables_.db, {}, std::nullopt);
    EXPECT_TRUE(rules);
    EXPECT_THAT((*rules)->problems, IsEmpty());
    policyd::Request request;
    request.sender = sender;
    request.recipient = recipient;
    if (sasl != nullptr) request.sasl_username = sasl;
    request.client_address = *policyd::IpAddress::parse(client);
    policyd::Matcher matcher;
    std::vector<std::string> out;
    for (const auto index : matcher.match(*(*rules)->index, request)) {
      const policyd::Policy& policy = (*rules)->policies[index];
      if (policy.id > 5) out.push_back(policy.name);
    }
    return out;
  }

  const Target everyone_{Who::everyone, {}};
  const Target anyone_{Who::anyone, {}};
  const Target domain_{Who::domain, "own.org"};
  const Target user_{Who::user, "alice@own.org"};
  const Target group_{Who::group, "sales"};
  const Target client_{Who::client, "192.0.2.0/24"};

  fs::path folder_;
  policyd::sql::Handle handle_;
  Tables tables_;
};

constexpr const char* kArticle = R"(
INSERT INTO policies (Name,Priority,Description)
  VALUES('Сarbonio CBPolicyD', 0, 'Carbonio CBPolicyD');
INSERT INTO policy_members (PolicyID,Source,Destination) VALUES(6,'any','any');
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Sender:user@domain',
  'Sender:user@domain', 60, 'DEFER', 'Deferring: Too many messages sent in last 60 seconds');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES(3,'MessageCount',10);
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Recipient:@domain',
  'Recipient:@domain', 60, 'REJECT', 'Rejecting: Too many messages received in last 60 seconds');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES(4,'MessageCount',125);
)";

TEST_F(Limits, SendForEveryoneIsOnePolicyWithTwoMembers) {
  const ApplyResult done = put(send("100/h"));
  EXPECT_EQ(done.kind, ApplyResult::Kind::created);
  EXPECT_EQ(done.limit.id, 3);
  EXPECT_THAT(rows("SELECT ID, Name, Priority, Disabled FROM policies WHERE ID > 5"),
              ElementsAre("6|send-everyone-per-user|0|0"));
  EXPECT_THAT(rows("SELECT PolicyID, Source, Destination FROM policy_members WHERE ID > 5"),
              ElementsAre("6|%internal_domains,$*|any", "6|%internal_domains,%internal_ips|any"));
  EXPECT_THAT(
      rows("SELECT PolicyID, Track, Period, Verdict, Data, LastQuota FROM quotas WHERE ID > 2"),
      ElementsAre("6|Sender:user@domain|3600|DEFER|Too many messages sent: the limit is {limit} "
                  "per {period}. "
                  "Please try again in {retry_after}.|0"));
  EXPECT_THAT(rows("SELECT QuotasID, Type, CounterLimit FROM quotas_limits WHERE ID > 3"),
              ElementsAre("3|MessageCount|100"));
}

TEST_F(Limits, DefaultTextsSayTheLimitAndWhenItIsFree) {
  WantedLimit held = send("9M/h", anyone_);
  held.verdict = policyd::Action::hold;
  put(held);
  WantedLimit received = send("9/h", domain_);
  received.direction = Direction::receive;
  received.per = Per::domain;
  received.verdict = policyd::Action::reject;
  put(received);
  EXPECT_THAT(rows("SELECT Data FROM quotas WHERE ID > 2"),
              ElementsAre("Too much mail sent: the limit is {limit} per {period}.",
                          "Too many messages received: the limit is {limit} per {period}. Please "
                          "try again in {retry_after}."));
}

// Of the article's rows, and of earlier versions.
TEST_F(Limits, EarlierDefaultTextsStayWhileTheyAreTrue) {
  sql(kArticle);
  const auto texts = [&] { return rows("SELECT Data FROM quotas WHERE ID > 2"); };
  const std::string sent = "Deferring: Too many messages sent in last 60 seconds";
  const std::string received = "Rejecting: Too many messages received in last 60 seconds";
  EXPECT_EQ(put(send("10/min", anyone_)).kind, ApplyResult::Kind::unchanged);
  EXPECT_THAT(put(send("20/min", anyone_)).differences, ElementsAre("10/min → 20/min"));
  EXPECT_THAT(texts(), ElementsAre(sent, received));
  EXPECT_THAT(put(send("20/h", anyone_)).differences, ElementsAre("20/min → 20/h"));
  EXPECT_THAT(texts(), ElementsAre("Too many messages sent: the limit is {limit} per {period}. "
                                   "Please try again in {retry_after}.",
                                   received));
}

TEST_F(Limits, SeveralPeriodsAreSeveralQuotasOfOnePolicy) {
  put(send("20/min,200/h,50M/h"));
  EXPECT_THAT(rows("SELECT q.PolicyID, q.Period, l.Type, l.CounterLimit FROM quotas q "
                   "JOIN quotas_limits l ON l.QuotasID = q.ID WHERE q.ID > 2"),
              ElementsAre("6|60|MessageCount|20", "6|3600|MessageCount|200",
                          "6|3600|MessageCumulativeSize|51200"));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 20/min,200/h,50M/h per user defer on"));
}

TEST_F(Limits, OtherUnitsAreRowsOfOtherTypes) {
  put(send("50 recipients/message,25M/message,100 messages/h"));
  EXPECT_THAT(rows("SELECT q.PolicyID, q.Period, l.Type, l.CounterLimit FROM quotas q "
                   "JOIN quotas_limits l ON l.QuotasID = q.ID WHERE q.ID > 2"),
              ElementsAre("6|60|RecipientsPerMessage|50", "6|60|SizePerMessage|25600",
                          "6|3600|Messages|100"));
  EXPECT_THAT(rows("SELECT Data FROM quotas WHERE ID > 2"),
              ElementsAre("Too many recipients: the limit is {limit} per {period}.",
                          "Message too large: the limit is {limit}.",
                          "Too many messages sent: the limit is {limit} per {period}. Please try "
                          "again in {retry_after}."));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 50 recipients/message,25M/message,100 "
                                    "messages/h per user defer on"));
  EXPECT_THAT(put(send("50 recipients/message,25M/message,100 messages/h")).differences, IsEmpty());
  write(planned([](LimitPlan& plan) {
    plan.set_rates(3, *parse_limit("20 recipients/message,25M/message"));
  }));
  EXPECT_THAT(listed(),
              ElementsAre("3 send everyone 20 recipients/message,25M/message per user defer on"));
  put(send("100/h"));  // counts something else
  EXPECT_THAT(listed(),
              ElementsAre("3 send everyone 20 recipients/message,25M/message per user defer on",
                          "6 send everyone 100/h per user defer on"));
}

TEST_F(Limits, DistinctRecipientsAreRowsOfTheirType) {
  put(send("200 distinct/day,100/h"));
  EXPECT_THAT(rows("SELECT q.PolicyID, q.Period, l.Type, l.CounterLimit FROM quotas q "
                   "JOIN quotas_limits l ON l.QuotasID = q.ID WHERE q.ID > 2"),
              ElementsAre("6|3600|MessageCount|100", "6|86400|DistinctRecipients|200"));
  EXPECT_THAT(rows("SELECT Data FROM quotas WHERE ID > 3"),
              ElementsAre("Too many different recipients: the limit is {limit} per {period}. "
                          "Please try again in {retry_after}."));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 100/h,200 distinct/day per user defer on"));
  EXPECT_THAT(put(send("200 distinct/day,100/h")).differences, IsEmpty());
}

TEST_F(Limits, VerdictNoneIsNull) {
  WantedLimit wanted = send("100/h");
  wanted.verdict.reset();
  put(wanted);
  EXPECT_THAT(rows("SELECT Verdict IS NULL, Data IS NULL FROM quotas WHERE ID > 2"),
              ElementsAre("1|1"));
  EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::unchanged);
}

// Every kind of limit, one after the other in one database: each is recognised as what it is, a
// second time changes nothing, and none is taken for another.
TEST_F(Limits, EveryKindIsRecognisedAndRepeatingChangesNothing) {
  std::vector<WantedLimit> all;
  for (const Direction direction : {Direction::send, Direction::receive}) {
    std::vector<Target> targets = {everyone_, anyone_, domain_, user_, group_, client_};
    Target login{Who::login, "carl@own.org"};
    if (direction == Direction::send) targets.push_back(login);
    for (const Target& target : std::vector<Target>{targets}) {
      if (target.who == Who::client) continue;
      targets.push_back(target);
      targets.back().from = {"10.0.0.0/8", "192.0.2.9"};
      const bool whole = target.who == Who::anyone || target.who == Who::everyone;
      if (whole) continue;
      targets.push_back(target);
      targets.back().from = {"192.0.2.9"};
    }
    for (const Target& target : targets) {
      for (const Per per : {Per::user, Per::domain, Per::client, Per::account, Per::everyone}) {
        if (!track_of(direction, per)) continue;
        all.push_back(desired(direction, "10/min,30M/day", target, per));
      }
    }
  }
  ASSERT_EQ(all.size(), 141U);
  sql("INSERT INTO policy_groups (Name) VALUES ('sales')");
  for (const WantedLimit& wanted : all) {
    EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::created) << describe(wanted);
  }
  EXPECT_EQ(listed().size(), all.size());
  const auto before = everything();
  for (const WantedLimit& wanted : all) {
    const ApplyResult again = put(wanted);
    EXPECT_EQ(again.kind, ApplyResult::Kind::unchanged) << describe(wanted);
    EXPECT_EQ(again.limit.what.target, wanted.target) << describe(wanted);
    EXPECT_EQ(again.limit.what.direction, wanted.direction) << describe(wanted);
    EXPECT_EQ(again.limit.what.per, wanted.per) << describe(wanted);
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(Limits, DifferentFigureChangesTheLimitAndKeepsItsCounters) {
  put(send("20/min,200/h"));
  const ApplyResult changed = put(send("30/min,200/h"));
  EXPECT_EQ(changed.kind, ApplyResult::Kind::changed);
  EXPECT_THAT(changed.differences, ElementsAre("20/min,200/h → 30/min,200/h"));
  EXPECT_THAT(rows("SELECT ID, CounterLimit FROM quotas_limits WHERE ID > 3"),
              ElementsAre("4|30", "5|200"));
}

TEST_F(Limits, DifferentPeriodReusesTheRow) {
  put(send("100/h"));
  const ApplyResult changed = put(send("1000/day"));
  EXPECT_EQ(changed.limit.id, 3);
  EXPECT_THAT(changed.differences, ElementsAre("100/h → 1000/day"));
  EXPECT_THAT(rows("SELECT ID, Period, Data FROM quotas WHERE ID > 2"),
              ElementsAre("3|86400|Too many messages sent: the limit is {limit} per {period}. "
                          "Please try again in {retry_after}."));
}

TEST_F(Limits, PeriodsComeAndGo) {
  put(send("100/h"));
  put(send("20/min,100/h,1000/day"));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 20/min,100/h,1000/day per user defer on"));
  put(send("100/h"));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 100/h per user defer on"));
  EXPECT_THAT(rows("SELECT ID, QuotasID FROM quotas_limits WHERE ID > 3"), ElementsAre("4|3"));
}

TEST_F(Limits, DifferentUnitGetsNewCounters) {
  put(send("100/h"));
  write(planned([](LimitPlan& plan) { plan.set_rates(3, *parse_limit("50M/h")); }));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 50M/h per user defer on"));
  EXPECT_THAT(rows("SELECT ID, QuotasID, Type FROM quotas_limits WHERE ID > 3"),
              ElementsAre("5|3|MessageCumulativeSize"));
}

TEST_F(Limits, VerdictMessageAndNameChange) {
  put(send("100/h"));
  WantedLimit wanted = send("100/h");
  wanted.verdict = policyd::Action::reject;
  wanted.message = "It's {used} of {limit}; DROP TABLE quotas";
  wanted.name = "Sales team";
  const ApplyResult changed = put(wanted);
  EXPECT_THAT(changed.differences,
              ElementsAre("verdict defer → reject",
                          "message \"Too many messages sent: the limit is {limit} per {period}. "
                          "Please try again in {retry_after}.\" → "
                          "\"It's {used} of {limit}; DROP TABLE quotas\"",
                          "name send-everyone-per-user → Sales team"));
  EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::unchanged);
  // The command says all of the limit, but its name stays.
  EXPECT_EQ(put(send("100/h")).limit.policy_name, "Sales team");
}

TEST_F(Limits, SwitchedOffByHandIsSwitchedOn) {
  put(send("100/h"));
  for (const char* off :
       {"UPDATE policies SET Disabled=1 WHERE ID=6", "UPDATE quotas SET Disabled=1 WHERE ID=3",
        "UPDATE policy_members SET Disabled=1 WHERE PolicyID=6",
        "UPDATE quotas_limits SET Disabled=1 WHERE ID=4"}) {
    sql(off);
    EXPECT_THAT(listed(), ElementsAre("3 send everyone 100/h per user defer off")) << off;
    EXPECT_THAT(put(send("100/h")).differences, ElementsAre("off → on")) << off;
    EXPECT_THAT(listed(), ElementsAre("3 send everyone 100/h per user defer on")) << off;
  }
}

TEST_F(Limits, ArticlesRowsAreTwoLimitsAndChangedInPlace) {
  sql(kArticle);
  EXPECT_THAT(listed(), ElementsAre("3 send anyone 10/min per user defer on",
                                    "4 receive anyone 125/min per domain reject on"));
  EXPECT_EQ(put(send("10/min", anyone_)).kind, ApplyResult::Kind::unchanged);
  const WantedLimit receive = desired(Direction::receive, "125/min", anyone_, Per::domain);
  EXPECT_EQ(put(receive).kind, ApplyResult::Kind::unchanged);
  put(send("20/min", anyone_));
  EXPECT_THAT(listed(), ElementsAre("3 send anyone 20/min per user defer on",
                                    "4 receive anyone 125/min per domain reject on"));
  EXPECT_THAT(rows("SELECT count(*) FROM policies"), ElementsAre("6"));
}

TEST_F(Limits, SeveralSuchLimitsAreNotGuessedAt) {
  sql(kArticle);
  sql("INSERT INTO policies (Name,Priority) VALUES ('again',0);"
      "INSERT INTO policy_members (PolicyID) VALUES (7);"
      "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict) "
      "VALUES (7,'x','sender:USER@domain',60,'defer');"
      "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (5,'messagecount',1)");
  const PlannedChange change = planned([&](LimitPlan& plan) {
    const auto done = plan.put(send("20/min", anyone_));
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().message, HasSubstr("IDs 3 and 5"));
  });
  EXPECT_THAT(change.changes, IsEmpty());
}

TEST_F(Limits, LimitWithOtherMembersIsNotRecognised) {
  sql("INSERT INTO policies (Name,Priority) VALUES ('hand',0);"
      "INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (6,'@own.org','@x.org');"
      "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict) "
      "VALUES (6,'q','Sender:user@domain',60,'DEFER');"
      "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',1)");
  put(send("20/min", domain_));
  EXPECT_THAT(listed(), ElementsAre("3 send @own.org to @x.org 1/min per sender defer on",
                                    "4 send own.org 20/min per user defer on"));
}

TEST_F(Limits, InvalidRowsDoNotStopReading) {
  sql("INSERT INTO policies (Name,Priority) VALUES (x'ff',0);"
      "INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (6,'',','),(6,x'00ff','!');"
      "INSERT INTO quotas (PolicyID,Name,Track,Period) VALUES (6,'a','Nonsense:xx',60),"
      "(6,'b','Policy',NULL),(6,'c','Policy','soon'),(6,'d','Policy',60),(99,'e','Policy',60),"
      "(NULL,'f','Policy',60);"
      "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',1),"
      "(4,'MessageCount',1),(5,'MessageCount',1),(6,'Other',1),(6,NULL,NULL),(6,'MessageCount',-"
      "1)");
  const auto all = read_limits(tables_);
  ASSERT_TRUE(all);
  EXPECT_THAT(all->unreadable, ElementsAre(4, 5, 6));
  EXPECT_EQ(listed().size(), 1U);
}

TEST_F(Limits, SpecificLimitReplacesTheGeneralOneForItsTarget) {
  put(send("100/h"));
  const ApplyResult domain = put(send("200/h", domain_));
  EXPECT_THAT(
      domain.consequences,
      ElementsAre("limit 3 (100/h for everyone) no longer applies to own.org; limit 4 does"));
  put(send("5000/day", user_));
  EXPECT_THAT(listed(), ElementsAre("3 send everyone, 2 with own limit 100/h per user defer on",
                                    "4 send own.org, 1 with own limit 200/h per user defer on",
                                    "5 send alice@own.org 5000/day per user defer on"));
  const auto policies_of = [&](const char* sender) {
    return policies_for(sender, "x@far.net", sender, "192.0.2.1");
  };
  EXPECT_THAT(policies_of("alice@own.org"), ElementsAre("send-alice@own.org-per-user"));
  EXPECT_THAT(policies_of("bob@own.org"), ElementsAre("send-own.org-per-user"));
  EXPECT_THAT(policies_of("carol@own.com"), ElementsAre("send-everyone-per-user"));
  EXPECT_THAT(policies_of("dave@far.net"), IsEmpty());
}

TEST_F(Limits, LimitsThatCountOtherUnitsReplaceEachOtherNoLonger) {
  put(send("100/h"));
  put(send("5000/day", user_));
  const auto set = [&](std::int64_t id, const char* rates) {
    write(planned([&](LimitPlan& plan) { plan.set_rates(id, *parse_limit(rates)); }));
  };
  set(3, "50M/h");
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 50M/h per user defer on",
                                    "4 send alice@own.org 5000/day per user defer on"));
  set(4, "1G/day");
  EXPECT_THAT(listed(), ElementsAre("3 send everyone, 1 with own limit 50M/h per user defer on",
                                    "4 send alice@own.org 1G/day per user defer on"));
  set(4, "5000/day");
  EXPECT_THAT(listed(), ElementsAre("3 send everyone 50M/h per user defer on",
                                    "4 send alice@own.org 5000/day per user defer on"));
}

TEST_F(Limits, OrderOfCreationDoesNotMatter) {
  put(send("5000/day", user_));
  put(send("100/h"));
  put(send("200/h", domain_));
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", "alice", "192.0.2.1"),
              ElementsAre("send-alice@own.org-per-user"));
  EXPECT_THAT(policies_for("bob@own.org", "x@far.net", "bob", "192.0.2.1"),
              ElementsAre("send-own.org-per-user"));
}

TEST_F(Limits, OthersAddUp) {
  put(send("100/h"));
  put(send("10000/day", domain_, Per::domain));
  put(desired(Direction::receive, "60/min", domain_, Per::user));
  EXPECT_THAT(policies_for("alice@own.org", "bob@own.org", "alice", "192.0.2.1"),
              UnorderedElementsAre("send-everyone-per-user", "send-own.org-per-domain",
                                   "receive-own.org-per-user"));
  EXPECT_THAT(rows("SELECT count(*) FROM policy_groups"), ElementsAre("2"));
}

TEST_F(Limits, MailFromOutsideDoesNotUseUpALimitForSending) {
  put(send("100/h"));
  put(send("10/h", user_, Per::account));
  EXPECT_THAT(policies_for("alice@own.org", "bob@own.org", nullptr, "192.0.2.1"), IsEmpty());
  EXPECT_THAT(policies_for("bob@own.org", "bob@own.org", nullptr, "10.1.2.3"),
              ElementsAre("send-everyone-per-user"));
  EXPECT_THAT(policies_for("alice@own.org", "bob@own.org", "alice", "192.0.2.1"),
              ElementsAre("send-everyone-per-user", "send-alice@own.org-per-account"));
}

TEST_F(Limits, AccountsIncludeWebMail) {
  put(send("10/h", anyone_, Per::account));
  EXPECT_THAT(rows("SELECT Track FROM quotas WHERE ID > 2"),
              ElementsAre("Sender:user@domain per account"));
  const auto matches = [&](const char* sender, const char* sasl, const char* client) {
    return !policies_for(sender, "x@far.net", sasl, client).empty();
  };
  EXPECT_TRUE(matches("alice@own.org", "alice", "192.0.2.1"));
  EXPECT_TRUE(matches("forged@far.net", "alice", "192.0.2.1"));
  EXPECT_TRUE(matches("alice@own.org", nullptr, "10.1.2.3"));   // web mail
  EXPECT_FALSE(matches("alice@far.net", nullptr, "10.1.2.3"));  // a relay's
  EXPECT_FALSE(matches("alice@own.org", nullptr, "192.0.2.1"));
}

TEST_F(Limits, OldLimitsPerAccountCountLoginsOnly) {
  sql("INSERT INTO policies (Name,Priority) VALUES ('send-anyone-per-account',0);"
      "INSERT INTO policy_members (PolicyID,Source,Destination) VALUES (6,'$*','any');"
      "INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'send per account',"
      "'SASLUsername',3600,'DEFER','Deferring: Too many messages sent in last hour');"
      "INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',50)");
  EXPECT_THAT(listed(), ElementsAre("3 send anyone 50/h per login defer on"));
  EXPECT_EQ(put(send("50/h", anyone_, Per::login)).kind, ApplyResult::Kind::unchanged);
  put(send("5/h", user_, Per::login));
  // The command without it takes the same limit, with its counters.
  const ApplyResult changed = put(send("60/h", anyone_, Per::account));
  EXPECT_THAT(changed.differences, ElementsAre("50/h → 60/h", "per login → account"));
  EXPECT_EQ(put(send("60/h", anyone_, Per::account)).kind, ApplyResult::Kind::unchanged);
  EXPECT_THAT(rows("SELECT ID, QuotasID FROM quotas_limits WHERE QuotasID = 3"),
              ElementsAre("4|3"));
  EXPECT_THAT(policies_for("bob@own.org", "x@far.net", nullptr, "10.1.2.3"),
              ElementsAre("send-anyone-per-account"));
  put(send("60/h", anyone_, Per::login));
  EXPECT_THAT(policies_for("bob@own.org", "x@far.net", nullptr, "10.1.2.3"), IsEmpty());
}

TEST_F(Limits, LoginsAreLimitedWhateverTheSender) {
  put(send("100/h", anyone_, Per::account));
  put(send("1/day", Target{Who::login, "carl@own.org"}, Per::account));
  const auto policies_of = [&](const char* sender, const char* sasl, const char* client) {
    return policies_for(sender, "x@far.net", sasl, client);
  };
  EXPECT_THAT(policies_of("any@far.net", "carl@own.org", "192.0.2.1"),
              ElementsAre("send-login-carl@own.org-per-account"));
  EXPECT_THAT(policies_of("carl@own.org", "bob@own.org", "192.0.2.1"),
              ElementsAre("send-anyone-per-account"));
  EXPECT_THAT(policies_of("carl@own.org", nullptr, "10.1.2.3"),
              ElementsAre("send-login-carl@own.org-per-account"));
  EXPECT_THAT(policies_of("bob@own.org", nullptr, "10.1.2.3"),
              ElementsAre("send-anyone-per-account"));
}

TEST_F(Limits, AnExemptAccountIsItsLoginAndItsWebMail) {
  const Target login{Who::login, "alice@own.org"};
  for (const Target& exempt : {user_, login}) {
    WantedLimit wanted = send("2/h", everyone_, Per::account);
    wanted.except = {exempt, Target{Who::login, "carl"}, Target{Who::domain, "own.com"}};
    put(wanted);
    EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::unchanged);
    EXPECT_THAT(listed(), ElementsAre("3 send everyone, 3 exempt 2/h per account defer on"));
    EXPECT_THAT(rows("SELECT Source FROM policy_members WHERE PolicyID = 6"),
                ElementsAre("%internal_domains,$*,!%send-everyone-per-account-except",
                            "%internal_domains,$-,%internal_ips,!%send-everyone-per-account-except,"
                            "!alice@own.org"));
    EXPECT_THAT(rows("SELECT Member FROM policy_group_members WHERE PolicyGroupID = 3"),
                UnorderedElementsAre("$alice@own.org", "$carl", "@own.com"));
    const auto is_limited = [&](const char* sender, const char* sasl, const char* client) {
      return !policies_for(sender, "x@far.net", sasl, client).empty();
    };
    EXPECT_TRUE(is_limited("alice@own.org", "mallory@own.org", "192.0.2.1"));
    EXPECT_FALSE(is_limited("bob@own.org", "alice@own.org", "192.0.2.1"));
    EXPECT_FALSE(is_limited("alice@own.org", nullptr, "10.1.2.3"));
    EXPECT_TRUE(is_limited("bob@own.org", nullptr, "10.1.2.3"));
    EXPECT_FALSE(is_limited("bob@own.org", "carl", "192.0.2.1"));
  }
  put(send("2/h", everyone_, Per::account));
  EXPECT_THAT(rows("SELECT Source FROM policy_members WHERE PolicyID = 6"),
              ElementsAre("%internal_domains,$*", "%internal_domains,$-,%internal_ips"));
  // Where web mail does not count there is only the login.
  WantedLimit logins = send("2/h", anyone_, Per::login);
  logins.except = {user_};
  put(logins);
  EXPECT_TRUE(policies_for("bob@far.net", "x@far.net", "alice@own.org", "192.0.2.1").empty());
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", "bob", "192.0.2.1"),
              testing::Contains("send-anyone-per-login"));
}

TEST_F(Limits, AccountsExceptedByEarlierVersionsAreExceptedAsAWhole) {
  WantedLimit wanted = send("2/h", everyone_, Per::account);
  wanted.except = {user_};
  put(wanted);
  put(send("50/h", Target{Who::login, "carl@own.org"}, Per::account));
  const auto now = everything();
  // As those wrote it.
  const auto make_old = [&] {
    sql("UPDATE policy_members SET Source = replace(replace(Source, ',!alice@own.org', ''), "
        "',!carl@own.org', '');"
        "UPDATE policy_group_members SET Member = 'alice@own.org' WHERE Member = '$alice@own.org'");
    EXPECT_THAT(listed(),
                ElementsAre("3 send everyone, 1 exempt, 1 with own limit 2/h per account defer on",
                            "4 send login carl@own.org 50/h per account defer on"));
  };
  make_old();
  // The account's own limit, given again.
  const ApplyResult special = put(send("50/h", Target{Who::login, "carl@own.org"}, Per::account));
  EXPECT_EQ(special.kind, ApplyResult::Kind::changed);
  EXPECT_THAT(special.consequences,
              ElementsAre(HasSubstr("no longer applies to login carl@own.org; limit 4 does")));
  EXPECT_THAT(policies_for("carl@own.org", "x@far.net", nullptr, "10.1.2.3"),
              ElementsAre("send-login-carl@own.org-per-account"));
  make_old();
  EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::changed);
  EXPECT_EQ(put(wanted).kind, ApplyResult::Kind::unchanged);
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", "mallory", "192.0.2.1"),
              ElementsAre("send-everyone-per-account"));
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", nullptr, "10.1.2.3"), IsEmpty());
  EXPECT_EQ(everything().size(), now.size());
}

TEST_F(Limits, SendersExceptedByHandAreKept) {
  WantedLimit wanted = send("2/h", everyone_, Per::account);
  wanted.except = {user_};
  put(wanted);
  sql("UPDATE policy_members SET Source = Source || ',!bob@own.org' WHERE Source LIKE '%$-%'");
  EXPECT_THAT(listed(), ElementsAre(HasSubstr("!bob@own.org")));
  put(send("50/h", Target{Who::login, "carl@own.org"}, Per::account));
  EXPECT_THAT(rows("SELECT Source FROM policy_members WHERE PolicyID = 6 AND Source LIKE '%$-%'"),
              ElementsAre(HasSubstr(",!alice@own.org,!bob@own.org")));
}

TEST_F(Limits, FromIsACondition) {
  Target news{Who::user, "news@own.org"};
  news.from = {"192.0.2.10", "2001:db8::/32"};
  put(send("100/h"));
  put(send("5/h", news));
  const auto count = [&](const char* sender, const char* sasl, const char* client) {
    const auto policies = policies_for(sender, "x@far.net", sasl, client);
    return std::count_if(policies.begin(), policies.end(), [](const std::string& name) {
      return name.find("news") != std::string::npos;
    });
  };
  EXPECT_EQ(count("news@own.org", nullptr, "192.0.2.10"), 1);
  EXPECT_EQ(count("news@own.org", "news", "2001:db8::5"), 1);
  EXPECT_EQ(count("news@own.org", "news", "192.0.2.11"), 0);
  EXPECT_EQ(count("other@own.org", "news", "192.0.2.10"), 0);
  // It replaces nothing: elsewhere the general limit would be missing.
  EXPECT_THAT(policies_for("news@own.org", "x@far.net", "news", "192.0.2.11"),
              ElementsAre("send-everyone-per-user"));
}

// What each_pair finds is what covers() says of every two limits.
TEST_F(Limits, PairsAreThoseThatCoverEachOther) {
  std::vector<StoredLimit> limits;
  const auto add = [&](Direction direction, const Target& target) {
    StoredLimit limit;
    limit.what = Recognised{direction, Per::user, target, std::nullopt, {}};
    limits.push_back(limit);
  };
  for (const Direction direction : {Direction::send, Direction::receive}) {
    for (const char* network : {"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.1",
                                "2001:db8::/32", "2001:db8::1/128", "::/0"}) {
      add(direction, {Who::client, network});
    }
    for (const Target& target :
         {everyone_, anyone_, domain_, user_, group_, Target{Who::domain, "other.org"},
          Target{Who::user, "x@other.org"}, Target{Who::login, "carl@own.org"},
          Target{Who::login, "carl"}, Target{Who::group, "staff"}}) {
      add(direction, target);
      Target wide = target;
      wide.from_anywhere = true;
      add(direction, wide);
      Target conditional = target;
      conditional.from = {"10.1.2.3"};
      add(direction, conditional);
    }
  }
  std::vector<const StoredLimit*> pointers;
  for (const StoredLimit& limit : limits) pointers.push_back(&limit);
  std::set<std::pair<std::size_t, std::size_t>> found;
  each_pair(pointers, [&](std::size_t general, std::size_t special) {
    EXPECT_TRUE(found.emplace(general, special).second) << general << ' ' << special;
  });
  for (std::size_t general = 0; general < limits.size(); ++general) {
    for (std::size_t special = 0; special < limits.size(); ++special) {
      const Recognised& a = limits[general].what;
      const Recognised& b = limits[special].what;
      const bool expected = a.direction == b.direction && a.target->from == b.target->from &&
                            covers(*a.direction, *a.target, *b.target);
      EXPECT_EQ(found.contains({general, special}), expected)
          << name_of(*a.target) << " and " << name_of(*b.target);
    }
  }
}

TEST_F(Limits, NamedSendersFromAnywhereReplaceAnyone) {
  put(send("20/10min", anyone_));
  Target user = user_;
  user.from_anywhere = true;
  Target domain = domain_;
  domain.from_anywhere = true;
  put(send("500/h", domain));
  const ApplyResult created = put(send("200/10min", user));
  EXPECT_EQ(describe(send("200/10min", user)),
            "alice@own.org from anywhere may send 200 messages in 10 minutes; more is deferred");
  EXPECT_EQ(put(send("200/10min", user)).kind, ApplyResult::Kind::unchanged);
  EXPECT_EQ(created.limit.what.target, user);
  for (const char* client : {"192.0.2.1", "2001:db8::1"}) {
    const auto policies_of = [&](const char* sender) {
      return policies_for(sender, "x@far.net", nullptr, client);
    };
    EXPECT_THAT(policies_of("alice@own.org"),
                ElementsAre("send-alice@own.org-from-anywhere-per-user"));
    EXPECT_THAT(policies_of("bob@own.org"), ElementsAre("send-own.org-from-anywhere-per-user"));
    EXPECT_THAT(policies_of("x@far.net"), ElementsAre("send-anyone-per-user"));
  }
}

TEST_F(Limits, ForgeryGapIsReported) {
  const auto note = [&](const ApplyResult& put) {
    return forgery_gap_note(*read_limits(tables_), put.limit.id, false);
  };
  EXPECT_EQ(note(put(send("20/10min", anyone_))), "");
  const ApplyResult user = put(send("200/10min", user_));
  EXPECT_THAT(note(user),
              HasSubstr("limit 3 also counts mail from outside, but limit 4, which replaces it for "
                        "alice@own.org, does not"));
  EXPECT_THAT(note(user), HasSubstr("'carbonio-limits send 200/10min --user alice@own.org --anyone "
                                    "&& carbonio-limits remove 4'"));
  EXPECT_EQ(note(put(send("5/h", user_, Per::account))), "");
  EXPECT_EQ(note(put(send("5/h", client_))), "");
  Target wide = user_;
  wide.from_anywhere = true;
  EXPECT_EQ(note(put(send("200/10min", wide))), "");
  EXPECT_EQ(note(user), "");
  // The one that goes leaves the other's exception.
  write(planned([&](LimitPlan& plan) { plan.remove(user.limit.id); }));
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", nullptr, "198.51.100.1"),
              ElementsAre("send-alice@own.org-from-anywhere-per-user"));
}

TEST_F(Limits, SharedPolicyOfTheArticleIsSplitForAnException) {
  sql(kArticle);
  put(send("5000/day", user_));
  EXPECT_THAT(listed(), ElementsAre("3 send anyone, 1 with own limit 10/min per user defer on",
                                    "4 receive anyone 125/min per domain reject on",
                                    "5 send alice@own.org 5000/day per user defer on"));
  // The receiving limit still applies to mail that Alice sends.
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", "alice", "192.0.2.1"),
              UnorderedElementsAre("Сarbonio CBPolicyD", "send-alice@own.org-per-user"));
  EXPECT_THAT(policies_for("x@far.net", "bob@own.org", nullptr, "192.0.2.1"),
              UnorderedElementsAre("Сarbonio CBPolicyD", "send-anyone-per-user"));
  EXPECT_THAT(rows("SELECT Name FROM policy_groups WHERE ID > 2"),
              ElementsAre("send-anyone-per-user-except"));
  const auto before = everything();
  EXPECT_EQ(put(send("5000/day", user_)).kind, ApplyResult::Kind::unchanged);
  EXPECT_EQ(everything(), before);
}

TEST_F(Limits, ExceptGroupDeletedByHandIsRecreated) {
  put(send("100/h"));
  put(send("5000/day", user_));
  sql("DELETE FROM policy_group_members WHERE PolicyGroupID=3; DELETE FROM policy_groups WHERE "
      "ID=3");
  EXPECT_EQ(put(send("5000/day", user_)).kind, ApplyResult::Kind::changed);
  EXPECT_THAT(policies_for("alice@own.org", "x@far.net", "alice", "192.0.2.1"),
              ElementsAre("send-alice@own.org-per-user"));
  sql("UPDATE policy_groups SET Disabled=1 WHERE ID > 2");
  EXPECT_EQ(put(send("5000/day", user_)).kind, ApplyResult::Kind::changed);
  EXPECT_EQ(put(send("5000/day", user_)).kind, ApplyResult::Kind::unchanged);
}

TEST_F(Limits, PlanningChangesNothing) {
  const auto before = everything();
  planned([&](LimitPlan& plan) { ASSERT_TRUE(plan.put(send("100/h"))); });
  EXPECT_EQ(everything(), before);
}

TEST_F(Limits, AFailureInTheMiddleChangesNothing) {
  sql("CREATE TRIGGER stop BEFORE INSERT ON quotas_limits BEGIN SELECT RAISE(ABORT,'no'); END");
  const auto before = everything();
  const PlannedChange change =
      planned([&](LimitPlan& plan) { ASSERT_TRUE(plan.put(send("100/h"))); });
  {
    ChangeSet changes{tables_, {}};
    ASSERT_TRUE(changes.begin());
    for (const RowChange& row : change.changes) changes.run(row);
    EXPECT_FALSE(changes.commit());
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(Limits, PrintedStatementsCreateTheSameRows) {
  sql(kArticle);
  std::vector<WantedLimit> all;
  for (const Target& target : {everyone_, domain_, user_}) {
    all.push_back(send("20/min,5M/h", target));
    all.back().message = "It's \"too much\", \\ -- ; ?1 :a";
  }
  const PlannedChange change = planned([&](LimitPlan& plan) {
    for (const WantedLimit& wanted : all) ASSERT_TRUE(plan.put(wanted));
  });
  const auto texts = typed(tables_, change.changes);
  ASSERT_TRUE(texts);
  std::string statements;
  for (const std::string& statement : *texts) statements += statement + '\n';
  const auto before = everything();
  write(change);
  const auto put_rows = everything();
  handle_.reset();
  fs::remove(folder_ / "db");
  SetUp();
  sql(kArticle);
  ASSERT_EQ(everything(), before);
  sql(statements);
  EXPECT_EQ(everything(), put_rows);
}

TEST_F(Limits, ExampleGroupsAreReported) {
  const auto notes = [&](const WantedLimit& wanted) {
    return example_groups(tables_, wanted, true);
  };
  EXPECT_THAT(notes(send("1/h")), ElementsAre(HasSubstr("internal_ips still contains only")));
  EXPECT_THAT(notes(send("1/h", anyone_)), IsEmpty());
  EXPECT_THAT(notes(send("1/h", everyone_, Per::login)), IsEmpty());
  sql("DELETE FROM policy_group_members");
  EXPECT_THAT(notes(send("1/h")), ElementsAre(HasSubstr("internal_domains is empty"),
                                              HasSubstr("internal_ips is empty")));
}

TEST(Target, DomainsAndAddressesAreChecked) {
  const std::string label63(63, 'a');
  for (const std::string& good :
       {std::string{"example.org"}, std::string{"@Example.ORG"}, std::string{"localhost"},
        std::string{"xn--bcher-kva.example"}, std::string{"a_b.c1"}, label63 + ".org",
        // 255 characters
        label63 + "." + label63 + "." + label63 + "." + label63}) {
    EXPECT_TRUE(parse_domain(good)) << good;
  }
  for (const std::string& bad : {std::string{},
                                 std::string{"@"},
                                 std::string{"a..b"},
                                 std::string{".a"},
                                 std::string{"a.."},
                                 std::string{"a b"},
                                 std::string{"a,b"},
                                 std::string{"*"},
                                 std::string{"*.org"},
                                 std::string{"%internal_domains"},
                                 std::string{"!a.org"},
                                 std::string{"a\nb"},
                                 std::string{"a\0b", 3},
                                 std::string{"a'b"},
                                 std::string{"a\"b"},
                                 std::string{"a;b"},
                                 std::string{"@@a"},
                                 std::string{"a@b"},
                                 std::string{"-a"},
                                 std::string{"a-"},
                                 std::string{"bü cher.example"},
                                 std::string{"bü*.example"},
                                 std::string{"a\xff"},
                                 std::string{"192.0.2.1"},
                                 std::string{"@192.0.2.1"},
                                 std::string{"10"},
                                 std::string{"all"},
                                 std::string{"Any"},
                                 std::string{"everyone"},
                                 label63 + "a",
                                 label63 + "." + label63 + "." + label63 + "." + label63 + "a",
                                 std::string(300, 'a')}) {
    EXPECT_FALSE(parse_domain(bad)) << bad;
  }
  for (const std::string& good :
       {std::string{"alice@example.org"}, std::string{"Bob+Tag@Example.Org"},
        std::string{"o'brien@example.org"}, std::string{"a/b=c@x"},
        std::string(316, 'a') + "@a.b"}) {
    EXPECT_TRUE(parse_user(good)) << good;
  }
  for (const std::string& bad : {std::string{},
                                 std::string{"@"},
                                 std::string{"a"},
                                 std::string{"@example.org"},
                                 std::string{"a@"},
                                 std::string{"a b@x"},
                                 std::string{"a,b@x"},
                                 std::string{"*@x"},
                                 std::string{"a%b@x"},
                                 std::string{"!a@x"},
                                 std::string{"$a@x"},
                                 std::string{"\"a\"@x"},
                                 std::string{"a@b@x"},
                                 std::string{"a@x\n"},
                                 std::string{"a\x01@x"},
                                 std::string{"a\\@x"},
                                 std::string{"\xe4@x"},
                                 std::string{"a@192.0.2.1"},
                                 std::string{"a\u202e@x"},
                                 std::string(317, 'a') + "@a.b"}) {
    EXPECT_FALSE(parse_user(bad)) << bad;
  }
  EXPECT_EQ(parse_user("Alice@Example.ORG")->name, "alice@example.org");
  EXPECT_EQ(parse_user("BÜCHER@Bücher.example")->name, "bücher@xn--bcher-kva.example");
  EXPECT_EQ(parse_domain("BÜCHER.example")->name, "xn--bcher-kva.example");
  EXPECT_EQ(parse_domain("@Example.ORG")->name, "example.org");
  EXPECT_EQ(parse_domain("Example.ORG.")->name, "example.org");
  EXPECT_EQ(parse_user("Alice@Example.ORG.")->name, "alice@example.org");
}

// ---- usage

class Usage : public Limits {
 protected:
  static constexpr policyd::TimePoint kNow{policyd::Millis{1'700'000'000'000}};
  static constexpr double kNowS = 1'700'000'000.0;

  void count(std::int64_t limit_id, const std::string& key, double last_update_s,
             double counter) const {
    auto insert = policyd::sql::Statement::prepare(
        tables_.db,
        "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) "
        "VALUES (?, ?, ?, ?)");
    ASSERT_TRUE(insert);
    ASSERT_EQ(insert->bind(1, limit_id).bind(2, key).bind(3, last_update_s).bind(4, counter).run(),
              SQLITE_DONE);
  }

  // "Sender:a@b 10 of 10, in 20 s"
  std::vector<std::string> used(const char* filter = nullptr, bool decay = false,
                                std::size_t max = 1000) const {
    const auto all = read_limits(tables_);
    EXPECT_TRUE(all);
    UsageQuery query;
    query.now = kNow;
    query.decay = decay;
    query.max = max;
    if (filter != nullptr) query.filter.emplace(filter);
    const auto usage = read_usage(tables_, all->limits, query);
    EXPECT_TRUE(usage) << (usage ? "" : usage.error().message);
    std::vector<std::string> out;
    for (const Use& use : usage->uses) {
      out.push_back(use.key + ' ' + std::to_string(use.used) + " of " +
                    std::to_string(use.rate.amount) + ", " + wait_text(use.next_free, kNow));
    }
    return out;
  }
};

TEST_F(Usage, TakenOverRowsCountAsOneArrival) {
  put(send("10/min"));
  count(4, "Sender:full@own.org", kNowS - 40, 10);
  count(4, "Sender:half@own.org", kNowS - 59.5, 4.2);
  count(4, "Sender:gone@own.org", kNowS - 60, 10);
  count(4, "Sender:ahead@own.org", kNowS + 1000, 3);
  count(4, "Sender:nothing@own.org", kNowS, 0);
  count(99, "Sender:orphan@own.org", kNowS, 7);
  EXPECT_THAT(used(),
              ElementsAre("Sender:full@own.org 10 of 10, in 20 s",
                          "Sender:half@own.org 5 of 10, now", "Sender:ahead@own.org 3 of 10, now"));
}

TEST_F(Usage, StateTellsWhenEachExpires) {
  put(send("10/min"));
  policyd::Window window;
  const auto at = [&](int ago_s, std::uint64_t units) {
    const auto when = kNow - std::chrono::seconds{ago_s};
    window.advance(when, std::chrono::minutes{1});
    window.add(when, std::chrono::minutes{1}, units);
  };
  at(50, 2);
  at(10, 8);
  std::string state;
  window.serialize(state, 10, kNowS - 10);
  count(4, "Sender:a@own.org", kNowS - 10, 10);
  auto update =
      policyd::sql::Statement::prepare(tables_.db, "UPDATE quotas_tracking SET State = ?");
  ASSERT_TRUE(update);
  ASSERT_EQ(update->bind_blob(1, state).run(), SQLITE_DONE);
  EXPECT_THAT(used(), ElementsAre("Sender:a@own.org 10 of 10, in 10 s"));
  // Edited by hand: State is dropped.
  sql("UPDATE quotas_tracking SET Counter = 12");
  EXPECT_THAT(used(), ElementsAre("Sender:a@own.org 12 of 10, in 50 s"));
}

TEST_F(Usage, DatabaseOfThePerlDaemonHasNoState) {
  put(send("10/min"));
  count(4, "Sender:a@own.org", kNowS - 30, 6);
  sql("ALTER TABLE quotas_tracking DROP COLUMN State");
  EXPECT_THAT(used(), ElementsAre("Sender:a@own.org 6 of 10, now"));
  EXPECT_THAT(used(nullptr, true), ElementsAre("Sender:a@own.org 3 of 10, now"));
}

TEST_F(Usage, FilterShowsTheCountersOfAnAddress) {
  put(send("10/min"));
  for (const char* key :
       {"Sender:alice@own.org", "Sender:bob@own.org", "Sender:@own.org", "Recipient:alice@own.org",
        "SASLUsername:alice@own.org", "SASLUsername:alice", "SenderIP:192.0.2.1/32",
        "SenderIP:10.0.0.0/8", "Policy", "Sender:xalice@own.org", "Sender:@xown.org"}) {
    count(4, key, kNowS, 1);
  }
  EXPECT_THAT(
      used("Alice@own.org"),
      ElementsAre("Recipient:alice@own.org 1 of 10, now", "SASLUsername:alice@own.org 1 of 10, now",
                  "Sender:@own.org 1 of 10, now", "Sender:alice@own.org 1 of 10, now"));
  EXPECT_EQ(used("own.org").size(), 6U);
  EXPECT_EQ(used("@own.org").size(), 6U);
  EXPECT_THAT(used("alice"), ElementsAre("SASLUsername:alice 1 of 10, now"));
  EXPECT_THAT(used("10.1.2.3"), ElementsAre("SenderIP:10.0.0.0/8 1 of 10, now"));
  EXPECT_THAT(used("192.0.2.1"), ElementsAre("SenderIP:192.0.2.1/32 1 of 10, now"));
  EXPECT_THAT(used("nobody@nowhere.net"), IsEmpty());
}

TEST_F(Usage, CountersFromBeforeAnExceptionAreNotShown) {
  put(send("10/min"));
  put(send("20/min", user_));
  count(4, "Sender:alice@own.org", kNowS, 9);
  count(4, "Sender:bob@own.org", kNowS, 8);
  count(5, "Sender:alice@own.org", kNowS, 7);
  EXPECT_THAT(used(),
              ElementsAre("Sender:bob@own.org 8 of 10, now", "Sender:alice@own.org 7 of 20, now"));
  put(send("30/min", domain_));
  EXPECT_THAT(used(), ElementsAre("Sender:alice@own.org 7 of 20, now"));
}

TEST_F(Usage, LimitsSwitchedOffAreNotShown) {
  put(send("10/min"));
  count(4, "Sender:a@own.org", kNowS, 1);
  sql("UPDATE quotas SET Disabled=1 WHERE ID=3");
  EXPECT_THAT(used(), IsEmpty());
}

TEST(WaitText, HasAtMostTwoUnits) {
  const policyd::TimePoint now{std::chrono::hours{1}};
  const auto in = [&](policyd::Millis wait) { return wait_text(now + wait, now); };
  using std::chrono::seconds;
  EXPECT_EQ(wait_text(std::nullopt, now), "now");
  EXPECT_EQ(in(seconds{0}), "now");
  EXPECT_EQ(in(policyd::Millis{1}), "in 1 s");
  EXPECT_EQ(in(seconds{59}), "in 59 s");
  EXPECT_EQ(in(seconds{60}), "in 1 min");
  EXPECT_EQ(in(seconds{61}), "in 1 min 1 s");
  EXPECT_EQ(in(seconds{3 * 3600 + 5 * 60}), "in 3 h 5 min");
  EXPECT_EQ(in(seconds{2 * 86'400}), "in 2 d");
}

}  // namespace
}  // namespace limits
