// SPDX-License-Identifier: AGPL-3.0-only
// Which account has sent a message, as signals count: its login, or, without one, the sender of
// mail that comes from an own domain through an own network: web mail.
#pragma once

#include <string>
#include <string_view>

#include "plugin/block/whom.hpp"

namespace limits {

// Names in the daemon's form (daemon/names/name_form.hpp).
struct Origin {
  std::string_view client;
  std::string_view login;
  std::string_view sender;
};

// The account's counter, "SASLUsername:anna"; empty: none that is known.
std::string account_key(const Origin& by, const OwnNames& own);

// Whether that account has really sent it: a mailbox server has checked who its sender is, while a
// gateway, printer or backup MX of an own network passes on what others claim.
bool is_certain(const Origin& by, const OwnNames& own);

}  // namespace limits
