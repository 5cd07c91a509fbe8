// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/account_key.hpp"

#include <fmt/core.h>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"

namespace limits {
namespace {

bool is_web_mail(const Origin& by, const OwnNames& own) {
  const auto client = policyd::IpAddress::parse(by.client);
  return client && own.has_domain(policyd::domain_of(by.sender)) && own.has_client(*client);
}

}  // namespace

std::string account_key(const Origin& by, const OwnNames& own) {
  if (!by.login.empty()) return fmt::format("SASLUsername:{}", by.login);
  return is_web_mail(by, own) ? fmt::format("Sender:{}", by.sender) : std::string{};
}

bool is_certain(const Origin& by, const OwnNames& own) {
  return !by.login.empty() || own.is_mailbox(by.client);
}

}  // namespace limits
