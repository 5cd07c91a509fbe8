// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/list_item.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

using Kind = RowProblem::Kind;

TEST(ItemProblem, NamesWhatNoMailMatches) {
  struct Case {
    const char* item;
    std::optional<Kind> problem;
    Side side = Side::source;
  };
  for (const Case& each : {
           Case{"anna@example.org", std::nullopt},
           Case{"o'brien+tag@example.org", std::nullopt},
           Case{"*@*.example.org", std::nullopt},
           Case{"@\xc3\xa4.example", std::nullopt},
           Case{"root@[192.0.2.1]", std::nullopt},
           Case{"a@example.org;b@example.org", Kind::no_address},
           Case{"<anna@example.org>", Kind::no_address},
           Case{"\"anna@example.org\"", Kind::no_address},
           Case{"'anna@example.org'", Kind::no_address},
           Case{"anna@@example.org", Kind::no_address},
           Case{"anna@example.org..", Kind::no_address},
           Case{"@.example.org", Kind::no_address},
           Case{"@mine..example", Kind::no_address},
           Case{"\u201Canna@example.org\u201D", Kind::no_address},
           Case{"anna@example.org\u201D", Kind::no_address},
           Case{"!\u2018anna@example.org\u2019", Kind::no_address},
           Case{"\u201E@example.org\u201C", Kind::no_address, Side::destination},
           Case{"$*;@example.org", Kind::unknown_item},
           Case{"anna@example.org/", Kind::no_address},
           Case{"!<anna@example.org>", Kind::no_address},
           Case{"<anna@example.org>", Kind::no_address, Side::destination},
           Case{"mailto:anna@example.org", Kind::no_address},
           Case{"SMTP:anna@example.org", Kind::no_address, Side::destination},
           Case{"a1:b@example.org", std::nullopt},
           Case{"!!anna@example.org", Kind::no_address},
           Case{"!!@example.org", Kind::no_address},
           Case{"192.0.2.0-192.0.2.255", Kind::unknown_item},
           Case{"!192.0.2.0-192.0.2.255", Kind::unknown_item},
           Case{"192-0-2-1.example.org", std::nullopt},
           Case{"$anna;$bob", Kind::unknown_item},
           Case{"$anna;bob", std::nullopt},
           Case{"192.168.1.0/24", std::nullopt},
           Case{"192.168.1.0/33", Kind::long_prefix},
           Case{"[192.168.1.0/33]", Kind::long_prefix},
           Case{"2001:db8::/129", Kind::long_prefix},
           Case{"2001:db8::/128", std::nullopt},
           Case{"::ffff:10.0.0.0/104", std::nullopt},
           Case{"[::FFFF:10.1.2.3/128]", std::nullopt},
           Case{"::ffff:10.1.2.3", std::nullopt},
           Case{"::ffff:10.1.2.3/129", Kind::long_prefix},
           Case{"::ffff:192.0.2.0/95", Kind::mapped_network},
           Case{"![::ffff:192.0.2.0/24]", Kind::mapped_network},
           Case{"::/24", std::nullopt},
           Case{"300.1.1.1", Kind::invalid_network},
           Case{"", Kind::empty_item},
           Case{"foo bar", Kind::unknown_item},
           Case{"example.org", Kind::unknown_item, Side::destination},
           Case{"@example.org\r\n", std::nullopt},
           Case{"@example.org\n@example.net", Kind::line_break},
       }) {
    EXPECT_EQ(item_problem(each.item, each.side), each.problem) << each.item;
  }
}

TEST(ListItems, LineEndsAreNothing) {
  EXPECT_EQ(parse_item("%internal_domains\r\n", Side::source).text, "internal_domains");
  EXPECT_EQ(list_items("a@x,b@x\r\n").size(), 2U);
  EXPECT_EQ(list_items("\r\n").size(), 0U);
  EXPECT_TRUE(matches_everything("any\r\n"));
  EXPECT_TRUE(matches_everything("ANY\n"));
  EXPECT_FALSE(matches_everything("any "));
}

TEST(NeverTogether, FindsItemsThatExcludeEachOther) {
  struct Case {
    const char* list;
    bool found;
  };
  for (const Case& each : {
           Case{"anna@example.org,bob@example.org", true},
           Case{"@example.org,@example.net", true},
           Case{"anna@example.org,@example.net", true},
           Case{"anna@example.org,@example.org", false},
           Case{"anna@example.org,ANNA@example.org", false},
           Case{"anna@example.org,%group,$*", false},
           Case{"anna@example.org,%group,bob@example.org", true},
           Case{"anna@example.org,!bob@example.org", false},
           Case{"*@example.org,anna@example.net", true},
           Case{"*@example.org,*@example.net", true},
           Case{"*@example.org,anna@example.org", false},
           Case{"anna@*,bob@*", true},
           Case{"anna@*,bob*@*", true},
           Case{"a*@example.org,*b@example.org", false},
           Case{"@*.example,@example.net", true},
           Case{"@*.example,@*.example.net", true},
           Case{"@*.example,@mine.example", false},
           Case{"anna@example.org,!@example.org", true},
           Case{"anna@example.org,!anna@*", true},
           Case{"*@example.org,!@example.org", true},
           Case{"@example.org,!*@example.org", true},
           Case{"@example.org,!@*", true},
           Case{"@*,!@example.org", false},
           Case{"anna@*.ex\u00E4mple.org,@a.xn--exmple-cua.org", false},
           Case{"a*@example.org,!*@example.net", false},
           Case{"$anna,$bob", true},
           Case{"$*,$anna", false},
           Case{"$a*,$b*", true},
           Case{"$*,$-", true},
           Case{"!$*,!$-", true},
           Case{"$-,!$*", false},
           Case{"$anna,!$*", true},
           Case{"$anna,!$-", false},
           Case{"$*,!$anna", false},
           Case{"192.0.2.9,!192.0.2.0/24", true},
           Case{"192.0.2.0/24,!192.0.2.9", false},
           Case{"[192.0.2.9],!192.0.2.0/24", false},
           Case{"b.example.org,!.example.org", true},
           Case{".example.org,!b.example.org", false},
           Case{"@,!@", true},
           Case{"10.0.0.0/8,192.168.0.0/16", true},
           Case{"10.0.0.0/8,10.1.0.0/16", false},
           Case{"0.0.0.0/0,10.1.0.0/16", false},
           Case{"a.example.org,b.example.org", true},
           Case{".example.org,b.example.org", false},
           Case{"%internal_ips,!%internal_ips", true},
           Case{"!@Example.org,$*,@example.org", true},
           Case{"10.0.0.0/8,!10.0.0.0/8", true},
           Case{"%Staff,!%staff", false},
           Case{"@example.org,!anna@example.org", false},
           Case{"!10.0.0.0/8,!192.168.0.0/16", false},
           Case{"foo bar,!fo o", false},
       }) {
    EXPECT_EQ(never_together(each.list, Side::source).has_value(), each.found) << each.list;
  }
}

TEST(NeverTogether, IsBounded) {
  std::string list = "%a";
  for (int i = 0; i < 100'000; ++i) list += ",%a";
  EXPECT_FALSE(never_together(list + ",a@x.example,b@x.example", Side::source));
}

}  // namespace
}  // namespace policyd
