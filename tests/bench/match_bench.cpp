// SPDX-License-Identifier: AGPL-3.0-only
// One match() with ten policies and with ten thousand policies and a hundred thousand group
// members. Both have the same mix of rules; a request matches one policy of its own and two for
// all.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {
namespace {

constexpr std::size_t kRequests = 64;

struct Rules {
  std::vector<MemberRow> members;
  std::vector<GroupRow> groups;
};

std::string domain(std::size_t i) { return "domain" + std::to_string(i) + ".test"; }

// One of: a domain, an address, a SASL name, a network.
std::string group_member(std::size_t i) {
  const auto number = std::to_string(i);
  switch (i % 4) {
    case 0:
      return "@member" + number + ".test";
    case 1:
      return "user" + number + "@example.org";
    case 2:
      return "$account" + number;
    default:
      return "10." + std::to_string(i >> 16 & 0xff) + "." + std::to_string(i >> 8 & 0xff) + "." +
             std::to_string(i & 0xff) + "/" + (i % 8 == 3 ? "32" : "30");
  }
}

Rules make_rules(std::size_t policies, std::size_t members_of_all_groups) {
  Rules rules;
  const auto add_group = [&rules](std::string name, std::size_t first, std::size_t count) {
    GroupRow row{static_cast<std::int64_t>(rules.groups.size()), std::move(name), {}};
    for (std::size_t i = first; i < first + count; ++i) {
      row.members.push_back({static_cast<std::int64_t>(i), group_member(i)});
    }
    rules.groups.push_back(std::move(row));
  };
  rules.groups.push_back({0, "internal_ips", {{1, "192.0.2.0/24"}, {2, "2001:db8::/32"}}});
  rules.groups.push_back({1, "internal_domains", {{3, "@example.org"}, {4, "@example.com"}}});
  for (std::size_t i = 0; i < policies; ++i) {
    const auto policy = static_cast<std::uint32_t>(i);
    const auto name = "group" + std::to_string(i);
    add_group(name, i * members_of_all_groups / policies, members_of_all_groups / policies);
    MemberRow row{policy, policy, std::nullopt, std::nullopt};
    switch (i % 5) {
      case 0:
        row.source = "@" + domain(i) + ",%internal_ips";
        row.destination = "!%internal_domains";
        break;
      case 1:
        row.source = "%" + name + ",%internal_ips";
        break;
      case 2:
        row.source = "$user" + std::to_string(i) + ",!@partner.test";
        row.destination = "any";
        break;
      case 3:
        row.source = "!%" + name + ",%internal_ips";
        row.destination = "@" + domain(i);
        break;
      default:
        row.source = "%internal_domains,!%internal_ips";
        row.destination = "%" + name;
    }
    rules.members.push_back(std::move(row));
  }
  const auto last = static_cast<std::uint32_t>(policies);
  rules.members.push_back({last, last, std::nullopt, std::nullopt});
  rules.members.push_back({last + 1, last + 1, "%internal_ips", "any"});
  return rules;
}

struct Text {
  std::string sender;
  std::string recipient;
  std::string sasl;
};

// Spread over the rules, so that the big tables are read everywhere.
std::vector<Text> make_texts(std::size_t policies) {
  std::vector<Text> texts;
  for (std::size_t i = 0; i < kRequests; ++i) {
    const auto policy = (i * policies / kRequests) / 5 * 5;
    texts.push_back({"alice@" + domain(policy), "bob" + std::to_string(i) + "@elsewhere.test",
                     "alice@" + domain(policy)});
  }
  return texts;
}

void match_all(benchmark::State& state, std::size_t policies, std::size_t members) {
  const auto rules = make_rules(policies, members);
  std::vector<RowProblem> problems;
  const MatchIndex index(rules.members, rules.groups, problems);
  const auto texts = make_texts(policies);
  Matcher matcher;
  Request request;
  request.client_address = IpAddress::v4(0xc0000205);  // 192.0.2.5
  request.reverse_client_name = "client.example.net";
  std::size_t next = 0;
  std::size_t matches = 0;
  while (state.KeepRunning()) {
    const auto& text = texts[next++ % kRequests];
    request.sender = text.sender;
    request.recipient = text.recipient;
    request.sasl_username = text.sasl;
    matches += matcher.match(index, request).size();
  }
  state.counters["policies a request"] =
      benchmark::Counter(static_cast<double>(matches), benchmark::Counter::kAvgIterations);
}

void match_ten_policies(benchmark::State& state) { match_all(state, 10, 100); }
void match_ten_thousand_policies(benchmark::State& state) { match_all(state, 10'000, 100'000); }

void build_ten_thousand_policies(benchmark::State& state) {
  const auto rules = make_rules(10'000, 100'000);
  while (state.KeepRunning()) {
    std::vector<RowProblem> problems;
    const MatchIndex index(rules.members, rules.groups, problems);
    benchmark::DoNotOptimize(problems.size());
  }
}

BENCHMARK(match_ten_policies);
BENCHMARK(match_ten_thousand_policies);
BENCHMARK(build_ten_thousand_policies)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace policyd
BENCHMARK_MAIN();
