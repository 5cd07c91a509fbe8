// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/open_file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class OpenFileTest : public StoreTest {};

TEST_F(OpenFileTest, ReadsAndSyncsTheFileOfAConnection) {
  make_database();
  std::array<char, 15> bytes{};
  EXPECT_EQ(read_file_start(admin_.get(), bytes), SQLITE_OK);
  EXPECT_EQ(std::string_view(bytes.data(), bytes.size()), "SQLite format 3");
  EXPECT_TRUE(sync_file(admin_.get()));
}

TEST_F(OpenFileTest, DoesNothingWithADatabaseInMemory) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &raw), SQLITE_OK);
  const sql::Handle memory{raw};
  std::array<char, 15> bytes{};
  EXPECT_NE(read_file_start(memory.get(), bytes), SQLITE_OK);
  EXPECT_FALSE(sync_file(memory.get()));
}

}  // namespace
}  // namespace policyd
