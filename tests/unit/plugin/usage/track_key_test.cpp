// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/track_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/usage/reset_counters.hpp"

namespace limits {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kV6Host = "SenderIP:2001:0db8:0001:0000:0000:0000:0000:0001/128";
constexpr const char* kV6Network = "SenderIP:2001:0db8:0000:0000:0000:0000:0000:0000/32";

TEST(SayKey, ShowsHostsWithoutALengthAndNetworksWithIt) {
  EXPECT_EQ(key_text("SenderIP:192.0.2.1/32"), "192.0.2.1");
  EXPECT_EQ(key_text("SenderIP:192.0.2.1/128"), "192.0.2.1");
  EXPECT_EQ(key_text("SenderIP:192.0.2.0/31"), "192.0.2.0/31");
  EXPECT_EQ(key_text(kV6Host), "2001:db8:1::1");
  EXPECT_EQ(key_text(kV6Network), "2001:db8::/32");
  EXPECT_EQ(key_text("SenderIP:192.0.2.0/129"), "192.0.2.0/129");
  EXPECT_EQ(key_text("SenderIP:x/\x01"), "x/\\x01");
}

TEST(TypedName, MayBeCopiedFromPostfixsLog) {
  const struct {
    const char* typed;
    const char* name;
  } cases[] = {
      {"anna@example.org", "anna@example.org"},
      {"login anna", "anna"},
      {"<anna@example.org>", "anna@example.org"},
      {"[198.51.100.7]", "198.51.100.7"},
      {"unknown[198.51.100.7]", "198.51.100.7"},
      {"mail.example.org[2001:db8::1]", "2001:db8::1"},
      {"[IPv6:2001:db8::1]", "2001:db8::1"},
      {"IPv6:2001:db8::1", "2001:db8::1"},
      // These are names.
      {"<>", "<>"},
      {"<> (bounces)", "<> (bounces)"},
      {"<b>", "<b>"},
      {"<b>a@b</b>", "<b>a@b</b>"},
      {"<", "<"},
      {">", ">"},
      {"[", "["},
      {"[]", "[]"},
      {"[x]", "[x]"},
      {"a[198.51.100]", "a[198.51.100]"},
      {"a@[198.51.100.7]", "a@[198.51.100.7]"},
      {"", ""},
  };
  for (const auto& one : cases) EXPECT_EQ(typed_name(one.typed), one.name) << one.typed;
}

TEST(WithoutNoun, IsTheNameOfALoginAsShown) {
  EXPECT_EQ(without_noun(key_text("SASLUsername:anna")), "anna");
  EXPECT_EQ(without_noun("login "), "login ");
  EXPECT_EQ(without_noun("login"), "login");
  EXPECT_EQ(without_noun("anna@example.org"), "anna@example.org");
}

TEST(ResetWord, IsTheNameToTheLetter) {
  EXPECT_EQ(reset_word("Sender:tab\there@example.org"), "tab\there@example.org");
  EXPECT_EQ(reset_word("SASLUsername:anna"), "anna");
  EXPECT_EQ(reset_word("Sender:<>"), "<>");
  EXPECT_EQ(reset_word("Sender:<> (bounces)"), "<> (bounces)");
  EXPECT_EQ(reset_word("Sender:all together"), "all together");
  EXPECT_EQ(reset_word(kSharedKey), "");
  EXPECT_EQ(reset_word("SenderIP:192.0.2.1/32"), "192.0.2.1");
  EXPECT_EQ(reset_word(kV6Network), "2001:db8::/32");
}

// It would not arrive, or be taken for the login anna.
TEST(ResetWord, IsNoneIfItNamesNothingOrAnother) {
  for (const char* key :
       {"SASLUsername:", "Sender:bad\xff@example.org", "Sender:login anna", "x"}) {
    EXPECT_EQ(reset_word(key), std::nullopt) << key;
  }
}

TEST(KeyFilter, ShowsAnAddressWithTheNetworksItIsIn) {
  const KeyFilter v4{"192.0.2.1"};
  EXPECT_TRUE(v4.shows("SenderIP:192.0.2.1/32"));
  EXPECT_TRUE(v4.shows("SenderIP:192.0.2.1/128"));
  EXPECT_TRUE(v4.shows("SenderIP:192.0.2.0/24"));
  EXPECT_FALSE(v4.shows("SenderIP:192.0.2.2/128"));
  EXPECT_FALSE(v4.shows("SenderIP:0000:0000:0000:0000:0000:0000:0000:0000/0"));
  const KeyFilter v6{"2001:DB8:1::1"};
  EXPECT_TRUE(v6.shows(kV6Host));
  EXPECT_TRUE(v6.shows(kV6Network));
  EXPECT_FALSE(v6.shows("SenderIP:2001:0db8:0001:0000:0000:0000:0000:0002/128"));
}

TEST(KeyFilter, ShowsTheOtherNamesOfAnAccount) {
  const KeyFilter filter{"anna", {"anna", "anna@example.org"}};
  EXPECT_TRUE(filter.shows("SASLUsername:anna"));
  EXPECT_TRUE(filter.shows("Sender:anna@example.org"));
  EXPECT_FALSE(filter.shows("Sender:bob@example.org"));
  ASSERT_TRUE(filter.keys());
  EXPECT_THAT(*filter.keys(), ElementsAre("SASLUsername:anna", "Sender:anna", "Recipient:anna",
                                          "SASLUsername:anna@example.org",
                                          "Sender:anna@example.org", "Recipient:anna@example.org"));
  EXPECT_EQ(KeyFilter("anna.smith", {"anna.smith@example.org"}).pattern(), "%anna.smith%");
  EXPECT_EQ(KeyFilter("example.org", {"example.org"}).pattern(), "%example.org");
}

TEST(KeyFilter, ShowsANetworkAlone) {
  const KeyFilter network{"2001:db8::/32"};
  EXPECT_TRUE(network.shows(kV6Network));
  EXPECT_FALSE(network.shows(kV6Host));
  ASSERT_TRUE(network.keys());
  EXPECT_THAT(*network.keys(), ElementsAre(kV6Network));
}

TEST(OwnKeys, OfAnAddressAreThoseOfTheTracksThatTakeAllOfIt) {
  const std::set<int> lengths = {24, 32, 64, 128};
  EXPECT_THAT(
      own_keys("192.0.2.1", lengths),
      ElementsAre("SenderIP:192.0.2.1/32", "SenderIP:192.0.2.1/64", "SenderIP:192.0.2.1/128"));
  EXPECT_THAT(own_keys("2001:DB8:1::1", lengths), ElementsAre(kV6Host));
  EXPECT_THAT(own_keys("2001:db8:1::1", {24, 64}), IsEmpty());
}

TEST(OwnKeys, OfANetworkIsItsOne) {
  EXPECT_THAT(own_keys("2001:db8:1::/32", {}), ElementsAre(kV6Network));
  EXPECT_THAT(own_keys("192.0.2.0/24", {}), ElementsAre("SenderIP:192.0.2.0/24"));
  EXPECT_THAT(own_keys("192.0.2.0/x", {}),
              ElementsAre("SASLUsername:192.0.2.0/x", "Sender:192.0.2.0/x", "Recipient:192.0.2.0/x",
                          "Sender:@192.0.2.0/x", "Recipient:@192.0.2.0/x"));
}

// A sender or recipient without a domain is counted by that name.
TEST(OwnKeys, OfANameAreThoseOfASenderToo) {
  for (const char* name : {"root", "max m", "first.last"}) {
    for (const char* method : {"SASLUsername:", "Sender:", "Recipient:"}) {
      EXPECT_THAT(own_keys(name, {}), Contains(std::string{method} + name));
    }
  }
}

}  // namespace
}  // namespace limits
