// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/all_mail.hpp"

#include <gtest/gtest.h>

#include "daemon/rules/rules_loader.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "schema_sql.hpp"

namespace policyd {
namespace {

const std::vector<std::string> kModules = {"AccessControl", "CheckHelo", "CheckSPF",
                                           "Greylisting",   "Quotas",    "Accounting"};

// What defers all mail in a fresh database with these rows; "" if nothing does.
std::string deferred_by(const std::string& rows,
                        const std::vector<std::string>& modules = kModules) {
  sqlite3* raw = nullptr;
  sqlite3_open(":memory:", &raw);
  const sql::Handle db{raw};
  EXPECT_TRUE(sql::execute_or_explain(raw, sql::with_prefix(kSchemaSql, "")).has_value());
  const auto done = sql::execute_or_explain(raw, rows);
  EXPECT_TRUE(done.has_value()) << rows;
  const auto rules = load_rules(raw, "", std::nullopt);
  if (!rules) return rules.error().message;
  const RowProblem* problem = all_mail_deferred_by(**rules, modules);
  return problem == nullptr ? "" : describe_all_mail(*problem);
}

std::string policy(const char* source) {
  return "INSERT INTO policies (Name, Priority) VALUES ('p', 0);"
         "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (6, '" +
         std::string{source} + "', 'any');";
}

std::string quota(const char* track, const char* last = "0", const char* counter_limit = "1",
                  const char* verdict = "'DEFER'") {
  return "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict, LastQuota) VALUES "
         "((SELECT max(ID) FROM policies), 'q', '" +
         std::string{track} + "', 60, " + verdict + ", " + last +
         ");INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES ((SELECT max(ID) FROM "
         "quotas), 'MessageCount', " +
         counter_limit + ");";
}

std::string member(const char* source, const char* destination = "any") {
  return "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (6, '" +
         std::string{source} + "', '" + destination + "');";
}

TEST(AllMail, IsMatchedByMembersTogether) {
  struct Case {
    const char* one;
    const char* other;  // null: none
    bool all;
  };
  for (const Case& each : {
           Case{"$*", "$-", true},
           Case{"*@*", "@", true},
           Case{"%internal_domains", "!%internal_domains", true},
           Case{"!10.0.0.0/8", "10.0.0.0/8", true},
           Case{"!%nogroup", nullptr, true},
           Case{"!foo bar", nullptr, true},
           Case{"0.0.0.0/0", nullptr, true},
           Case{"$*", "$anna", false},
           Case{"$-", nullptr, false},
           Case{"!%internal_domains", nullptr, false},
           Case{"%internal_domains", "!%internal_ips", false},
           Case{"$*,10.0.0.0/8", "$-", false},
           Case{"300.1.1.1", "!300.1.1.1", false},
           Case{"!$-", "$-", true},
       }) {
    const std::string more = each.other == nullptr ? "" : member(each.other);
    EXPECT_EQ(!deferred_by(policy(each.one) + more + quota("nonsense")).empty(), each.all)
        << each.one;
  }
  const std::string nothing = policy("$-,$*");
  EXPECT_NE(deferred_by(nothing + member("any", "@a.example") + member("any", "!@a.example") +
                        quota("nonsense")),
            "");
  EXPECT_EQ(deferred_by(nothing + member("$*", "@a.example") + member("$-", "!@a.example") +
                        quota("nonsense")),
            "");
}

TEST(AllMail, IsDeferredByARowThatNobodyCanUse) {
  EXPECT_EQ(deferred_by(policy("any") + quota("Policy")), "");
  const std::string text = deferred_by(policy("any") + quota("user@example.tk"));
  EXPECT_EQ(text.find("ALL MAIL IS DEFERRED by quotas 3: 'user@example.tk' is not a valid Track"),
            0U)
      << text;
  EXPECT_NE(deferred_by(policy("any") + quota("Policy", "0", "0")), "");
  EXPECT_NE(deferred_by(policy("any") + quota("Policy", "0", "NULL")), "");
  EXPECT_NE(deferred_by(policy("any") + quota("Policy", "0", "'none'")), "");
  EXPECT_EQ(deferred_by(policy("any") + quota("Policy", "0", "'1,000'")), "");
  EXPECT_EQ(deferred_by(policy("$*") + quota("nonsense")), "");
  EXPECT_EQ(deferred_by(policy("any") + quota("nonsense"), {"Accounting"}), "");
}

TEST(AllMail, GetsTheVerdictOfALimitBelow1) {
  const auto text = [](const char* counter_limit, const char* verdict) {
    return deferred_by(policy("any") + quota("Policy", "0", counter_limit, verdict));
  };
  const std::string why =
      " by quotas_limits 4: CounterLimit 0.5 is less than 1: no mail is within "
      "the limit";
  EXPECT_EQ(text("0.5", "'REJECT'"), "ALL MAIL IS REJECTED" + why);
  EXPECT_EQ(text("0.5", "'hold'"), "ALL MAIL IS HELD" + why);
  EXPECT_EQ(text("0.5", "'WAIT'"), "ALL MAIL IS DEFERRED" + why);
  EXPECT_EQ(text("0.5", "NULL"), "");
  EXPECT_EQ(text("1", "'REJECT'"), "");
  EXPECT_EQ(text("1.5", "'REJECT'"), "");
}

TEST(AllMail, IsNotDeferredByAQuotaBehindTheLast) {
  EXPECT_EQ(deferred_by(policy("any") + quota("Policy", "1") + quota("nonsense")), "");
  EXPECT_NE(deferred_by(policy("any") + quota("nonsense", "1") + quota("Policy")), "");
}

TEST(AllMail, IsDeferredByRowsOfOtherModules) {
  const auto row = [](const char* table, const char* columns, const char* values) {
    return policy("any") + "INSERT INTO " + table + " (PolicyID, Name, " + columns +
           ") VALUES (6, 'r', " + values + ");";
  };
  EXPECT_NE(deferred_by(row("access_control", "Verdict", "'DEFER'")), "");
  EXPECT_NE(deferred_by(row("accounting", "Track, AccountingPeriod", "'x', 0")), "");
  EXPECT_NE(deferred_by(row("accounting", "Track, AccountingPeriod", "'Policy', 9")), "");
  EXPECT_NE(deferred_by(row("greylisting", "Track", "'Sender'")), "");
  EXPECT_EQ(deferred_by(row("greylisting", "Track, UseGreylisting", "'', 0")), "");
  EXPECT_NE(deferred_by(row("checkhelo", "UseHRP", "1")), "");
  EXPECT_EQ(deferred_by(row("checkhelo", "UseHRP, HRPPeriod, HRPLimit", "1, 60, 3")), "");
  EXPECT_NE(deferred_by(row("checkhelo", "RejectIP", "1") +
                        "INSERT INTO checkhelo_whitelist (Source) VALUES ('192.0.2.1');"),
            "");
}

}  // namespace
}  // namespace policyd
