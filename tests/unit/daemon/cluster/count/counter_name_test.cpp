// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/counter_name.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

TEST(CounterName, ThePatternMatchesThePrefixAsItIs) {
  EXPECT_EQ(counters_pattern("limits:", 4), "limits:c:4:*");
  EXPECT_EQ(counters_pattern("limits:", std::nullopt), "limits:c:*");
  EXPECT_EQ(counters_pattern("a*[b]?\\", 4), "a\\*\\[b\\]\\?\\\\c:4:*");
}

}  // namespace
}  // namespace policyd
