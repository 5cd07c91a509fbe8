// SPDX-License-Identifier: AGPL-3.0-only
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugin/terminal/output.hpp"

namespace limits {
namespace {

using Lines = std::vector<std::string>;

TEST(WrappedCommand, GivesLinesToTheShellThatBelongTogether) {
  EXPECT_EQ(wrapped_command("carbonio-limits list", 22), Lines{"carbonio-limits list"});
  EXPECT_EQ(wrapped_command("carbonio-limits list", 21), (Lines{"carbonio-limits \\", "list"}));
  EXPECT_EQ(wrapped_command("carbonio-limits send 1/h --user a@b", 24),
            (Lines{"carbonio-limits send \\", "1/h --user a@b"}));
  EXPECT_EQ(wrapped_command("carbonio-limits send 1/h", 0), Lines{"carbonio-limits send 1/h"});
  EXPECT_EQ(wrapped_command("", 10), Lines{""});
}

TEST(WrappedCommand, KeepsNamesInQuotesWhole) {
  EXPECT_EQ(wrapped_command("reset 'a b c d e f' --limit 3", 12),
            (Lines{"reset \\", "'a b c d e f' \\", "--limit 3"}));
  EXPECT_EQ(wrapped_command(R"(reset 'it'\''s a b' x)", 10),
            (Lines{"reset \\", R"('it'\''s a b' \)", "x"}));
  EXPECT_EQ(wrapped_command(R"(x a\ b\ c\ d y)", 7), (Lines{"x \\", R"(a\ b\ c\ d \)", "y"}));
}

TEST(WrappedCommand, BreaksStatementsOutsideTheirLiterals) {
  EXPECT_EQ(wrapped_command(R"(sqlite3 /x "UPDATE a SET b = 'c d e f';" x)", 14),
            (Lines{"sqlite3 /x \\", R"("UPDATE a)", "SET b =", R"('c d e f';" \)", "x"}));
}

}  // namespace
}  // namespace limits
