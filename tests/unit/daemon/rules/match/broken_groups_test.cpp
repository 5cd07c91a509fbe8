// SPDX-License-Identifier: AGPL-3.0-only
// Which groups cannot be used, and the member that is to blame.
#include "daemon/rules/match/broken_groups.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

struct Row {
  std::string group;
  std::vector<std::string> members;
};

// "GROUP: ITEM of GROUP", with "circle" and "nothing" where they apply. In the order of the rows.
std::vector<std::string> broken(const std::vector<Row>& rows, Side side = Side::source) {
  std::vector<GroupRow> groups;
  std::int64_t member = 0;
  for (const Row& row : rows) {
    groups.push_back({static_cast<std::int64_t>(groups.size()) + 1, row.group, {}});
    for (const std::string& text : row.members) groups.back().members.push_back({++member, text});
  }
  const BrokenGroups found = broken_groups(groups, side);
  std::vector<std::string> out;
  for (const Row& row : rows) {
    const auto each = found.find(row.group);
    if (each == found.end()) continue;
    out.push_back(fmt::format("{}: {} of {} in row {}{}{}", row.group, each->second.item,
                              each->second.group, each->second.member,
                              each->second.in_circle ? ", circle" : "",
                              each->second.matches_nothing ? ", nothing" : ""));
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(BrokenGroups, OnesWithoutAFaultAreLeftOut) {
  EXPECT_EQ(broken({}), Texts{});
  EXPECT_EQ(broken({{"a", {"@a.org", "%b,%missing", "192.0.2.0/24"}}, {"b", {}}, {"c", {"%b"}}}),
            Texts{});
}

TEST(BrokenGroups, AnImpossibleAddressIsNamedAtEachDepth) {
  const std::vector<Row> rows = {
      {"all", {"%sales"}}, {"sales", {"a@a.org,192.0.2.300"}}, {"cafe", {"cafe", "b@a.org"}}};
  EXPECT_EQ(broken(rows),
            (Texts{"all: 192.0.2.300 of sales in row 2", "sales: 192.0.2.300 of sales in row 2",
                   "cafe: cafe of cafe in row 3, nothing"}));
  // A Destination is an address or a group, and anything else matches nothing.
  EXPECT_EQ(broken(rows, Side::destination), Texts{});
}

TEST(BrokenGroups, ACircleHasOneFault) {
  const std::vector<Row> rows = {
      {"above", {"%one"}}, {"one", {"%two"}}, {"two", {"%one", "a@a.org"}}, {"self", {"!%self"}}};
  for (const Side side : {Side::source, Side::destination}) {
    const Texts found = broken(rows, side);
    ASSERT_EQ(found.size(), 4U);
    const std::string fault = found[1].substr(found[1].find(": "));
    EXPECT_EQ(found[0], "above" + fault);
    EXPECT_EQ(found[2], "two" + fault);
    EXPECT_TRUE(fault == ": %one of two in row 3, circle, nothing" ||
                fault == ": %two of one in row 2, circle, nothing")
        << fault;
    EXPECT_EQ(found[3], "self: !%self of self in row 5, circle, nothing");
  }
}

TEST(BrokenGroups, MembersBeforeTheFaultStillMatch) {
  EXPECT_EQ(broken({{"one", {"a@a.org", "%two"}}, {"two", {"%one"}}, {"off", {"%off", "b@a.org"}}}),
            broken({{"one", {"a@a.org", "%two"}}, {"two", {"%one"}}, {"off", {"%off"}}}));
  for (const std::string& each : broken({{"one", {"a@a.org", "%two"}}, {"two", {"%one"}}})) {
    EXPECT_EQ(each.find("nothing"), std::string::npos) << each;
  }
}

TEST(BrokenGroups, ALongChainIsFollowedOnce) {
  std::vector<Row> rows;
  for (int i = 0; i < 20'000; ++i) {
    rows.push_back({fmt::format("g{}", i), {fmt::format("%g{}", i + 1)}});
  }
  rows.push_back({"g20000", {"300.1.1.1"}});
  EXPECT_EQ(broken(rows).size(), rows.size());
}

}  // namespace
}  // namespace policyd
