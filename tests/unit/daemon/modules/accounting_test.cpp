// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/accounting.hpp"

#include <stdlib.h>
#include <time.h>

#include <optional>

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {
namespace {

constexpr std::chrono::hours kDay{24};

class TimeZone {
 public:
  explicit TimeZone(const char* name) {
    if (const char* before = ::getenv("TZ")) before_ = before;
    set(name);
  }
  ~TimeZone() { set(before_ ? before_->c_str() : nullptr); }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  static void set(const char* name) {
    if (name != nullptr) {
      ::setenv("TZ", name, 1);
    } else {
      ::unsetenv("TZ");
    }
    ::tzset();
  }
  std::optional<std::string> before_;
};

TEST(PeriodKey, NamesDayWeekAndMonth) {
  using Period = AccountingRow::Period;
  const TimeZone zone{"UTC0"};
  struct Row {
    const char* name;
    TimePoint time;
    const char* day;
    const char* week;
    const char* month;
  };
  const TimePoint new_year = kNoon + 40 * kDay;
  for (const Row& row :
       {Row{"Sunday", kNoon, "2026-11-22", "2026/47", "2026-11"},
        Row{"Monday", kNoon + kDay, "2026-11-23", "2026/48", "2026-11"},
        Row{"last millisecond of a day", kNoon + std::chrono::hours{12} - Millis{1}, "2026-11-22",
            "2026/47", "2026-11"},
        // CBPolicyD puts the calendar year in front of the week of the ISO year.
        Row{"New Year in last year's week", new_year, "2027-01-01", "2027/53", "2027-01"},
        Row{"before 1970", TimePoint{Millis{-1}}, "1969-12-31", "1969/01", "1969-12"}}) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(period_key(Period::day, row.time), row.day);
    EXPECT_EQ(period_key(Period::week, row.time), row.week);
    EXPECT_EQ(period_key(Period::month, row.time), row.month);
    EXPECT_EQ(period_key(Period::invalid, row.time), "");
  }
}

TEST(PeriodKey, UsesLocalTime) {
  const TimeZone zone{"XXX-13"};  // 13 hours east of Greenwich
  EXPECT_EQ(period_key(AccountingRow::Period::day, kNoon), "2026-11-23");
}

class AccountingTest : public EngineFixture {
 protected:
  AccountingTest() { config_.accounting = true; }

  // For the policy made last. `columns` as in "Verdict='REJECT', MessageCountLimit=2".
  void add_row(const std::string& columns = "") {
    admin(
        "INSERT INTO accounting (PolicyID, Name, Track, AccountingPeriod) VALUES "
        "((SELECT max(ID) FROM policies), 'a', 'Sender:user@domain', 0);");
    if (!columns.empty()) {
      admin("UPDATE accounting SET " + columns + " WHERE ID = (SELECT max(ID) FROM accounting)");
    }
  }

  // "messages/KiB" of the row and its period, or of its only one.
  std::string used(int id = 1, const std::string& period_key = "%") {
    return ask_admin(
        "SELECT MessageCount || '/' || MessageCumulativeSize FROM accounting_tracking"
        " WHERE AccountingID = " +
        std::to_string(id) + " AND PeriodKey LIKE '" + period_key + "'");
  }

  const TimeZone zone_{"UTC0"};
};

TEST_F(AccountingTest, RefusesTheMessageAfterTheLimitUntilThePeriodEnds) {
  start();
  add_policy();
  add_row("MessageCountLimit = 2, Verdict = 'REJECT'");
  EXPECT_EQ(answer(rcpt("1")), "DUNNO");
  EXPECT_EQ(answer(rcpt("2")), "DUNNO");
  EXPECT_EQ(answer(rcpt("3")), "REJECT Policy rejection; Message count exceeded");
  EXPECT_EQ(used(), "2/0");
  now_ = kNoon + std::chrono::hours{12} - Millis{1};
  EXPECT_EQ(answer(rcpt("4")), "REJECT Policy rejection; Message count exceeded");
  now_ += Millis{1};
  EXPECT_EQ(answer(rcpt("5")), "DUNNO");
  EXPECT_EQ(used(1, "2026-11-22"), "2/0");
  EXPECT_EQ(used(1, "2026-11-23"), "1/0");
}

TEST_F(AccountingTest, RefusesWhenTheSizesExceedTheirLimit) {
  start();
  add_policy();
  add_row("MessageCumulativeSizeLimit = 10, Verdict = 'DEFER', AccountingPeriod = 2");
  answer(rcpt("1"));
  EXPECT_EQ(answer(end("1", 9 * 1024 + 1)), "DUNNO");
  EXPECT_EQ(used(), "1/10");
  EXPECT_EQ(answer(rcpt("2")), "DUNNO") << "at the limit";
  answer(end("2", 1));
  EXPECT_EQ(answer(rcpt("3")), "DEFER Policy rejection; Cumulative message size exceeded");
  EXPECT_EQ(ask_admin("SELECT PeriodKey FROM accounting_tracking"), "2026-11");
}

TEST_F(AccountingTest, AnswersWithDataAndAnyVerdict) {
  struct Row {
    const char* verdict;
    const char* answer;
  };
  start();
  add_policy();
  add_row("MessageCountLimit = 1, Data = 'smtp:enough@b'");
  answer(rcpt("0"));
  int instance = 0;
  for (const Row& row :
       {Row{"'defer'", "DEFER smtp:enough@b"}, Row{"'HOLD'", "HOLD smtp:enough@b"},
        Row{"'Reject'", "REJECT smtp:enough@b"}, Row{"'DISCARD'", "DISCARD smtp:enough@b"},
        Row{"'FILTER'", "FILTER smtp:enough@b"}, Row{"'REDIRECT'", "REDIRECT smtp:enough@b"},
        Row{"NULL", "DUNNO"}, Row{"''", "DUNNO"}, Row{"'OK'", "DEFER"}, Row{"'PASS'", "DEFER"},
        Row{"'what?'", "DEFER"}}) {
    SCOPED_TRACE(row.verdict);
    admin(std::string{"UPDATE accounting SET Verdict = "} + row.verdict);
    EXPECT_EQ(answer(rcpt(std::to_string(++instance))), row.answer);
    EXPECT_EQ(used(), "1/0");
  }
}

TEST_F(AccountingTest, DefersWhereDataIsNotWhatTheVerdictNeeds) {
  start();
  add_policy();
  add_row("MessageCountLimit = 1, Verdict = 'redirect', Data = 'enough'");
  EXPECT_EQ(answer(rcpt("0")), "DUNNO");
  EXPECT_EQ(answer(rcpt("1")), "DEFER");
  EXPECT_NE(
      log_text().find("module=Accounting, accounting=1: 'enough' is not a valid Data for redirect; "
                      "use a mail address, like postmaster@example.org"),
      std::string::npos);
}

TEST_F(AccountingTest, HasNoLimitWithoutANumber) {
  start();
  add_policy();
  for (const char* none : {"NULL", "0"}) {
    SCOPED_TRACE(none);
    admin("DELETE FROM accounting");
    add_row(std::string{"Verdict = 'REJECT', MessageCountLimit = "} + none +
            ", MessageCumulativeSizeLimit = " + none);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(answer(rcpt(none + std::to_string(i))), "DUNNO");
    EXPECT_EQ(used(ask_admin("SELECT max(ID) FROM accounting") == "1" ? 1 : 2), "3/0");
  }
}

TEST_F(AccountingTest, DefersForAnInvalidRow) {
  start();
  add_policy();
  add_row();
  admin("UPDATE accounting SET Track = 'Colour:red'");
  EXPECT_EQ(answer(rcpt("1")), "DEFER");
  EXPECT_EQ(answer(end("1", 100)), "DEFER");
  admin("UPDATE accounting SET Track = 'Policy', AccountingPeriod = 3");
  EXPECT_EQ(answer(rcpt("2")), "DEFER");
  EXPECT_NE(log_text().find("accounting=1: 'Colour:red' is not a valid Track"), std::string::npos);
  EXPECT_NE(log_text().find("accounting=1: AccountingPeriod is not 0"), std::string::npos);
  EXPECT_EQ(used(), "(no row)");
}

TEST_F(AccountingTest, CountsInAllRowsOrInNone) {
  start();
  add_policy();
  add_row();
  add_policy();
  add_row("Track = 'Recipient:@domain', MessageCountLimit = 1, Verdict = 'REJECT'");
  EXPECT_EQ(answer(rcpt("1")), "DUNNO");
  EXPECT_EQ(answer(rcpt("2")), "REJECT Policy rejection; Message count exceeded");
  EXPECT_EQ(used(1), "1/0");
  EXPECT_EQ(used(2), "1/0");
  EXPECT_EQ(answer(rcpt("3", "carol@example.net")), "DUNNO");
  EXPECT_EQ(used(1), "2/0");
}

TEST_F(AccountingTest, EndsTheWalkAfterALastRow) {
  start();
  add_policy();
  add_row("LastAccounting = 1");
  add_policy();
  add_row("Track = 'Policy'");
  answer(rcpt("1"));
  answer(end("1", 1024));
  EXPECT_EQ(used(1), "1/1");
  EXPECT_EQ(used(2), "(no row)");
}

TEST_F(AccountingTest, AddsTheSizeOnceForEachRecipientIncludingRefusedOnes) {
  start();
  add_policy();
  add_row("MessageCountLimit = 2, Verdict = 'REJECT'");
  answer(rcpt("1", "a@example.com"));
  answer(rcpt("1", "b@example.com"));
  answer(rcpt("1", "c@example.com"));
  answer(end("1", 1025));
  answer(end("1", 1025));  // asked again
  EXPECT_EQ(used(), "2/6");
}

TEST_F(AccountingTest, AddsNoSizeIfNothingIsCountedYet) {
  start();
  add_policy();
  add_row();
  answer(rcpt("1"));
  now_ += kDay;
  EXPECT_EQ(answer(end("1", 1024)), "DUNNO");
  EXPECT_EQ(used(1, "2026-11-22"), "1/0");
  EXPECT_EQ(used(1, "2026-11-23"), "(no row)");
}

TEST_F(AccountingTest, ContinuesFromARowThatAnAdminEdited) {
  start();
  add_policy();
  add_row("MessageCountLimit = 2, Verdict = 'REJECT'");
  answer(rcpt("1"));
  admin("UPDATE accounting_tracking SET MessageCount = 2");
  EXPECT_EQ(answer(rcpt("2")), "REJECT Policy rejection; Message count exceeded");
  admin("DELETE FROM accounting_tracking");
  EXPECT_EQ(answer(rcpt("3")), "DUNNO");
  EXPECT_EQ(used(), "1/0");
}

TEST_F(AccountingTest, CountsNothingAgainThatWasCountedBeforeACrash) {
  start();
  add_policy();
  add_row("MessageCountLimit = 1, Verdict = 'REJECT'");
  answer(rcpt("1"));
  engine_.reset();
  open_store();
  restart_engine();
  EXPECT_EQ(answer(rcpt("1")), "DUNNO");
  EXPECT_EQ(used(), "1/0");
}

TEST_F(AccountingTest, CountsInMemoryWhileTheDatabaseIsLockedAndStoresLater) {
  start();
  add_policy();
  add_row("MessageCountLimit = 3, Verdict = 'REJECT'");
  answer(rcpt("1"));
  admin("BEGIN IMMEDIATE; UPDATE accounting_tracking SET MessageCount = 1");
  answer(rcpt("2"));
  answer(rcpt("3"));
  EXPECT_EQ(answer(rcpt("4")), "REJECT Policy rejection; Message count exceeded");
  admin("ROLLBACK");
  EXPECT_EQ(used(), "1/0");
  loop_.advance(std::chrono::seconds{1});
  EXPECT_EQ(used(), "3/0");
}

TEST_F(AccountingTest, AddsItsCountToAnEditMadeMeanwhile) {
  start();
  add_policy();
  add_row();
  answer(rcpt("1"));
  admin(
      "BEGIN IMMEDIATE; UPDATE accounting_tracking SET MessageCount = 100, MessageCumulativeSize = "
      "50");
  answer(rcpt("2"));
  answer(rcpt("3"));
  answer(end("3", 2048));
  admin("COMMIT");
  loop_.advance(std::chrono::seconds{1});
  EXPECT_EQ(used(), "102/52");
}

TEST_F(AccountingTest, SumsDoNotOverflow) {
  start();
  add_policy();
  add_row();
  answer(rcpt("1"));
  admin("UPDATE accounting_tracking SET MessageCount = 9223372036854775807");
  EXPECT_EQ(answer(rcpt("2")), "DUNNO");
  answer(end("2", ~std::uint64_t{0}));
  EXPECT_EQ(used(), "9007199254740992/9007199254740992");
}

TEST_F(AccountingTest, LogsToTheLetter) {
  const std::string who =
      ", host=192.0.2.1, helo=mail.example.org, from=alice@example.org, "
      "to=bob@example.com, ";
  const std::string tail =
      ", policy=1, accounting=1, track=Sender:alice@example.org, "
      "period=2026-11-22, ";
  start();
  add_policy();
  add_row("MessageCountLimit = 3, Verdict = 'REJECT'");
  std::string expected;
  const auto expect = [&](const std::string& what, const std::string& reason,
                          const std::string& figures) {
    expected += "module=Accounting, " + what + who + "reason=" + reason +
                (figures.empty() ? "" : tail + figures) + "\n";
    EXPECT_EQ(log_text(), expected);
  };
  answer(rcpt("1"));
  expect("mode=create", "accounting_create", "count=1/3 (33.3%), size=/-");
  answer(rcpt("2"));
  expect("mode=update", "accounting_update", "count=2/3 (66.7%), size=/-");
  answer(end("2", 2048));
  expect("mode=update", "accounting_update", "count=2/3 (66.7%), size=0/-");
  admin("UPDATE accounting SET MessageCountLimit = 2");
  answer(rcpt("3"));
  expect("action=reject", "accounting_match", "count=2/2 (100.0%), size=2/-");
  admin(
      "UPDATE accounting SET MessageCountLimit = NULL, MessageCumulativeSizeLimit = 1, Verdict = "
      "''");
  answer(rcpt("4"));
  expected += "module=Accounting, action=" + who + "reason=accounting_match" + tail +
              "count=3/-, size=2/1 (200.0%)\n";
  expect("action=none", "no_verdict", "");
  admin("UPDATE accounting SET MessageCumulativeSizeLimit = 0");
  answer(rcpt("5"));
  expect("mode=update", "accounting_update", "count=/-, size=/-");
  admin("UPDATE accounting SET MessageCountLimit = 1, Verdict = 'What'");
  answer(rcpt("6"));
  expected += "module=Accounting, action=what" + who + "reason=accounting_match" + tail +
              "count=3/1 (300.0%), size=2/-\n";
  expected += "module=Accounting, action=none" + who + "reason=invalid_verdict\n";
  expected +=
      "module=Accounting, accounting=1: 'What' is not a valid Verdict; use "
      "DEFER, REJECT, HOLD, DISCARD, FILTER or REDIRECT\n";
  EXPECT_EQ(log_text(), expected);
}

}  // namespace
}  // namespace policyd
