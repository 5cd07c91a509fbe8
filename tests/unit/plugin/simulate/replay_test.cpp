// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/replay.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/simulate/rules_copy.hpp"
#include "schema_sql.hpp"

namespace limits {
namespace {

ReplayRules one_an_hour() {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
  const policyd::sql::Handle handle{db};
  EXPECT_TRUE(policyd::sql::execute_or_explain(
      db, policyd::sql::with_prefix(policyd::kSchemaSql, {}) +
              "UPDATE policy_group_members SET Member = '@own.org' WHERE ID = 2"));
  auto copy = RulesCopy::of({db, {}});
  EXPECT_TRUE(copy);
  auto plan = copy->plan();
  EXPECT_TRUE(plan);
  WantedLimit limit;
  limit.direction = Direction::receive;
  limit.per = Per::user;
  limit.target = {Who::everyone, {}};
  limit.rates = {{Unit::messages, 1, std::chrono::hours{1}}};
  limit.verdict = policyd::Action::defer;
  EXPECT_TRUE(plan->put(limit));
  EXPECT_TRUE(copy->run(plan->finish().value().changes));
  auto rules = copy->rules();
  EXPECT_TRUE(rules);
  return *rules;
}

TEST(Replay, IsGivenUpBetweenLaterTriesToo) {
  Mails mails;
  for (int number = 0; number < 200; ++number) {
    LoggedMail mail;
    mail.time = policyd::TimePoint{std::chrono::hours{500'000}};
    mail.sender = mails.names.number_of("eve@elsewhere.net");
    mail.client = mails.names.number_of("203.0.113.9");
    mail.complete = true;
    mails.add_recipient(mail, mails.names.number_of("anna@own.org"));
    mails.all.push_back(mail);
  }
  const auto tries = [&](int progress) {
    const Replay played = replay(mails, one_an_hour(), policyd::Config{}, {},
                                 [&](std::uint64_t) { return progress-- > 0; });
    return std::accumulate(played.hits.begin(), played.hits.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Hit& hit) { return sum + hit.tries; });
  };
  const std::uint64_t all = tries(1'000);
  EXPECT_GT(all, 10'000U);
  EXPECT_LT(tries(2), all);
}

}  // namespace
}  // namespace limits
