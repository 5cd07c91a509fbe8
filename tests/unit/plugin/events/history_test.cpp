// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/history.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "plugin/events/history_text.hpp"
#include "plugin/events/sent_by.hpp"

namespace limits {
namespace {

TEST(SizeText, HasOneDigitAfterThePoint) {
  EXPECT_EQ(size_text(0), "0 KiB");
  EXPECT_EQ(size_text(1023), "1023 KiB");
  EXPECT_EQ(size_text(1024), "1.0 MiB");
  EXPECT_EQ(size_text(1536), "1.5 MiB");
  EXPECT_EQ(size_text(1024 * 1024 - 1), "1.0 GiB");
  EXPECT_EQ(size_text(std::uint64_t{5} << 40), "5120.0 TiB");
}

TEST(Tallies, AreBoundedInNames) {
  Tallies tallies;
  const Tally one{1, 2, 3, 0, {}, {}};
  for (std::size_t i = 0; i < Tallies::kMax; ++i) tallies.add(fmt::format("{}", i), one);
  EXPECT_FALSE(tallies.more());
  tallies.add("7", one, "first");
  tallies.add("7", one, "second");
  EXPECT_FALSE(tallies.more());
  tallies.add("another", one);
  EXPECT_TRUE(tallies.more());
  EXPECT_EQ(tallies.size(), Tallies::kMax);
  const auto sorted = tallies.sorted();
  EXPECT_EQ(sorted.front().first, "7");
  EXPECT_EQ(sorted.front().second.tally.recipients, 6U);
  EXPECT_EQ(sorted.front().second.detail, "first");
}

TEST(SentBy, ALoginWithADotIsNoDomainOnly) {
  const SentBy who{"Anna.Smith", {}};
  EXPECT_TRUE(who.is("x@example.org", "anna.smith", "192.0.2.1"));
  EXPECT_TRUE(who.is("x@anna.smith", "", "192.0.2.1"));
  EXPECT_FALSE(who.is("x@example.org", "anna", "192.0.2.1"));
}

TEST(SentBy, OtherNamesAreOfTheSameAccount) {
  const SentBy who{"anna@example.org", {}, {"anna@example.org", "anna"}};
  EXPECT_TRUE(who.is("forged@example.net", "Anna", "192.0.2.1"));
  EXPECT_TRUE(who.is("anna@example.org", "", "192.0.2.1"));
  EXPECT_FALSE(who.is("bob@example.org", "bob", "192.0.2.1"));
  EXPECT_FALSE(who.is("forged@example.net", "anna@example.com", "192.0.2.1"));
}

TEST(SentBy, NoLoginAndNoSenderAreNobody) {
  EXPECT_FALSE(SentBy("anna", {}).is("", "", ""));
  EXPECT_TRUE(SentBy("<>", {}).is("", "anna", ""));
  EXPECT_FALSE(SentBy("<>", {}).is("bob@example.org", "", ""));
}

class ReadHistory : public testing::Test {
 protected:
  void SetUp() override {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
    db_.reset(db);
    tables_ = {db, "x_"};
    run("CREATE TABLE x_session_tracking (QueueID, UnixTimestamp INTEGER, ClientAddress, "
        "ClientName, SASLUsername, Sender, Size, RecipientData)");
    run("CREATE INDEX x_i ON x_session_tracking (UnixTimestamp)");
    run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT "
        "INTO "
        "x_session_tracking SELECT 'Q' || i, 1000 + i / 4000, '192.0.2.1', '', NULL, 'a@x', 1, "
        "'/<b@x>#' FROM n");
  }

  void run(const char* text) { ASSERT_EQ(policyd::sql::execute(db_.get(), text), SQLITE_OK); }

  History read(std::size_t max_rows) {
    HistoryQuestion question;
    question.since = policyd::TimePoint{std::chrono::seconds{1}};
    question.latest = 3;
    question.max_rows = max_rows;
    auto read = read_history(tables_, SentBy{"a@x", {}}, question);
    return read ? std::move(*read) : History{};
  }

  policyd::sql::Handle db_;
  Tables tables_;
};

TEST_F(ReadHistory, TakesEachMessageOnceOverSlicesWithinASecond) {
  const History history = read(1'000'000);
  EXPECT_EQ(history.all.messages, 20'000U);
  EXPECT_EQ(history.all.recipients, 20'000U);
  EXPECT_FALSE(history.read_since);
  EXPECT_EQ(history.kept_since, policyd::TimePoint{std::chrono::seconds{1000}});
  ASSERT_EQ(history.latest.size(), 3U);
  EXPECT_EQ(history.latest[0].queue_id, "Q20000");
}

TEST_F(ReadHistory, EndsAtTheBoundAndSaysWhere) {
  const History history = read(7'000);
  EXPECT_EQ(history.all.messages, 7'000U);
  EXPECT_EQ(history.read_since, policyd::TimePoint{std::chrono::seconds{1003}});
}

}  // namespace
}  // namespace limits
