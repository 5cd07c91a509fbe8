// SPDX-License-Identifier: AGPL-3.0-only
// Random rules and requests: the index says what plain_match() says. Seeds are fixed.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {
namespace {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  const std::string& of(const std::vector<std::string>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937 engine_;
};

const std::vector<std::string> kLocalParts = {"alice", "bob",  "a.b", "bob+tag",
                                              "axb",   "$bob", "a@b"};
const std::vector<std::string> kDomains = {"example.org",        "corp.test", "sub.corp.test",
                                           "examplexorg",        "x.y.test",  ".corp.test",
                                           "xn--exmple-cua.test"};
const std::vector<std::string> kClients = {"10.1.2.3",    "10.200.0.1",      "192.0.2.10",
                                           "2001:db8::1", "2001:db8:1:2::3", "::1"};
const std::vector<std::string> kHosts = {"mx1.corp.test", "DSL-1.pool.isp.test", "unknown",
                                         "a@b.corp.test", "example.net",         ""};
const std::vector<std::string> kSasl = {
    "", "-", "bob", "a.b@corp.test", "b ob@corp.test", "*", "bäb", "b@xn--exmple-cua.test"};
const std::vector<std::string> kItems = {"10",
                                         "10.1",
                                         "192.0.2.0/24",
                                         "0.0.0.0/0",
                                         "2001:db8::",
                                         "2001:DB8:1::/48",
                                         "::",
                                         "::1",
                                         "192.0.2.0/40",
                                         "[10]",
                                         "[2001:db8::]",
                                         "$-",
                                         "$*",
                                         "$bob",
                                         "$*@corp.test",
                                         "$B*b",
                                         "@",
                                         "@*",
                                         "*@corp.test",
                                         "@*.corp.test",
                                         "bob@*",
                                         "b*@*.test",
                                         "a.b@*",
                                         "**@*corp.test",
                                         ".corp.test",
                                         "*.isp.test",
                                         "mx1.corp.test",
                                         "a.*.net",
                                         ".*b.corp.test",
                                         "any",
                                         "*@*",
                                         "@*.test",
                                         "nonsense",
                                         "foo bar@baz",
                                         "$*@*.test",
                                         "@EXÄMPLE.test",
                                         "b*@*ämple.test",
                                         "$*@exämple.test",
                                         "$Bäb",
                                         "dsl-*.isp.test"};

std::string hostile(Random& random) {
  switch (random.below(7)) {
    case 0:
      return std::string(10'000, 'a') + "@corp.test";
    case 1:
      return "\xff\xfe@\x80.test";
    case 2:
      return std::string("a\0b@corp.test", 13);
    case 3:
      return std::string(300, '*') + "@" + std::string(300, '*') + "x";
    case 4:
      return "%" + std::string(1'000, '!');
    case 5:
      return "a*a*a*a*a*a*a*a*a*b@corp.test";
    default: {
      std::string text;
      for (std::size_t i = random.below(12); i > 0; --i) {
        text += static_cast<char>(random.below(256));
      }
      return text;
    }
  }
}

std::string group_name(Random& random) { return "g" + std::to_string(random.below(9)); }

std::string item(Random& random, bool with_errors) {
  std::string text = random.one_in(4) ? "!" : "";
  const auto kind = random.below(20);
  if (kind < 6) return text + "%" + group_name(random);
  if (kind < 10) return text + random.of(kItems);
  if (kind < 13) return text + "@" + random.of(kDomains);
  if (kind < 16) return text + random.of(kLocalParts) + "@" + random.of(kDomains);
  if (kind < 17) return text + random.of(kClients);
  if (kind < 18) return text + "$" + random.of(kSasl);
  if (kind < 19) return text + hostile(random);
  return with_errors && random.one_in(2) ? text + "300.1.1.1" : text;
}

std::optional<std::string> list(Random& random) {
  if (random.one_in(8)) return std::nullopt;
  if (random.one_in(12)) return random.of({"any", "", ",", "ANY"});
  std::string text = item(random, random.one_in(10));
  for (std::size_t i = random.below(3); i > 0; --i) text += "," + item(random, random.one_in(10));
  return text;
}

// `loops`: members may name any group; otherwise only groups after their own.
std::vector<GroupRow> groups(Random& random, bool loops, bool errors) {
  std::vector<GroupRow> rows;
  for (std::size_t g = 0; g < 8; ++g) {  // g8 does not exist
    GroupRow row{static_cast<std::int64_t>(g), "g" + std::to_string(g), {}};
    for (std::size_t m = random.one_in(6) ? 0 : random.below(5); m > 0; --m) {
      auto text = item(random, errors);
      const auto name = text.find("%g");
      if (!loops && name != std::string::npos && name <= 1) {
        text.resize(name);
        text += "%g" + std::to_string(g + 1 + random.below(8));
      }
      row.members.push_back({static_cast<std::int64_t>(m), text});
    }
    rows.push_back(row);
  }
  return rows;
}

struct OwnedRequest {
  std::string sender;
  std::string recipient;
  std::optional<std::string> sasl;
  std::string host;
  Request request;
};

std::string address(Random& random) {
  if (random.one_in(10)) return {};
  auto text =
      random.one_in(20) ? hostile(random) : random.of(kLocalParts) + "@" + random.of(kDomains);
  lower_case(text);
  return text;
}

void fill(OwnedRequest& owned, Random& random) {
  owned.sender = address(random);
  owned.recipient = address(random);
  owned.host = random.one_in(20) ? hostile(random) : random.of(kHosts);
  owned.sasl = std::nullopt;
  if (!random.one_in(3)) owned.sasl = random.one_in(20) ? hostile(random) : random.of(kSasl);
  if (owned.sasl) lower_case(*owned.sasl);
  owned.request = Request{};
  owned.request.sender = owned.sender;
  owned.request.recipient = owned.recipient;
  owned.request.reverse_client_name = owned.host;
  if (owned.sasl) owned.request.sasl_username = *owned.sasl;
  owned.request.client_address = *IpAddress::parse(random.of(kClients));
  if (random.one_in(2)) owned.request.peer_address = IpAddress::parse(random.of(kClients));
}

std::vector<std::uint32_t> plainly(const std::vector<MemberRow>& members,
                                   const std::vector<GroupRow>& rows, const Request& request,
                                   const Extensions& extensions) {
  std::set<std::uint32_t> policies;
  for (const auto& member : members) {
    if (plain_match(member.source, Side::source, request, rows, extensions).matches &&
        plain_match(member.destination, Side::destination, request, rows, extensions).matches) {
      policies.insert(member.policy);
    }
  }
  return {policies.begin(), policies.end()};
}

std::string describe(const std::vector<MemberRow>& members, const std::vector<GroupRow>& rows) {
  std::string text;
  for (const auto& member : members) {
    text += std::to_string(member.policy) + ": " + member.source.value_or("NULL") + " -> " +
            member.destination.value_or("NULL") + "\n";
  }
  for (const auto& row : rows) {
    text += row.name + ":";
    for (const auto& member : row.members) text += " [" + member.text + "]";
    text += "\n";
  }
  return text;
}

class MatchProperty : public testing::TestWithParam<std::uint32_t> {};

TEST_P(MatchProperty, IndexAgreesWithPlainMatch) {
  Random random(GetParam());
  Matcher matcher;
  OwnedRequest owned;
  std::size_t matches = 0;
  const std::vector<GroupRow> own_rows{{1, "internal_domains", {{1, "@*"}}}};
  const OwnDomains own{own_rows};
  for (int round = 0; round < 250; ++round) {
    const auto rows = groups(random, round % 2 == 0, round % 5 == 0);
    std::vector<MemberRow> members;
    for (std::uint32_t i = 0; i < 12; ++i) {
      auto source = list(random);
      members.push_back({i, static_cast<std::uint32_t>(random.below(9)), source, list(random)});
    }
    std::vector<RowProblem> problems;
    const MatchIndex index(members, rows, problems);
    for (int i = 0; i < 12; ++i) {
      fill(owned, random);
      const Extensions extensions{round % 3 == 0 ? "+." : "", own};
      const auto found = matcher.match(index, owned.request, extensions);
      const std::vector<std::uint32_t> indexed(found.begin(), found.end());
      matches += indexed.size();
      ASSERT_EQ(indexed, plainly(members, rows, owned.request, extensions))
          << "round " << round << "\n"
          << describe(members, rows) << owned.sender << " " << owned.recipient << " "
          << owned.sasl.value_or("(none)") << " " << owned.host << " "
          << owned.request.client_address.to_string();
    }
  }
  EXPECT_GT(matches, 1'000U);  // the random rules are about something
}

INSTANTIATE_TEST_SUITE_P(Seeds, MatchProperty, testing::Range(1U, 9U));

}  // namespace
}  // namespace policyd
