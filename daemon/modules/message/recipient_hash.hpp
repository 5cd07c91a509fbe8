// SPDX-License-Identifier: AGPL-3.0-only
// A recipient as limits on different ones know it: without its extension, as in track keys.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/base/mail_address.hpp"
#include "daemon/counting/distinct_recipients.hpp"
#include "daemon/rules/match/own_addresses.hpp"

namespace policyd {

// `recipient` in the form of names.
[[nodiscard]] inline std::uint64_t recipient_hash(std::string_view recipient,
                                                  const Extensions& extensions) {
  return DistinctRecipients::hash_of(extensions.user_of(recipient),
                                     recipient.substr(local_part_of(recipient).size()));
}

}  // namespace policyd
