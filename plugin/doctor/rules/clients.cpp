// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: Tracks that count clients. One prefix length is for both kinds of addresses, but a
// provider's customers have a /64 each of IPv6, and share whatever is shorter than a /48.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/evident/evident_values.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr int kOneHost = 32;      // of IPv4
constexpr int kOneCustomer = 48;  // of IPv6

// The prefix length if IPv6 clients are counted by networks that many customers share.
std::optional<int> shared_length(const std::string& track) {
  // One that the daemon does not understand will be what it was meant to be.
  const auto parsed = policyd::Track::parse(evident_track(track).value_or(track));
  if (!parsed || parsed->method != policyd::TrackMethod::sender_ip) return std::nullopt;
  if (parsed->prefix_length >= kOneCustomer) return std::nullopt;
  return parsed->prefix_length;
}

// Whether no client with an IPv6 address matches: each member names a network of IPv4.
bool is_for_v4_only(const std::vector<PolicyMember>& members) {
  const auto is_v4 = [](std::string_view text) {
    const auto item = policyd::parse_item(text, policyd::Side::source);
    return item.kind == policyd::ItemKind::client_network && !item.negated &&
           item.network.address.is_v4();
  };
  return std::all_of(members.begin(), members.end(), [&](const PolicyMember& member) {
    if (policyd::matches_everything(member.source)) return false;
    const auto items = policyd::list_items(*member.source);
    return std::any_of(items.begin(), items.end(), is_v4);
  });
}

// The policy that every fresh database has, for @example.net.
bool is_example(const std::vector<PolicyMember>& members) {
  return std::all_of(members.begin(), members.end(),
                     [](const PolicyMember& member) { return member.source == "@example.net"; });
}

Fix fix_for_clients(const RuleRows& rows, const StoredLimit& limit, int length) {
  if (length == kOneHost) {
    std::vector<std::int64_t> quotas;
    for (const StoredRate& rate : limit.rates) quotas.push_back(rate.quota_id);
    std::sort(quotas.begin(), quotas.end());
    quotas.erase(std::unique(quotas.begin(), quotas.end()), quotas.end());
    return rows.sql({fmt::format("UPDATE {} SET Track = 'SenderIP:/128' WHERE ID IN ({})",
                                 rows.table("quotas"), fmt::join(quotas, ", "))});
  }
  return advice(fmt::format(
      "no Track counts the two kinds of addresses differently: let the members of policy {} name "
      "0.0.0.0/0 too (Source 'X,0.0.0.0/0'), and copy the policy for ::/0 with Track "
      "'SenderIP:/64'",
      limit.policy_id));
}

}  // namespace

void check_clients(const RuleRows& rows, Findings& findings) {
  for (const StoredLimit& limit : rows.all.limits) {
    const auto length = shared_length(limit.track);
    const auto& members = rows.members_of(limit.policy_id);
    if (!limit.partly_enabled() || !length || members.empty()) continue;
    if (is_for_v4_only(members) || is_example(members)) continue;
    findings.wrong(problem::kClients,
                   *length == kOneHost
                       ? fmt::format("limit {} counts IPv4 clients one by one, but IPv6 clients by "
                                     "/32 network",
                                     limit.id)
                       : fmt::format("limit {} ({}) counts IPv6 clients by /{} network", limit.id,
                                     escaped(limit.track), *length),
                   "all IPv6 customers of a provider share one counter, which one of them can use "
                   "up",
                   fix_for_clients(rows, limit, *length));
  }
}

}  // namespace limits
