// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/steps.hpp"

#include <gtest/gtest.h>

#include <string>

namespace limits {
namespace {

using std::chrono_literals::operator""h;

TEST(Steps, AreReadBackAsWritten) {
  for (const char* text : {"notify", "hold", "block", "lock", "block:1h", "hold:90s", "block:10min",
                           "notify,hold:1h,block:7day,lock", "block:30day"}) {
    const auto steps = parse_steps(text);
    ASSERT_TRUE(steps) << text;
    const auto again = parse_steps(steps_text(*steps));
    ASSERT_TRUE(again) << steps_text(*steps);
    EXPECT_EQ(*again, *steps) << text;
  }
  EXPECT_EQ(steps_text(*parse_steps("Notify,BLOCK:60min")), "notify,block:1h");
  EXPECT_EQ(parse_steps("block:1h")->front(), (Step{Step::Kind::block, 1h}));
}

TEST(Steps, TakeNothingElse) {
  for (const char* text : {"", ",", "block,", "blok", "block:", "block:0s", "block:59s",
                           "block:31day", "block:1h:2h", "notify:1h", "lock:1h", "block 1h",
                           "notify,notify,notify,notify,notify,notify,notify,notify,"
                           "notify"}) {
    EXPECT_FALSE(parse_steps(text)) << text;
  }
}

TEST(Steps, DoNotFollowOneThatLasts) {
  for (const char* text : {"hold,block:1h", "block,lock", "lock,notify", "lock,lock"}) {
    const auto steps = parse_steps(text);
    ASSERT_FALSE(steps) << text;
    EXPECT_NE(steps.error().message.find("no step can follow"), std::string::npos) << text;
  }
}

TEST(Steps, StandInACommentBesideWhatPeopleWrite) {
  EXPECT_EQ(with_steps("", "block:1h"), "then=block:1h");
  EXPECT_EQ(with_steps("for Anna", "block:1h"), "then=block:1h; for Anna");
  EXPECT_EQ(with_steps("then=notify; for Anna", "block:1h"), "then=block:1h; for Anna");
  EXPECT_EQ(with_steps("then=notify; for Anna", ""), "for Anna");
  EXPECT_EQ(with_steps("then=notify", ""), "");
  EXPECT_EQ(steps_in("then=block:1h; for Anna"), "block:1h");
  EXPECT_EQ(steps_in("then=block:1h"), "block:1h");
  for (const char* comment : {"", "for Anna", "Then=x", " then=x", "then"}) {
    EXPECT_EQ(steps_in(comment), "") << comment;
  }
}

}  // namespace
}  // namespace limits
