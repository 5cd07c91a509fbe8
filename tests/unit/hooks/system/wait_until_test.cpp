// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/wait_until.hpp"

#include <gtest/gtest.h>

namespace carbonio {
namespace {

using std::chrono::milliseconds;

TEST(WaitUntil, TestsAtOnceAndNoLongerThanNeeded) {
  int tests = 0;
  EXPECT_TRUE(wait_until(milliseconds{60'000}, milliseconds{1}, [&] { return ++tests == 3; }));
  EXPECT_EQ(tests, 3);
}

TEST(WaitUntil, TestsOnceWithoutAnyTime) {
  int tests = 0;
  EXPECT_FALSE(wait_until(milliseconds{0}, milliseconds{60'000}, [&] { return ++tests == 2; }));
  EXPECT_EQ(tests, 1);
}

TEST(WaitUntil, TestsOnceMoreAtTheEnd) {
  int tests = 0;
  EXPECT_TRUE(wait_until(milliseconds{5}, milliseconds{60'000}, [&] { return ++tests == 2; }));
}

}  // namespace
}  // namespace carbonio
