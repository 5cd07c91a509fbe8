// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/account_key.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"

namespace limits {
namespace {

bool is_web_mail(const SentBy& by, const OwnNames& own) {
  const std::string_view domain = policyd::domain_of(by.sender);
  const auto client = policyd::IpAddress::parse(by.client);
  return client && std::find(own.domains.begin(), own.domains.end(), domain) != own.domains.end() &&
         std::any_of(own.networks.begin(), own.networks.end(), [&](const std::string& text) {
           const auto network = policyd::IpNetwork::parse(text);
           return network && network->contains(*client);
         });
}

}  // namespace

std::string account_key(const SentBy& by, const OwnNames& own) {
  if (!by.login.empty()) return fmt::format("SASLUsername:{}", by.login);
  return is_web_mail(by, own) ? fmt::format("Sender:{}", by.sender) : std::string{};
}

}  // namespace limits
