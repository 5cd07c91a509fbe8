// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/text.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace limits {
namespace {

TEST(Text, SaysHowManyInTheRightNumber) {
  EXPECT_EQ(counted(0, "limit"), "0 limits");
  EXPECT_EQ(counted(1, "limit"), "1 limit");
  EXPECT_EQ(counted(2, "more request"), "2 more requests");
  EXPECT_EQ(of_number(1, "is", "are"), "is");
  EXPECT_EQ(of_number(3, "is", "are"), "are");
}

TEST(Text, NamesAtMostTenIds) {
  std::vector<std::int64_t> ids(12);
  std::iota(ids.begin(), ids.end(), 1);
  const std::span<const std::int64_t> all{ids};
  EXPECT_EQ(with_ids("limit", all.first(1)), "limit 1");
  EXPECT_EQ(with_ids("limit", all.first(3)), "limits 1, 2 and 3");
  EXPECT_EQ(with_ids("limit", all.first(10)), "limits 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10");
  EXPECT_EQ(with_ids("limit", all), "limits 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
}

TEST(Text, IsAsWideAsATerminalShowsIt) {
  EXPECT_EQ(width_of(""), 0);
  EXPECT_EQ(width_of("anna@example.org"), 16);
  EXPECT_EQ(width_of("änna█…→"), 7);
  EXPECT_EQ(width_of("a\u0308"), 1);
  EXPECT_EQ(width_of("日本@example.org"), 16);
  EXPECT_EQ(width_of("\xff\xe6"), 2) << "not UTF-8";
}
}  // namespace
}  // namespace limits
