// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/restrictions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limits {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RestrictionWords, AreSeparatedBySpaceAndCommasButNotInBraces) {
  EXPECT_THAT(restriction_words("a, b,c  d\n\te"), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(restriction_words("x { inet:h:1, timeout=9s } y"),
              ElementsAre("x", "{ inet:h:1, timeout=9s }", "y"));
  EXPECT_THAT(restriction_words(" ,, "), IsEmpty());
  EXPECT_THAT(restriction_words("}a{ b"), ElementsAre("}a{ b"));
}

TEST(MapPermits, KnowsTheAnswersThatLetMailPass) {
  struct Case {
    const char* text;
    bool permits;
  };
  for (const Case& each :
       {Case{"192.0.2.1 OK\n", true}, Case{"192.0.2.1\tok\n", true},
        Case{"a REJECT\nb 250\n", true}, Case{"a permit_mynetworks", true},
        Case{"192.0.2.0/24 REJECT OK\n", false}, Case{"# a OK\n", false}, Case{"a DUNNO\n", false},
        Case{"", false}, Case{"OK\n", false}, Case{"all OK", true}}) {
    EXPECT_EQ(map_permits(each.text), each.permits) << each.text;
  }
}

TEST(MapRefusesEmptySender, KnowsItsKeyAndTheAnswersThatRefuse) {
  for (const char* text : {"<> REJECT\n", "a OK\n<>\t550 5.7.1 no\n", "/^<>$/ reject no",
                           "<> DEFER_IF_PERMIT later", "<> 450 later"}) {
    EXPECT_TRUE(map_refuses_empty_sender(text)) << text;
  }
  for (const char* text : {"", "<>\n", "# <> REJECT\n", "<> OK\n", "<> 250\n", "<> DUNNO\n",
                           "a@b REJECT\n", "<> 5500 x"}) {
    EXPECT_FALSE(map_refuses_empty_sender(text)) << text;
  }
  EXPECT_TRUE(
      map_refuses_empty_sender(*read_access_map("inline:{ {<> = REJECT no} }", "/none/postconf")));
}

TEST(ReadAccessMap, ReadsThoseThatHaveAText) {
  EXPECT_EQ(read_access_map("static:OK", "/none/postconf"), "all OK");
  EXPECT_TRUE(map_permits(*read_access_map("inline:{a=OK, b=REJECT}", "/none/postconf")));
  EXPECT_FALSE(map_permits(*read_access_map("inline:{a=DUNNO}", "/none/postconf")));
  EXPECT_EQ(read_access_map("ldap:/etc/postfix/x.cf", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("hash:/none/at/all", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("no colon", "/none/postconf"), std::nullopt);
}

TEST(WithClasses, EndsWhereAClassContainsItself) {
  EXPECT_EQ(with_classes("a b", {{"b", "c d"}, {"c", "e"}}), "a e d");
  EXPECT_EQ(with_classes("a", {{"a", "a"}}), "a");
  EXPECT_LE(with_classes("a", {{"a", "a a"}}).size(), std::size_t{1} << 21);
}

}  // namespace
}  // namespace limits
