// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/restrictions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

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
  for (const Case& each : {Case{"192.0.2.1 OK\n", true},
                           Case{"192.0.2.1\tok\n", true},
                           Case{"a REJECT\nb 250\n", true},
                           Case{"a permit_mynetworks", true},
                           Case{"192.0.2.0/24 REJECT OK\n", false},
                           Case{"# a OK\n", false},
                           Case{"a DUNNO\n", false},
                           Case{"", false},
                           Case{"OK\n", false},
                           Case{"all OK", true},
                           Case{"a 550 no\n", false},
                           Case{"a 550\n", false},
                           Case{"a\n  OK\n", true},
                           Case{"/a b/ OK\n", true},
                           Case{"!/a\\/ b/i PERMIT\n", true},
                           Case{"/OK b/ REJECT\n", false},
                           Case{"a reject_unauth_destination, permit_mynetworks\n", true},
                           Case{"a reject, permit\n", false},
                           Case{"a FILTER smtp:permit\n", false},
                           Case{"a friends\n", true},
                           Case{"a foes\n", false}}) {
    EXPECT_EQ(map_permits(each.text, {{"friends", "reject_x, permit"}, {"foes", "reject"}}),
              each.permits)
        << each.text;
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
  for (const char* map :
       {"cidr:{{0.0.0.0/0 OK}}", "pcre:{{/./ PERMIT}}", "regexp:{ {/x/ REJECT}, {/a=b/ OK} }",
        "proxy:static:OK", "static:{OK}"}) {
    EXPECT_TRUE(map_permits(read_access_map(map, "/none/postconf").value_or(""))) << map;
  }
  EXPECT_FALSE(map_permits(*read_access_map("cidr:{{0.0.0.0/0 REJECT}}", "/none/postconf")));
  EXPECT_EQ(read_access_map("unionmap:{static:OK}", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("pipemap:{static:OK}", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("proxy:ldap:/x", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("ldap:/etc/postfix/x.cf", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("hash:/none/at/all", "/none/postconf"), std::nullopt);
  EXPECT_EQ(read_access_map("no colon", "/none/postconf"), std::nullopt);
}

TEST(ReadAccessMap, ReadsNoPartOfALongOne) {
  const std::string file = testing::TempDir() + "long_access_map";
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const auto read = [&](std::size_t bytes) {
    std::ofstream{file} << std::string(bytes, '#');
    return read_access_map("texthash:" + file, "/none/postconf");
  };
  EXPECT_EQ(read(kMiB).value_or("").size(), kMiB);
  EXPECT_EQ(read(kMiB + 1), std::nullopt);
  std::filesystem::remove(file);
}

TEST(WithClasses, EndsWhereAClassContainsItself) {
  EXPECT_EQ(with_classes("a b", {{"b", "c d"}, {"c", "e"}}), "a e d");
  EXPECT_EQ(with_classes("a", {{"a", "a"}}), "a");
  EXPECT_LE(with_classes("a", {{"a", "a a"}}).size(), std::size_t{1} << 21);
}

}  // namespace
}  // namespace limits
