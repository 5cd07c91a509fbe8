// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/past_mail.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "daemon/sqlite/database.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(PastMail, SaysThatOlderRowsWereNotRead) {
  std::string folder = testing::TempDir() + "past_mail-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const fs::path file = fs::path{folder} / "db";
  ASSERT_TRUE(policyd::create_database(file));
  auto opened = policyd::open_database(file, policyd::OpenMode::read_write, {});
  ASSERT_TRUE(opened);
  const policyd::sql::Handle handle = std::move(*opened);
  ASSERT_EQ(policyd::sql::execute(
                handle.get(),
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) "
                "INSERT INTO session_tracking (Instance, QueueID, UnixTimestamp, Sender, "
                "ClientAddress, Size, RecipientData) SELECT i, 'Q' || i, 1000000 + i, "
                "'a@example.org', '192.0.2.1', 1, '/<b@example.com>#0=1;' FROM n"),
            SQLITE_OK);
  const Tables tables{handle.get(), {}};
  const auto few = past_mail(tables, {}, {}, 10'000);
  ASSERT_TRUE(few);
  EXPECT_EQ(few->mails.all.size(), 10'000U);
  EXPECT_EQ(few->first, policyd::TimePoint{std::chrono::seconds{1'002'001}});
  EXPECT_THAT(few->notes, Contains(HasSubstr("the newest 10000 rows of session_tracking")));
  const auto all = past_mail(tables, {}, {}, 20'000);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->mails.all.size(), 12'000U);
  EXPECT_THAT(all->notes, Not(Contains(HasSubstr("the newest"))));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace limits
