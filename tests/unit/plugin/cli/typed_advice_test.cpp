// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/typed_advice.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

constexpr const char* kAdvice = "try 'carbonio-limits usage', or carbonio-limits nothing";

TEST(Advice, IsOnTheDatabaseAndTheCarbonioThatWereGiven) {
  Arguments arguments;
  EXPECT_EQ(with_place(kAdvice, arguments), kAdvice);
  arguments.add("zextras-home", {"/srv/a b"});
  EXPECT_EQ(with_place(kAdvice, arguments),
            "try 'carbonio-limits --zextras-home '/srv/a b' usage', or carbonio-limits nothing");
  arguments.add("database", {"x.db"});
  EXPECT_EQ(with_place("carbonio-limits list", arguments),
            "carbonio-limits --database x.db --zextras-home '/srv/a b' list");
}

}  // namespace
}  // namespace limits
