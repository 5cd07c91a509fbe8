// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/hash_index.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace policyd {
namespace {

bool any(std::uint32_t) { return true; }

TEST(HashIndex, IsEmptyAtFirst) { EXPECT_EQ(HashIndex{}.find(7, any), HashIndex::kNone); }

TEST(HashIndex, FindsTheRightOneOfEqualTags) {
  HashIndex index;
  index.insert(7, 0);
  index.insert(7, 1);
  index.insert(8, 2);
  EXPECT_EQ(index.find(7, [](std::uint32_t slot) { return slot == 1; }), 1U);
  EXPECT_EQ(index.find(7, [](std::uint32_t slot) { return slot == 2; }), HashIndex::kNone);
  EXPECT_EQ(index.find(8, any), 2U);
}

TEST(HashIndex, TagsUseAllBitsOfAHash) {
  EXPECT_NE(HashIndex::tag_of(std::size_t{1} << 40), HashIndex::tag_of(0));
  EXPECT_NE(HashIndex::tag_of(1), HashIndex::tag_of(0));
}

// Few tags, so that entries are far from home and erasing one has to move others.
TEST(HashIndex, FindsWhatIsThereAfterAnyChanges) {
  const auto tag_of_slot = [](std::uint32_t slot) { return slot % 40; };
  std::mt19937 random{5};  // NOLINT: the same each time
  const auto any_slot = [&] { return static_cast<std::uint32_t>(random() % 200); };
  HashIndex index;
  std::set<std::uint32_t> present;
  for (int round = 0; round < 20'000; ++round) {
    const std::uint32_t slot = any_slot();
    if (present.erase(slot) == 1) {
      index.erase(tag_of_slot(slot), slot);
    } else {
      index.insert(tag_of_slot(slot), slot);
      present.insert(slot);
    }
    const std::uint32_t other = any_slot();
    const std::uint32_t found =
        index.find(tag_of_slot(other), [&](std::uint32_t at) { return at == other; });
    ASSERT_EQ(found, present.contains(other) ? other : HashIndex::kNone) << round;
  }
}

}  // namespace
}  // namespace policyd
