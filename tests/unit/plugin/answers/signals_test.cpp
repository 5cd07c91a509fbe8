// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/signals.hpp"

#include <gtest/gtest.h>

#include <string>

namespace limits {
namespace {

TEST(Signals, AreReadBackFromTheNamesOfTheirPolicies) {
  for (const char* name : {"carbonio-limits signal networks 5 then notify",
                           "carbonio-limits signal senders 1000000 then notify,block:1h,lock",
                           "carbonio-limits signal rate 100 x5 then block:1h",
                           "carbonio-limits signal night 50 22:00-06:00 then hold:1h",
                           "carbonio-limits signal countries 3 then block:1h",
                           "carbonio-limits signal bounces 20 then block:1h"}) {
    const auto signal = parse_signal(name);
    ASSERT_TRUE(signal) << name;
    EXPECT_EQ(policy_name_of(*signal), name);
  }
  const auto night = parse_signal("carbonio-limits signal night 50 23:30-05:15 then lock");
  ASSERT_TRUE(night);
  EXPECT_EQ(night->from, 23 * 60 + 30);
  EXPECT_EQ(night->to, 5 * 60 + 15);
}

TEST(Signals, AreNoOtherNames) {
  for (const char* rest : {"",
                           "networks",
                           "networks 5",
                           "networks 5 then",
                           "networks 5 then x",
                           "networks 0 then lock",
                           "networks 1000001 then lock",
                           "networks x then lock",
                           "networks 5 6 then lock",
                           "rate 5 then lock",
                           "rate 5 x0 then lock",
                           "rate 5 x1001 then lock",
                           "rate 5 7 then lock",
                           "night 5 then lock",
                           "night 5 22:00 then lock",
                           "night 5 22:00-22:00 then lock",
                           "night 5 25:00-06:00 then lock",
                           "night 5 22:0-06:00 then lock",
                           "Networks 5 then lock",
                           "networks  5 then lock",
                           "bounces 5 x5 then lock",
                           "networks 5 then lock x"}) {
    EXPECT_FALSE(parse_signal(std::string{"carbonio-limits signal "} + rest)) << rest;
  }
  EXPECT_FALSE(parse_signal("carbonio-limits block anna"));
}

}  // namespace
}  // namespace limits
