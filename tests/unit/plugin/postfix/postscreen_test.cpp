// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postscreen.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

constexpr const char* kBlacklist = "zimbraMtaPostscreenBlacklistAction";

// Debian 12's Postfix 3.7, Carbonio's 3.11 and newer.
TEST(PostscreenParameters, HaveTheNamesOfTheNewerPostfix) {
  const auto parameters = parse_postscreen(
      "postscreen_greet_action = enforce\n"
      "postscreen_dnsbl_sites = zen.spamhaus.org*2, bl.spamcop.net\n"
      "postscreen_denylist_action = drop\n"
      "postscreen_blacklist_action = ignore\n"
      "postscreen_pipelining_enable =\n");
  EXPECT_EQ(parameters.at(kBlacklist).name, "postscreen_denylist_action");
  EXPECT_EQ(parameters.at(kBlacklist).value, "drop");
  EXPECT_EQ(parameters.at("zimbraMtaPostscreenDnsblSites").value,
            "zen.spamhaus.org*2, bl.spamcop.net");
  EXPECT_EQ(parameters.at("zimbraMtaPostscreenPipeliningEnable").value, "");
  EXPECT_FALSE(parameters.contains("zimbraMtaPostscreenDnsblThreshold"));
}

TEST(PostscreenParameters, HaveTheFormerNameWhereThereIsNoOther) {
  const auto parameters = parse_postscreen("postscreen_blacklist_action = enforce\n");
  EXPECT_EQ(parameters.at(kBlacklist).name, "postscreen_blacklist_action");
  EXPECT_EQ(parameters.at(kBlacklist).value, "enforce");
  EXPECT_EQ(parameters.size(), 1U);
}

TEST(PostscreenParameters, OfGarbageAreNone) {
  for (const char* output : {"", "\n\n", "=", "postconf: warning: x: unknown parameter\n"}) {
    EXPECT_TRUE(parse_postscreen(output).empty()) << output;
  }
}

}  // namespace
}  // namespace limits
