// SPDX-License-Identifier: AGPL-3.0-only
// The domains and networks of this server, as the groups internal_domains and internal_ips have
// them, and the hosts whose mail names its true sender without a login.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

struct OwnNames {
  std::vector<std::string> domains;
  std::vector<std::string> networks;
  std::vector<std::string> host_addresses;  // of this host's interfaces
  std::vector<std::string> mailboxes = {};  // [block] mailboxes: hosts that send web mail

  // A login without a domain is one of this domain; empty if that is not known.
  [[nodiscard]] std::string login_domain() const;
  [[nodiscard]] bool has_domain(std::string_view domain) const;
  [[nodiscard]] bool has_client(const policyd::IpAddress& client) const;
  // Whether this client is a mailbox server: it sends web mail, whose sender is its account. Any
  // other client of an own network, such as a gateway or a printer, may name any sender.
  [[nodiscard]] bool is_mailbox(std::string_view client) const;
};
Result<OwnNames> read_own_names(const Tables& tables);
std::vector<std::string> addresses_of_this_host();

// Of an address or network as typed. A single address is only itself, whatever CBPolicyD makes of
// "2001:db8::1" without a length.
std::optional<policyd::IpNetwork> network_in(std::string_view text);

}  // namespace limits
