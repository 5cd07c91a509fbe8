// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/text/mail_line.hpp"

#include <fmt/core.h>

namespace policyd {

std::string mail_line(std::string_view module, std::string_view what, const Request& request,
                      std::string_view recipient, std::string_view reason) {
  return fmt::format("module={}, {}, host={}, helo={}, from={}, to={}, reason={}", module, what,
                     request.client_address.to_short_string(), request.helo_name, request.sender,
                     recipient, reason);
}

}  // namespace policyd
