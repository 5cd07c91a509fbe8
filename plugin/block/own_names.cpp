// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/own_names.hpp"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "daemon/names/name_form.hpp"

namespace limits {
namespace {

bool is_one_of(const std::vector<std::string>& hosts, const policyd::IpAddress& client) {
  return std::any_of(hosts.begin(), hosts.end(), [&](const std::string& text) {
    const auto host = network_in(text);
    return host && host->contains(client);
  });
}

}  // namespace

std::string OwnNames::login_domain() const {
  const bool known = domains.size() == 1 && domains[0].find('*') == std::string::npos;
  return known ? domains[0] : std::string{};
}

bool OwnNames::has_domain(std::string_view domain) const {
  return std::find(domains.begin(), domains.end(), domain) != domains.end();
}

bool OwnNames::has_client(const policyd::IpAddress& client) const {
  return std::any_of(networks.begin(), networks.end(), [&](const std::string& text) {
    const auto network = policyd::IpNetwork::parse(text);
    return network && network->contains(client);
  });
}

bool OwnNames::is_mailbox(std::string_view client) const {
  const auto address = policyd::IpAddress::parse(client);
  return address && (is_one_of(host_addresses, *address) || is_one_of(mailboxes, *address));
}

std::vector<std::string> addresses_of_this_host() {
  std::vector<std::string> out = {"127.0.0.0/8", "::1/128"};
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const int family = each->ifa_addr == nullptr ? AF_UNSPEC : each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    std::array<char, NI_MAXHOST> text{};
    const auto size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (::getnameinfo(each->ifa_addr, static_cast<socklen_t>(size), text.data(), text.size(),
                      nullptr, 0, NI_NUMERICHOST) != 0) {
      continue;
    }
    const std::string_view name = text.data();
    out.emplace_back(name.substr(0, name.find('%')));  // without the interface
  }
  ::freeifaddrs(list);
  return out;
}

Result<OwnNames> read_own_names(const Tables& tables) {
  OwnNames out;
  out.host_addresses = addresses_of_this_host();
  auto done = tables.each(
      "SELECT g.Name, m.Member FROM {p}policy_groups g JOIN {p}policy_group_members m ON "
      "m.PolicyGroupID = g.ID WHERE g.Disabled IS 0 AND m.Disabled IS 0 AND g.Name IN "
      "('internal_domains', 'internal_ips') ORDER BY m.ID",
      {}, [&](const policyd::sql::Statement& row) {
        const std::string_view member = row.text(1);
        if (row.text(0) == "internal_ips") {
          out.networks.emplace_back(member);
        } else if (member.starts_with('@')) {
          out.domains.push_back(policyd::domain_form(member.substr(1)));
        }
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::optional<policyd::IpNetwork> network_in(std::string_view text) {
  if (text.find('/') != std::string_view::npos) return policyd::IpNetwork::parse(text);
  const auto address = policyd::IpAddress::parse(text);
  return address ? std::optional{policyd::IpNetwork{*address, address->bits()}} : std::nullopt;
}

}  // namespace limits
