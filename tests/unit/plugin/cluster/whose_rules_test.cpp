// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/whose_rules.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

using policyd::RuleChoice;

TEST(WhoseRules, AreChosenOnlyWhereBothHaveSome) {
  EXPECT_EQ(whose_rules({std::nullopt, 3, false}, {}), WhoseRules::first);
  EXPECT_EQ(whose_rules({std::nullopt, 3, false}, RuleChoice::ours), WhoseRules::first);
  EXPECT_EQ(whose_rules({2, 2, true}, {}), WhoseRules::equal);
  EXPECT_EQ(whose_rules({2, 0, false}, {}), WhoseRules::theirs);
  EXPECT_EQ(whose_rules({0, 0, false}, {}), WhoseRules::theirs);
  EXPECT_EQ(whose_rules({0, 1, false}, {}), WhoseRules::ours);
  EXPECT_EQ(whose_rules({1, 1, false}, RuleChoice::theirs), WhoseRules::theirs);
  EXPECT_EQ(whose_rules({1, 1, false}, RuleChoice::ours), WhoseRules::ours);
  EXPECT_FALSE(whose_rules({1, 1, false}, {}));
  EXPECT_FALSE(whose_rules({std::nullopt, 1, false}, RuleChoice::theirs));
}

TEST(WhoseRules, OtherBytesThanRulesAreNotCounted) { EXPECT_FALSE(limits_in("nonsense")); }

}  // namespace
}  // namespace limits
