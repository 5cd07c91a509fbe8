// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/own_addresses.hpp"

#include <gtest/gtest.h>

#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "tests/unit/daemon/rules/match/matcher_fixture.hpp"

namespace policyd {
namespace {

const std::vector<GroupRow> kGroups = {
    group(1, "internal_ips", {"127.0.0.0/8", "@not.example"}),
    group(2, "internal_domains",
          {"@own.example", "*@second.example,@third.example", "@*.sub.example", "!@fourth.example",
           "anna@single.example", "%more", "%internal_domains", "%none", "@EXÄMPLE.org"}),
    group(3, "more", {"@nested.example", "%internal_domains"}),
};

TEST(OwnDomains, AreThoseOfTheGroup) {
  const OwnDomains own{kGroups};
  for (const char* domain : {"own.example", "second.example", "third.example", "a.sub.example",
                             "nested.example", "xn--exmple-cua.org"}) {
    EXPECT_TRUE(own.hold(domain)) << domain;
  }
  for (const char* domain : {"", "example", "sub.example", "x.own.example", "fourth.example",
                             "not.example", "single.example"}) {
    EXPECT_FALSE(own.hold(domain)) << domain;
  }
  EXPECT_FALSE(OwnDomains{}.hold("own.example"));
}

TEST(Extensions, AreThoseOfOwnAddresses) {
  const OwnDomains own{kGroups};
  const Extensions extensions{"+", own};
  struct Row {
    const char* address;
    const char* user;
  };
  for (const Row& row : {
           Row{"anna+1@own.example", "anna@own.example"},
           Row{"anna@own.example", "anna@own.example"},
           Row{"anna+1@a.sub.example", "anna@a.sub.example"},
           // Of other hosts: a mailing list sends each mail from another address.
           Row{"list+bounce-123=user=own.example@example.net",
               "list+bounce-123=user=own.example@example.net"},
           Row{"anna+1", "anna"},  // Postfix completes it with its own domain
           Row{"+1@own.example", "+1@own.example"},
           Row{"srs0+ab=cd=example.net=eve@own.example", "srs0+ab=cd=example.net=eve@own.example"},
           Row{"a+b@c@own.example", "a@own.example"},
           Row{"", ""},
       }) {
    EXPECT_EQ(without_extension(row.address, extensions), row.user);
    EXPECT_EQ(without_extension(row.address, Extensions{}), row.address);
  }
}

TEST(Extensions, MatchWhatTheUserMatches) {
  const OwnDomains own{kGroups};
  struct Row {
    const char* list;
    const char* address;
    bool expected;
  };
  for (const Row& row : {
           Row{"anna@own.example", "anna+1@own.example", true},
           Row{"anna+1@own.example", "anna+1@own.example", true},
           Row{"anna+1@own.example", "anna+2@own.example", false},
           Row{"anna+1@own.example", "anna@own.example", false},
           Row{"anna@*", "anna+1@own.example", true},
           Row{"*na@own.*", "anna+1@own.example", true},
           Row{"a*@own.*", "anna+1@own.example", true},
           Row{"*+1@own.example", "anna+1@own.example", true},
           Row{"bob@own.example", "anna+1@own.example", false},
           Row{"!anna@own.example", "anna+1@own.example", false},
           Row{"!bob@own.example", "anna+1@own.example", true},
           Row{"@own.example,!anna@own.example", "anna+1@own.example", false},
           Row{"anna@far.example", "anna+1@far.example", false},
           Row{"anna+1@far.example", "anna+1@far.example", true},
       }) {
    for (const Side side : {Side::source, Side::destination}) {
      MemberRow member{1, 0, std::nullopt, std::nullopt};
      (side == Side::source ? member.source : member.destination) = row.list;
      Asked asked;
      (side == Side::source ? asked.sender : asked.recipient) = row.address;
      const Request request = to_request(asked);
      const Extensions extensions{"+", own};
      std::vector<RowProblem> problems;
      const std::vector<MemberRow> members{member};
      const MatchIndex index{members, kGroups, problems};
      Matcher matcher;
      EXPECT_EQ(!matcher.match(index, request, extensions).empty(), row.expected)
          << row.list << ' ' << row.address;
      EXPECT_EQ(plain_match(row.list, side, request, kGroups, extensions).matches, row.expected)
          << row.list << ' ' << row.address;
    }
  }
}

}  // namespace
}  // namespace policyd
