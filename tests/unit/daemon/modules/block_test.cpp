// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/block.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

constexpr TimePoint kThree{std::chrono::seconds{1'764'126'000}};  // 2025-11-26 03:00:00 UTC
constexpr TimePoint kFour{std::chrono::seconds{1'764'129'600}};

TEST(Block, IsReadBackAsWritten) {
  const Block block{"anna@example.org", kFour, kThree, "active", "root on pts/0 (sudo by anna)"};
  EXPECT_EQ(block.policy_name(),
            "carbonio-limits block anna@example.org until 2025-11-26T04:00:00Z");
  EXPECT_EQ(block.comment(),
            "since=2025-11-26T03:00:00Z account=active by=root on pts/0 (sudo by anna)");
  EXPECT_EQ(Block::parse(block.policy_name(), block.comment()), block);
}

TEST(Block, WithoutAnEndOrAnAccount) {
  const Block block{"192.0.2.0/24", {}, kThree, "", "root"};
  EXPECT_EQ(block.policy_name(), "carbonio-limits block 192.0.2.0/24");
  EXPECT_EQ(Block::parse(block.policy_name(), block.comment()), block);
}

TEST(Block, EndsWhenItsNameSays) {
  EXPECT_EQ(block_end("carbonio-limits block anna until 2025-11-26T04:00:00Z"), kFour);
  EXPECT_EQ(block_end("carbonio-limits block anna"), TimePoint::max());
}

TEST(Block, WithAnEndThatCannotBeReadHasNone) {
  for (const char* end : {"until", "until ", "until tomorrow", "until 2025-11-26T04:00:00",
                          "until 2025-11-26T04:00:00Zx", "till 2025-11-26T04:00:00Z"}) {
    EXPECT_EQ(block_end(std::string{"carbonio-limits block anna "} + end), TimePoint::max()) << end;
  }
}

TEST(Block, IsNoOtherPolicy) {
  for (const char* name : {"", "carbonio-limits", "carbonio-limits block", "carbonio-limits block ",
                           "carbonio-limits blocked anna", " carbonio-limits block anna",
                           "Carbonio-limits block anna", "blocked"}) {
    EXPECT_EQ(block_end(name), std::nullopt) << name;
  }
}

TEST(Block, ReadsAnyComment) {
  for (const char* comment : {"", " ", "=", "since=", "since=x account", "by", "a=b c=d"}) {
    const auto block = Block::parse("carbonio-limits block anna", comment);
    ASSERT_TRUE(block) << comment;
    EXPECT_EQ(block->who, "anna");
    EXPECT_EQ(block->since, TimePoint{});
    EXPECT_EQ(block->account + block->by, "");
  }
}

}  // namespace
}  // namespace policyd
