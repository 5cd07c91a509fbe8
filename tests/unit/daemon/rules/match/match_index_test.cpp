// SPDX-License-Identifier: AGPL-3.0-only
// Several members and policies together, groups of great depth, and the problems of invalid rows.
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/rules/match/rows.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/daemon/rules/match/matcher_fixture.hpp"

namespace policyd {
namespace {

std::vector<std::uint32_t> matched(const std::vector<MemberRow>& members, const Asked& asked) {
  std::vector<RowProblem> problems;
  const MatchIndex index(members, test_groups(), problems);
  Matcher matcher;
  const auto result = matcher.match(index, to_request(asked));
  return {result.begin(), result.end()};
}

TEST(Match, NeedsBothSides) {
  const std::vector<MemberRow> members = {{1, 0, "@example.org", "@corp.test"},
                                          {2, 1, "@example.org", "@other.test"},
                                          {3, 2, "@other.test", "@corp.test"},
                                          {4, 3, std::nullopt, "!@other.test"}};
  EXPECT_EQ(matched(members, {}), (std::vector<std::uint32_t>{0, 3}));
}

TEST(Match, CountsAPolicyOfSeveralMembersOnceAndInOrder) {
  const std::vector<MemberRow> members = {{1, 7, "@example.org", std::nullopt},
                                          {2, 3, "any", "any"},
                                          {3, 7, "192.0.2.0/24", "@corp.test"},
                                          {4, 0, "alice@*", "%partners"}};
  EXPECT_EQ(matched(members, {}), (std::vector<std::uint32_t>{0, 3, 7}));
}

TEST(Match, WorksWithoutMembersAndGroups) { EXPECT_TRUE(matched({}, {}).empty()); }

TEST(Match, OneMatcherWorksForSeveralIndexes) {
  std::vector<RowProblem> problems;
  const std::vector<MemberRow> few = {{1, 0, "@example.org", std::nullopt}};
  std::vector<MemberRow> many;
  for (std::uint32_t i = 0; i < 100; ++i) {
    many.push_back({i, i, "@domain" + std::to_string(i) + ".test", std::nullopt});
  }
  const MatchIndex first(few, test_groups(), problems);
  const MatchIndex second(many, {}, problems);
  Matcher matcher;
  Asked other;
  other.sender = "a@domain77.test";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(matcher.match(first, to_request({})).size(), 1U);
    EXPECT_EQ(matcher.match(second, to_request({})).size(), 0U);
    ASSERT_EQ(matcher.match(second, to_request(other)).size(), 1U);
    EXPECT_EQ(matcher.match(second, to_request(other))[0], 77U);
  }
}

std::vector<GroupRow> chain(std::size_t length, const std::string& last) {
  std::vector<GroupRow> groups;
  for (std::size_t i = 0; i < length; ++i) {
    const auto member = i + 1 < length ? "%g" + std::to_string(i + 1) : last;
    groups.push_back(group(static_cast<std::int64_t>(i), "g" + std::to_string(i), {member}));
  }
  return groups;
}

bool chain_matches(const std::vector<GroupRow>& groups, const std::string& list) {
  std::vector<RowProblem> problems;
  const std::vector<MemberRow> members = {{1, 0, list, std::nullopt}};
  const MatchIndex index(members, groups, problems);
  Matcher matcher;
  const bool result = !matcher.match(index, to_request({})).empty();
  EXPECT_EQ(plain_match(list, Side::source, to_request({}), groups).matches, result);
  return result;
}

TEST(Match, DepthOfGroupsHasNoLimit) {
  const auto groups = chain(20'000, "@example.org");
  EXPECT_TRUE(chain_matches(groups, "%g0"));
  EXPECT_FALSE(chain_matches(groups, "!%g0"));
}

TEST(Match, LengthOfALoopHasNoLimit) {
  const auto groups = chain(20'000, "%g5");
  EXPECT_FALSE(chain_matches(groups, "%g0"));
  EXPECT_FALSE(chain_matches(groups, "!%g0"));
}

TEST(Match, DepthOfNegatedGroupsHasNoLimit) {
  std::vector<GroupRow> groups;
  for (std::int64_t i = 0; i < 10'001; ++i) {
    const auto member = i < 10'000 ? "!%g" + std::to_string(i + 1) : "@example.org";
    groups.push_back(group(i, "g" + std::to_string(i), {member}));
  }
  EXPECT_TRUE(chain_matches(groups, "%g0"));
  EXPECT_FALSE(chain_matches(groups, "%g1"));
}

TEST(MatchProblems, NameTableRowAndValue) {
  const std::vector<MemberRow> members = {{1, 0, "foo bar,@example.org", "192.0.2.1"},
                                          {2, 0, "300.1.1.1", "%nobody"},
                                          {3, 0, "", "@corp.test,,@x.test"},
                                          {4, 0, "%self", "@fine.test"}};
  std::vector<RowProblem> problems;
  const MatchIndex index(members, test_groups(), problems);
  std::string all;
  for (const auto& p : problems) {
    all += describe(p) + "\n";
  }
  for (const char* expected :
       {"policy_members 1: 'foo bar' is not an address, network, SASL name, group or host name\n",
        "policy_members 1: '192.0.2.1' is not a mail address or group\n",
        "policy_members 2: '300.1.1.1' is not a valid address or network: the list never matches\n",
        "policy_members 2: '%nobody': there is no such group\n",
        "policy_members 3: Destination has an empty item: the list never matches\n",
        "policy_group_members 700: an empty member is ignored\n",
        "policy_group_members 2800: 'nonsense' is not an address",
        "policy_groups 20: group 'self'"}) {
    EXPECT_NE(all.find(expected), std::string::npos) << expected << all;
  }
  EXPECT_EQ(all.find("policy_members 4"), std::string::npos) << all;
}

TEST(MatchProblems, AreShortAndWithoutControlCharacters) {
  const std::vector<MemberRow> members = {{1, 0, "\x1b[31m " + std::string(10'000, 'x'), "any"}};
  std::vector<RowProblem> problems;
  const MatchIndex index(members, {}, problems);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_LT(describe(problems[0]).size(), 200U);
  EXPECT_EQ(describe(problems[0]).find('\x1b'), std::string::npos);
}

TEST(PlainMatch, GivesTheReason) {
  const Asked asked;
  const auto request = to_request(asked);
  EXPECT_EQ(plain_match("@example.org", Side::source, request, test_groups()).because,
            "sender 'alice@example.org' matches '@example.org'");
  EXPECT_EQ(plain_match("%internal_domains", Side::source, request, test_groups()).because,
            "'%internal_domains' matches: sender 'alice@example.org' is in the group");
  EXPECT_EQ(
      plain_match("@example.org,!%partners", Side::destination, request, test_groups()).because,
      "recipient 'bob@corp.test' does not match '@example.org'");
  EXPECT_EQ(plain_match("!%partners", Side::destination, request, test_groups()).because,
            "'!%partners' fails: recipient 'bob@corp.test' is in the group");
}

}  // namespace
}  // namespace policyd
