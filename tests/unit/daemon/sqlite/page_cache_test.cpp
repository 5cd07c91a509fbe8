// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/page_cache.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include "daemon/sqlite/sqlite.hpp"

namespace policyd {
namespace {

// Ours, but sees which numbers pages get.
sqlite3_pcache_methods2 seen{};
unsigned highest_number = 0;
void see_rekey(sqlite3_pcache* cache, sqlite3_pcache_page* page, unsigned from, unsigned to) {
  highest_number = std::max(highest_number, to);
  seen.xRekey(cache, page, from, to);
}

class PageCacheTest : public ::testing::Test {
 protected:
  // What was configured before a test begins anew with the next use of SQLite.
  void SetUp() override {
    ASSERT_EQ(sqlite3_shutdown(), SQLITE_OK);
    ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &before_), SQLITE_OK);
    use_page_cache();
    use_page_cache();  // no harm
    ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &methods_), SQLITE_OK);
  }
  void TearDown() override {
    ASSERT_EQ(sqlite3_shutdown(), SQLITE_OK);
    ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_PCACHE2, &before_), SQLITE_OK);
  }

  sqlite3_pcache_methods2 before_{};
  sqlite3_pcache_methods2 methods_{};
};

TEST_F(PageCacheTest, APageMayHaveTheNumberThatIsNeverStoredForAMoment) {
  ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
  for (const int page_bytes : {512, 1024, 4096, 65536}) {
    const unsigned lent = 0x40000000 / page_bytes + 1;
    sqlite3_pcache* cache = methods_.xCreate(page_bytes, 64, 1);
    ASSERT_NE(cache, nullptr);
    methods_.xCachesize(cache, 100);
    sqlite3_pcache_page* page = methods_.xFetch(cache, 7, 2);
    ASSERT_NE(page, nullptr);
    methods_.xRekey(cache, page, 7, lent);
    EXPECT_EQ(methods_.xFetch(cache, 7, 0), nullptr);
    // One behind the end goes; the one with the number that was lent is no such page.
    methods_.xUnpin(cache, methods_.xFetch(cache, 9, 2), 0);
    methods_.xTruncate(cache, 9);
    EXPECT_EQ(methods_.xPagecount(cache), 1);
    methods_.xRekey(cache, page, lent, 5);
    EXPECT_EQ(methods_.xFetch(cache, 5, 0), page);
    // Its neighbour is a page as any.
    methods_.xRekey(cache, page, 5, lent - 1);
    EXPECT_EQ(methods_.xFetch(cache, lent - 1, 0), page);
    methods_.xTruncate(cache, lent - 1);
    EXPECT_EQ(methods_.xPagecount(cache), 0);
    methods_.xShrink(cache);
    methods_.xDestroy(cache);
  }
}

// Rows at random, so that pages are split and put into order; some transactions are given up.
TEST_F(PageCacheTest, ADatabaseIsWhatItWouldBeWithoutIt) {
  seen = methods_;
  methods_.xRekey = see_rekey;
  ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods_), SQLITE_OK);
  for (const int page_bytes : {512, 1024, 4096, 65536}) {
    highest_number = 0;
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(":memory:", &raw), SQLITE_OK);
    const sql::Handle db{raw};
    sql::execute(raw, fmt::format("PRAGMA page_size={}; PRAGMA cache_size=20;"
                                  "CREATE TABLE t (k TEXT UNIQUE, v INTEGER)",
                                  page_bytes)
                          .c_str());
    std::mt19937 random{42};
    std::int64_t kept = 0;
    for (int transaction = 0; transaction < 100; ++transaction) {
      sql::execute(raw, "BEGIN");
      for (int i = 0; i < 50; ++i) {
        ASSERT_EQ(sql::execute(raw, fmt::format("INSERT INTO t VALUES ('{}-{}', {})", random(),
                                                std::string(50, 'x'), transaction)
                                        .c_str()),
                  SQLITE_OK);
      }
      const bool keep = transaction % 5 != 0;
      sql::execute(raw, keep ? "COMMIT" : "ROLLBACK");
      if (keep) kept += 50;
    }
    sql::execute(raw, "DELETE FROM t WHERE v % 3 = 0; VACUUM");
    auto check = sql::Statement::prepare(raw, "PRAGMA integrity_check");
    ASSERT_TRUE(check && check->step() == SQLITE_ROW);
    EXPECT_EQ(check->text(0), "ok");
    auto count = sql::Statement::prepare(raw, "SELECT count(*) FROM t");
    ASSERT_TRUE(count && count->step() == SQLITE_ROW);
    EXPECT_EQ(count->integer(0), kept - 50 * 27);
    // Else nothing was shown. So few rows do not fill large pages.
    if (page_bytes <= 4096 && sqlite3_libversion_number() >= 3'040'001) {
      EXPECT_EQ(highest_number, 0x40000000U / static_cast<unsigned>(page_bytes) + 1);
    }
  }
}

}  // namespace
}  // namespace policyd
