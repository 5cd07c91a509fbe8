// SPDX-License-Identifier: AGPL-3.0-only
// The beginning of most modules' log lines, to the letter of CBPolicyD. Pure.
#pragma once

#include <string>
#include <string_view>

#include "daemon/protocol/request.hpp"

namespace policyd {

// "module=AccessControl, action=reject, host=..., helo=..., from=..., to=..., reason=verdict"
std::string mail_line(std::string_view module, std::string_view what, const Request& request,
                      std::string_view recipient, std::string_view reason);

}  // namespace policyd
