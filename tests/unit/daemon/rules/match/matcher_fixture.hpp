// SPDX-License-Identifier: AGPL-3.0-only
// A request, and groups of every sort, for the tests of matching.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

// What a row says about the request; the rest is as in every row.
struct Asked {
  std::string sender = "alice@example.org";
  std::string recipient = "bob@corp.test";
  std::string client = "192.0.2.10";
  std::string host = "Client.example.net";
  std::optional<std::string> sasl = std::nullopt;
  std::string peer = {};
};

inline Request to_request(const Asked& asked) {
  Request request;
  request.state = ProtocolState::rcpt;
  request.sender = asked.sender;
  request.recipient = asked.recipient;
  request.client_address = *IpAddress::parse(asked.client);
  request.reverse_client_name = asked.host;
  if (asked.sasl) request.sasl_username = *asked.sasl;
  if (!asked.peer.empty()) request.peer_address = IpAddress::parse(asked.peer);
  return request;
}

inline GroupRow group(std::int64_t id, std::string name, const std::vector<std::string>& members) {
  GroupRow row{id, std::move(name), {}};
  for (const auto& member : members) {
    row.members.push_back({id * 100 + static_cast<std::int64_t>(row.members.size()), member});
  }
  return row;
}

inline const std::vector<GroupRow>& test_groups() {
  static const std::vector<GroupRow> groups = {
      group(1, "internal_ips", {"10.0.0.0/8"}),
      group(2, "internal_domains", {"@example.org", "@example.com"}),
      group(3, "partners", {"@corp.test", "bob@example.com", "198.51.100.0/24"}),
      group(4, "nested", {"%partners", "$bob"}),
      group(5, "empty", {}),
      group(6, "Case", {"@example.org"}),
      group(7, "blank", {"", "@example.org"}),
      group(8, "several", {"@a.test,@b.test\r\n@c.test\n,@example.org"}),
      group(9, "not_example", {"!@example.org"}),
      group(10, "holds_not_example", {"%not_example", "@example.org"}),
      group(11, "two_ways", {"%partners", "%nested", "%partners", "@example.org"}),
      group(20, "self", {"@example.org", "%self", "@corp.test"}),
      group(21, "ring_a", {"@a.test", "%ring_b"}),
      group(22, "ring_b", {"@example.org", "%ring_c"}),
      group(23, "ring_c", {"%ring_a", "@corp.test"}),
      group(24, "to_ring", {"%ring_b", "@corp.test"}),
      group(25, "not_ring", {"@b.test", "!%ring_b", "@corp.test"}),
      group(26, "bad", {"@a.test", "300.1.1.1", "@example.org"}),
      group(27, "holds_bad", {"%bad"}),
      group(28, "odd", {"nonsense", "!more nonsense"}),
      group(29, "peers", {"[203.0.113.0/24]", "!@example.org"}),
      group(30, "not_peers", {"![203.0.113.0/24]"}),
  };
  return groups;
}

}  // namespace policyd
