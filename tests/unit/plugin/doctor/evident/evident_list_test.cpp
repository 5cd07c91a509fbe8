// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/evident_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limits {
namespace {

using policyd::Side;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

const std::set<std::string> kGroups = {"internal_domains", "internal_ips", "sales"};

TEST(EvidentItem, IsWhatWasMeantOrNothing) {
  struct Case {
    const char* item;
    const char* meant;  // null: takes guessing, or it is valid
    Side side = Side::source;
  };
  for (const Case& each : {
           Case{" anna@example.org", "anna@example.org"},
           Case{"<anna@example.org>", "anna@example.org"},
           Case{"Anna B. <anna@example.org>", "anna@example.org"},
           Case{"\"anna@example.org\"", "anna@example.org"},
           Case{"mailto:anna@example.org", "anna@example.org"},
           Case{"\u201Canna@example.org\u201D", "anna@example.org"},
           Case{"!\u201E@example.org\u201C", "!@example.org"},
           Case{"@mine..example", nullptr},
           Case{"! @example.org", "!@example.org"},
           Case{"@ example.org", "@example.org"},
           Case{"%internal_domians", "%internal_domains"},
           Case{"%Sales", "%sales"},
           Case{"!%sales ", "!%sales"},
           Case{"%staff", nullptr},
           Case{"$ anna", "$anna"},
           Case{"10.0.0.*", "10.0.0"},
           Case{"192.0.2.0/255.255.255.0", "192.0.2.0/24"},
           Case{"192.0.2.0 / 24", "192.0.2.0/24"},
           Case{"192.0.2.0/255.0.255.0", nullptr},
           Case{"10 1", nullptr},
           Case{"300.1.1.1", nullptr},
           Case{"192.168.1.0/33", nullptr},
           Case{"\u0430nna@example.org ", "anna@example.org"},
           Case{"foo bar", nullptr},
           Case{"anna@@example.org", nullptr},
           Case{"@example.org", nullptr},
           Case{"example.org", nullptr},
           Case{"example.org", "@example.org", Side::destination},
           Case{".example.org", "@*.example.org", Side::destination},
           Case{"", nullptr},
       }) {
    EXPECT_EQ(evident_item(each.item, each.side, kGroups),
              each.meant == nullptr ? std::nullopt : std::optional<std::string>{each.meant})
        << each.item;
  }
}

TEST(EvidentLists, AlternativesGetAListEach) {
  const auto lists = [](const char* list) {
    return evident_lists(list, Side::source, kGroups).value_or(std::vector<std::string>{});
  };
  EXPECT_THAT(lists("a@x.example;b@x.example"), ElementsAre("a@x.example", "b@x.example"));
  EXPECT_THAT(lists("$*,a@x.example b@x.example"), ElementsAre("$*,a@x.example", "$*,b@x.example"));
  EXPECT_THAT(lists("a@x.example,b@x.example,%sales"),
              ElementsAre("a@x.example,%sales", "b@x.example,%sales"));
  EXPECT_THAT(lists("@a.example,@b.example,@c.example"),
              UnorderedElementsAre("@a.example", "@b.example", "@c.example"));
  EXPECT_THAT(lists("@a.example,x@a.example"), ElementsAre("@a.example,x@a.example"));
  EXPECT_THAT(lists("$*,,%sales"), ElementsAre("$*,%sales"));
  EXPECT_THAT(lists(" any "), ElementsAre("any"));
  EXPECT_THAT(lists("*"), ElementsAre("any"));
  EXPECT_THAT(lists(""), ElementsAre());
  EXPECT_THAT(lists("a@x.example;nonsense"), ElementsAre());
  EXPECT_THAT(lists("!a@x.example;!b@x.example"), ElementsAre());
}

TEST(EvidentLists, AreNeverForNearlyEverybody) {
  for (const char* list :
       {"$-,$anna", "$anna,$-", "$*,$-", "$anna,!$*", "192.0.2.9,!192.0.2.0/24", "::/0,10.0.0.0/8",
        "0.0.0.0/0,2001:db8::/32", "10.0.0.0/8,2000::/3", "a@x.example,!a@x.example", "$anna;$-",
        "$*;$anna", "10.0.0.0/8;0.0.0.0/0", "[::/0],[10.0.0.0/8]", "a@x.example;*@*"}) {
    EXPECT_EQ(evident_lists(list, Side::source, kGroups), std::nullopt) << list;
  }
  EXPECT_EQ(evident_lists("10.0.0.0/8,192.168.0.0/16", Side::source, kGroups),
            (std::vector<std::string>{"10.0.0.0/8", "192.168.0.0/16"}));
}

TEST(EvidentLists, AreBounded) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += "u" + std::to_string(i) + "@x.example;";
  EXPECT_EQ(evident_lists(many, Side::source, kGroups), std::nullopt);
}

TEST(EvidentMember, KeepsAlternativesInOneRow) {
  EXPECT_EQ(evident_member("@a.example; @b.example", kGroups), "@a.example,@b.example");
  EXPECT_EQ(evident_member(" @a.example\r\n", kGroups), "@a.example");
  EXPECT_EQ(evident_member("", kGroups), std::nullopt);
}

}  // namespace
}  // namespace limits
