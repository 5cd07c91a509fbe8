// SPDX-License-Identifier: AGPL-3.0-only
// The rules of matching (CBPolicyD, "Policies"), one by one. Each row is asked of the index and of
// plain_match().
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/rules/match/rows.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/daemon/rules/match/matcher_fixture.hpp"

namespace policyd {
namespace {

struct MatchCase {
  std::string name;
  std::optional<std::string> list;
  Asked asked;
  bool expected;
};

// Through the index, with the list on one side and nothing on the other.
bool index_match(const MatchCase& row, Side side) {
  MemberRow member{1, 0, std::nullopt, std::nullopt};
  (side == Side::source ? member.source : member.destination) = row.list;
  std::vector<RowProblem> problems;
  const std::vector<MemberRow> members{member};
  const MatchIndex index(members, test_groups(), problems);
  Matcher matcher;
  return !matcher.match(index, to_request(row.asked)).empty();
}

void check(const MatchCase& row, Side side) {
  EXPECT_EQ(index_match(row, side), row.expected);
  const auto plain = plain_match(row.list, side, to_request(row.asked), test_groups());
  EXPECT_EQ(plain.matches, row.expected) << plain.because;
  EXPECT_FALSE(plain.because.empty());
}

std::string name_of(const testing::TestParamInfo<MatchCase>& row) { return row.param.name; }

const std::vector<MatchCase> kLists = {
    {"NullIsEverything", std::nullopt, {}, true},
    {"AnyIsEverything", "any", {}, true},
    {"AnyInAnyCase", "aNy", {}, true},
    {"AnyIsInvalid", "any,@example.org", {}, false},
    {"AnyWithSpaceIsInvalid", "any ", {}, false},
    {"EmptyIsNothing", "", {}, false},
    {"OnlyCommasIsNothing", ",,", {}, false},
    {"AllItemsMustMatch", "@example.org,192.0.2.10", {}, true},
    {"OneItemFails", "@example.org,192.0.2.11", {}, false},
    {"NotFails", "!@example.org", {}, false},
    {"NotMatches", "!@corp.test", {}, true},
    {"NotAndPositive", "!@corp.test,192.0.2.10", {}, true},
    {"DoubleNotIsAnAddress", "!!@example.org", {}, true},
    {"WhiteSpaceIsNotTrimmed", " @example.org", {}, false},
    {"WhiteSpaceInItemWithNot", "! @example.org", {}, true},
    {"UnparsableFails", "nonsense", {}, false},
    {"UnparsableWithNotMatches", "!nonsense", {}, true},
    {"UnparsableWithNotAndMore", "!nonsense,@example.org", {}, true},
    {"ImpossibleOctetFails", "300.1.1.1", {}, false},
    {"ImpossibleOctetWithNotFails", "!300.1.1.1", {}, false},
    {"ImpossibleOctetFailsTheList", "@example.org,!300.1.1.1", {}, false},
    {"AddressOfTooFewGroupsFailsTheList", "!2001:db8", {}, false},
    {"EmptyItemAtTheBeginningFails", ",@example.org", {}, false},
    {"EmptyItemBetweenFails", "@example.org,,192.0.2.10", {}, false},
    {"EmptyItemWithNotFails", "@example.org,!", {}, false},
    {"CommaAtTheEndIsIgnored", "@example.org,", {}, true},
    {"LineBreakEndsTheItem", "@example.org\n@corp.test", {}, true},
};

const std::vector<MatchCase> kSources = {
    {"Ipv4", "192.0.2.10", {}, true},
    {"Ipv4Other", "192.0.2.1", {}, false},
    {"Ipv4OneOctetIs8", "10", {.client = "10.200.0.1"}, true},
    {"Ipv4TwoOctetsAre16", "10.1", {.client = "10.2.0.1"}, false},
    {"Ipv4ThreeOctetsAre24", "192.0.2", {}, true},
    {"Ipv4Network", "192.0.2.0/24", {}, true},
    {"Ipv4LengthBeyondIsTheHost", "192.0.2.0/40", {}, false},
    {"Ipv4LengthBeyondWithNot", "!192.0.2.0/40", {}, true},
    {"Ipv4Everything", "0.0.0.0/0", {}, true},
    {"Ipv4EverythingExcludesIpv6", "0.0.0.0/0", {.client = "::1"}, false},
    {"Ipv4AgainstMapped", "192.0.2.10", {.client = "::ffff:192.0.2.10"}, true},
    {"Ipv6", "2001:db8::1", {.client = "2001:db8::1"}, true},
    {"Ipv6Network", "2001:db8::/32", {.client = "2001:db8:1:2::3"}, true},
    {"Ipv6ByGroups", "2001:db8::", {.client = "2001:db8:1:2::3"}, true},
    {"Ipv6ByGroupsOther", "2001:db8:1::", {.client = "2001:db8:2::"}, false},
    {"Ipv6InCapitals", "2001:DB8::A", {.client = "2001:db8::a"}, true},
    {"PeerMatches", "[203.0.113.0/24]", {.peer = "203.0.113.9"}, true},
    {"PeerDiffers", "[203.0.113.0/24]", {.peer = "198.51.100.1"}, false},
    {"PeerWithNot", "![203.0.113.0/24]", {.peer = "198.51.100.1"}, true},
    {"PeerWithNotFails", "![203.0.113.0/24]", {.peer = "203.0.113.9"}, false},
    {"PeerIpv6", "[2001:db8::/32]", {.peer = "2001:db8::9"}, true},
    {"PeerOnUnixSocket", "[203.0.113.0/24]", {}, false},
    {"PeerOnUnixSocketWithNot", "![203.0.113.0/24]", {}, false},
    {"PeerImpossible", "![300.1.1.1]", {.peer = "203.0.113.9"}, false},
    {"SaslName", "$bob", {.sasl = "bob"}, true},
    {"SaslNameIgnoresCase", "$A.B@Corp.Test", {.sasl = "a.b@corp.test"}, true},
    {"SaslNameOther", "$bob", {.sasl = "bobby"}, false},
    {"SaslDotIsADot", "$a.b", {.sasl = "axb"}, false},
    {"SaslStar", "$*", {.sasl = "bob"}, true},
    {"SaslStarNeedsAName", "$*", {.sasl = ""}, false},
    {"SaslStarNeedsAnAttribute", "$*", {}, false},
    {"SaslStarTakesBlanks", "$*", {.sasl = "b ob"}, true},
    {"SaslStarInside", "$b*b@corp.test", {.sasl = "bob@corp.test"}, true},
    {"SaslDomain", "$*@corp.test", {.sasl = "bob@corp.test"}, true},
    {"SaslDomainOther", "$*@corp.test", {.sasl = "bob@x.corp.test"}, false},
    {"SaslDomainWithBlankBefore", "$*@corp.test", {.sasl = "b ob@corp.test"}, true},
    {"SaslStarInsideTakesBlanks", "$b*b@corp.test", {.sasl = "b ob@corp.test"}, true},
    {"SaslBeyondAsciiIgnoresCase", "$ÄNNA", {.sasl = "änna"}, true},
    {"SaslDomainBeyondAscii", "$*@EXÄMPLE.test", {.sasl = "bob@xn--exmple-cua.test"}, true},
    {"SaslPlusIsAPlus", "$bob+tag@corp.test", {.sasl = "bob+tag@corp.test"}, true},
    {"SaslAbsent", "$-", {}, true},
    {"SaslEmpty", "$-", {.sasl = ""}, true},
    {"SaslPresent", "$-", {.sasl = "bob"}, false},
    {"SaslPresentWithNot", "!$-", {.sasl = "bob"}, true},
    {"SaslOnlyDollarIsInvalid", "!$", {}, true},
    {"EmptySender", "@", {.sender = ""}, true},
    {"EmptySenderIsEmpty", "@", {}, false},
    {"EmptySenderHasNoAddress", "@*", {.sender = ""}, false},
    {"EmptySenderIsNotADomain", "!@example.org", {.sender = ""}, true},
    {"HostExactIgnoresCase", "client.EXAMPLE.net", {}, true},
    {"HostOther", "example.net", {}, false},
    {"HostStar", "*.example.net", {}, true},
    {"HostStarInside", "dsl-*.isp.test", {.host = "DSL-1.pool.isp.test"}, true},
    {"HostStarExcludesOtherCharacters", "dsl-*.isp.test", {.host = "dsl-1/pool.isp.test"}, false},
    {"HostEnd", ".example.net", {}, true},
    {"HostEndNeedsTheDot", ".example.net", {.host = "example.net"}, false},
    {"HostEndWithStar", ".ex*.net", {}, true},
    {"HostUnknownIsInvalid", "!unknown", {.host = "unknown"}, true},
    {"HostLastLabelWithStarIsInvalid", "!client.*", {}, true},
    {"HostOctetOfFourDigits", "1000.1.1.1", {.host = "1000.1.1.1"}, true},
};

const std::vector<MatchCase> kAddresses = {
    {"Exact", "alice@example.org", {}, true},
    {"ExactIgnoresCase", "Alice@EXAMPLE.org", {}, true},
    {"ExactOther", "bob@example.org", {}, false},
    {"Domain", "@example.org", {}, true},
    {"DomainIgnoresCase", "@Example.Org", {}, true},
    {"DomainHasNoSubdomains", "@example.org", {.sender = "alice@mail.example.org"}, false},
    {"DomainDotIsADot", "@example.org", {.sender = "alice@examplexorg"}, false},
    {"StarAndDomain", "*@example.org", {}, true},
    {"StarForAnyDomain", "alice@*", {}, true},
    {"StarForAnyDomainOther", "bob@*", {}, false},
    {"StarInDomain", "@*.org", {}, true},
    {"StarForSubdomains", "@*.example.org", {.sender = "alice@a.b.example.org"}, true},
    {"StarForSubdomainsOnly", "@*.example.org", {}, false},
    {"StarInBoth", "al*e@ex*e.org", {}, true},
    {"StarInLocalPart", "a*@example.org", {.sender = "bob@example.org"}, false},
    {"StarForAll", "@*", {}, true},
    {"PlusIsAPlus", "bob+tag@x.test", {.sender = "bob+tag@x.test"}, true},
    {"BracketIsABracket", "b[o]b@x.test", {.sender = "bob@x.test"}, false},
    {"TwoAtSigns", "a@b@x.test", {.sender = "a@b@x.test"}, true},
    {"TwoAtSignsDomain", "@x.test", {.sender = "a@b@x.test"}, true},
    {"DollarInsideIsNotASaslName", "a$lice@x.test", {.sender = "a$lice@x.test"}, true},
};

const std::vector<MatchCase> kDestinations = {
    {"Address", "bob@corp.test", {}, true},
    {"Domain", "@corp.test", {}, true},
    {"Star", "b*@*.test", {}, true},
    {"Group", "%partners", {}, true},
    {"GroupWithNot", "!%partners", {}, false},
    {"RecipientNotSender", "@example.org", {}, false},
    {"NetworkIsInvalid", "192.0.2.0/24", {}, false},
    {"NetworkIsInvalidWithNot", "!192.0.2.0/24", {}, true},
    {"ImpossibleOctetIsInvalidWithNot", "!300.1.1.1", {}, true},
    {"EmptySenderIsInvalid", "@", {.recipient = ""}, false},
    {"HostIsInvalid", "client.example.net", {}, false},
    {"SaslIsInvalid", "$bob", {.sasl = "bob"}, false},
    {"LooksLikeSaslButIsAnAddress", "$bob@corp.test", {.recipient = "$bob@corp.test"}, true},
    {"GroupOfNetworksIsNothing", "%internal_ips", {.client = "10.0.0.1"}, false},
    {"EmptyItemWithNotFails", "!,@corp.test", {}, false},
};

const std::vector<MatchCase> kGroups = {
    {"AnyMemberMatches", "%internal_domains", {}, true},
    {"NoMemberMatches", "%internal_domains", {.sender = "a@b.test"}, false},
    {"WithNot", "!%internal_domains", {.sender = "a@b.test"}, true},
    {"WithNotFails", "!%internal_domains", {}, false},
    {"AndOtherItems", "%internal_ips,%internal_domains", {.client = "10.0.0.1"}, true},
    {"MembersMayBeNetworks", "%partners", {.client = "198.51.100.3"}, true},
    {"Nested", "%nested", {.sender = "a@corp.test"}, true},
    {"NestedSasl", "%nested", {.sasl = "bob"}, true},
    {"NamesHaveCase", "%case", {}, false},
    {"NamesHaveCaseMatching", "%Case", {}, true},
    {"UnknownIsNothing", "%unknown", {}, false},
    {"UnknownWithNot", "!%unknown", {}, true},
    {"EmptyIsNothing", "%empty", {}, false},
    {"EmptyWithNot", "!%empty", {}, true},
    {"EmptyNameIsNothing", "!%", {}, true},
    {"EmptyMemberIsSkipped", "%blank", {}, true},
    {"EmptyMemberIsSkippedWithNot", "!%blank", {.sender = "a@b.test"}, true},
    {"CommasAndLineBreaksSeparateMembers", "%several", {}, true},
    {"MembersByCommaMiddle", "%several", {.sender = "a@b.test"}, true},
    {"MembersByLineBreak", "%several", {.sender = "a@c.test"}, true},
    {"NegatedMember", "%not_example", {.sender = "a@b.test"}, true},
    {"NegatedMemberFails", "%not_example", {}, false},
    {"NegatedGroupOfNegatedMember", "!%not_example", {}, true},
    {"NegatedMemberFurtherUp", "%holds_not_example", {.sender = "a@b.test"}, true},
    {"NegatedMemberFurtherUpOr", "%holds_not_example", {}, true},
    {"TwoPathsAreNotALoop", "%two_ways", {}, true},
    {"TwoPathsWithNot", "!%two_ways", {.sender = "a@b.test"}, true},
    {"GroupTwiceInAList", "%nested,%partners", {.sender = "a@corp.test"}, true},
    {"UnparsableMember", "%odd", {}, true},
    {"PeerMember", "%peers", {.peer = "203.0.113.9"}, true},
    {"PeerMemberWithoutPeer", "%peers", {}, false},
    {"NotPeerMember", "%not_peers", {.peer = "198.51.100.1"}, true},
    {"NotPeerMemberWithoutPeer", "%not_peers", {}, false},
};

const std::vector<MatchCase> kLoops = {
    {"BeforeTheLoopMatches", "%self", {}, true},
    {"AfterTheLoopIsNotTried", "%self", {.sender = "a@corp.test"}, false},
    {"LoopWithNotFails", "!%self", {.sender = "a@corp.test"}, false},
    {"LoopWithNotFailsBeforeItToo", "!%self", {}, false},
    {"LongLoopEnteredAnywhere", "%ring_a", {}, true},
    {"LongLoopEnteredLater", "%ring_c", {}, true},
    {"LongLoopFromItsEnd", "%ring_c", {.sender = "x@a.test"}, true},
    {"LongLoopFails", "%ring_b", {.sender = "a@corp.test"}, false},
    {"LongLoopWithNotFails", "!%ring_b", {.sender = "a@b.test"}, false},
    {"PathToALoop", "%to_ring", {}, true},
    {"PathToALoopFails", "%to_ring", {.sender = "a@corp.test"}, false},
    {"NegatedLoopInAGroup", "%not_ring", {.sender = "a@b.test"}, true},
    {"NegatedLoopInAGroupFails", "%not_ring", {}, false},
    {"BeforeAnImpossibleOctet", "%bad", {.sender = "x@a.test"}, true},
    {"AfterAnImpossibleOctet", "%bad", {}, false},
    {"ImpossibleOctetFurtherUp", "%holds_bad", {.sender = "x@a.test"}, true},
    {"ImpossibleOctetWithNot", "!%bad", {.sender = "a@corp.test"}, false},
    {"ImpossibleOctetFurtherUpWithNot", "!%holds_bad", {.sender = "a@corp.test"}, false},
};

class Source : public testing::TestWithParam<MatchCase> {};
TEST_P(Source, Matches) { check(GetParam(), Side::source); }
INSTANTIATE_TEST_SUITE_P(List, Source, testing::ValuesIn(kLists), name_of);
INSTANTIATE_TEST_SUITE_P(ListItem, Source, testing::ValuesIn(kSources), name_of);
INSTANTIATE_TEST_SUITE_P(Address, Source, testing::ValuesIn(kAddresses), name_of);
INSTANTIATE_TEST_SUITE_P(Group, Source, testing::ValuesIn(kGroups), name_of);
INSTANTIATE_TEST_SUITE_P(Loop, Source, testing::ValuesIn(kLoops), name_of);

class Destination : public testing::TestWithParam<MatchCase> {};
TEST_P(Destination, Matches) { check(GetParam(), Side::destination); }
INSTANTIATE_TEST_SUITE_P(ListItem, Destination, testing::ValuesIn(kDestinations), name_of);

class Recipient : public testing::TestWithParam<MatchCase> {};
TEST_P(Recipient, MatchesLikeASender) {
  MatchCase row = GetParam();
  row.asked.recipient = row.asked.sender;
  check(row, Side::destination);
}
INSTANTIATE_TEST_SUITE_P(Address, Recipient, testing::ValuesIn(kAddresses), name_of);

TEST(PlainMatch, ReportsUnauthenticatedMail) {
  const Request anonymous = to_request({});
  const auto why = [&](std::string_view list) {
    return plain_match(std::string{list}, Side::source, anonymous, {}).because;
  };
  EXPECT_EQ(why("$*"), "unauthenticated mail does not match '$*'");
  EXPECT_EQ(why("!$*"), "unauthenticated mail matches '!$*'");
  EXPECT_EQ(why("$-"), "unauthenticated mail matches '$-'");
}

}  // namespace
}  // namespace policyd
