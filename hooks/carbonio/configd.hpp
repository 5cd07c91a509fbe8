// SPDX-License-Identifier: AGPL-3.0-only
// carbonio-configd, which generates cbpolicyd.conf and Postfix's main.cf: a request to do so now.
// The newer version answers before it has written the files, and rarely writes them unasked; the
// older one answers afterwards, and checks for changes every 60 s. So the caller must check the
// files, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace carbonio {

enum class RewriteRequest : std::uint8_t { accepted, not_running };

// One connection to the loopback (IPv4, else IPv6), one line "REWRITE `sections`", one answer.
// `not_running` if the port is closed. An Error if the answer is not success, or does not come
// within `within`.
policyd::Result<RewriteRequest> request_rewrite(std::uint16_t port, std::string_view sections,
                                                std::chrono::milliseconds within);

}  // namespace carbonio
