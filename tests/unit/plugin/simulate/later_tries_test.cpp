// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/later_tries.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

using policyd::TimePoint;

constexpr TimePoint kStart{std::chrono::hours{500'000}};

TEST(LaterTries, TakesATryForTheSameMailWithinHours) {
  LaterTries tries;
  tries.add(1, {kStart, 7});
  EXPECT_EQ(tries.find(2, kStart + std::chrono::minutes{5}), nullptr);
  EXPECT_EQ(tries.find(1, kStart + std::chrono::seconds{59}), nullptr);
  EXPECT_EQ(tries.find(1, kStart + std::chrono::hours{5}), nullptr);
  LaterTries::Waiting* const found = tries.find(1, kStart + std::chrono::minutes{1});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->hit, 7U);
  tries.remove(1, found);
  EXPECT_EQ(tries.find(1, kStart + std::chrono::minutes{1}), nullptr);
  EXPECT_EQ(tries.size(), 0U);
}

TEST(LaterTries, TellsMailsOfOneMinuteApart) {
  LaterTries tries;
  tries.add(1, {kStart, 1});
  tries.add(1, {kStart + std::chrono::seconds{5}, 2});
  EXPECT_EQ(tries.find(1, kStart + std::chrono::seconds{61})->hit, 1U);
  tries.find(1, kStart + std::chrono::seconds{61})->last = kStart + std::chrono::seconds{61};
  EXPECT_EQ(tries.find(1, kStart + std::chrono::seconds{66})->hit, 2U);
}

TEST(LaterTries, IsBounded) {
  LaterTries tries;
  for (std::uint64_t i = 0; i < LaterTries::kMaxOfKey + 10; ++i) tries.add(1, {kStart, 1});
  EXPECT_EQ(tries.size(), LaterTries::kMaxOfKey);
  for (std::uint64_t i = 0; i < LaterTries::kMax; ++i) tries.add(i + 2, {kStart, 1});
  EXPECT_EQ(tries.size(), LaterTries::kMax);
  tries.add(1, {kStart + std::chrono::hours{5}, 1});  // the others are too old
  EXPECT_EQ(tries.size(), 1U);
}

}  // namespace
}  // namespace limits
