// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/refusal_log.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

TimePoint at(int seconds) { return TimePoint{std::chrono::seconds{seconds}}; }

TEST(RefusalLog, CountsByLimitAndKeyLatestFirst) {
  RefusalLog refusals;
  refusals.refused(4, "Sender:a@x", "defer", at(1));
  refusals.refused(4, "Sender:b@x", "defer", at(2));
  refusals.refused(5, "Sender:a@x", "reject", at(3));
  refusals.refused(4, "Sender:a@x", "none", at(4));
  ASSERT_EQ(refusals.all().size(), 3U);
  const Refusal latest = refusals.all().front();
  EXPECT_EQ(latest.limit_id, 4);
  EXPECT_EQ(latest.track_key, "Sender:a@x");
  EXPECT_EQ(latest.verdict, "none");
  EXPECT_EQ(latest.count, 2U);
  EXPECT_EQ(latest.first, at(1));
  EXPECT_EQ(latest.last, at(4));
  EXPECT_EQ(refusals.all().back().track_key, "Sender:b@x");
}

TEST(RefusalLog, WhatAPauseLetsThroughIsNoRefusal) {
  RefusalLog refusals;
  refusals.refused(4, "a", RefusalLog::kLetThrough, at(1));
  EXPECT_EQ(refusals.all().front().count, 0U);
  refusals.refused(4, "a", "defer", at(2));
  refusals.refused(4, "a", RefusalLog::kLetThrough, at(3));
  const Refusal one = refusals.all().front();
  EXPECT_EQ(one.count, 1U);
  EXPECT_EQ(one.let_through, 2U);
  EXPECT_EQ(one.verdict, "defer");
  EXPECT_EQ(one.last, at(2));
}

TEST(RefusalLog, DropsTheKeysRefusedLongestAgo) {
  RefusalLog refusals{2};
  refusals.refused(1, "a", "defer", at(1));
  refusals.refused(1, "b", "defer", at(2));
  EXPECT_EQ(refusals.all().size(), 2U);
  refusals.refused(1, "a", "defer", at(3));
  refusals.refused(1, "c", "defer", at(4));
  ASSERT_EQ(refusals.all().size(), 2U);
  EXPECT_EQ(refusals.all().front().track_key, "c");
  EXPECT_EQ(refusals.all().back().track_key, "a");
  refusals.refused(1, "b", "defer", at(5));
  EXPECT_EQ(refusals.all().front().count, 1U) << "starts again";
}

TEST(RefusalLog, CutsKeysThatAreTooLong) {
  RefusalLog refusals;
  refusals.refused(1, std::string(RefusalLog::kMaxKey, 'x'), "defer", at(1));
  refusals.refused(1, std::string(RefusalLog::kMaxKey + 1, 'x'), "defer", at(2));
  ASSERT_EQ(refusals.all().size(), 1U);
  EXPECT_EQ(refusals.all().front().track_key.size(), RefusalLog::kMaxKey);
}

}  // namespace
}  // namespace policyd
