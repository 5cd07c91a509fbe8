// SPDX-License-Identifier: AGPL-3.0-only
// carbonio-configd, which generates cbpolicyd.conf and Postfix's main.cf: asking it to do so now.
// The newer one answers before it has rewritten, and rewrites without a request only now and then;
// the older one answers afterwards, and looks by itself every 60 s. So whoever asks must look at
// the files, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace carbonio {

enum class Rewriting : std::uint8_t { asked, nobody_there };

// One connection to the loopback (IPv4, else IPv6), one line "REWRITE `sections`", one answer.
// `nobody_there` where the port is closed. An Error where the answer is not that it was done, or
// does not come within `within`.
policyd::Result<Rewriting> ask_to_rewrite(std::uint16_t port, std::string_view sections,
                                          std::chrono::milliseconds within);

}  // namespace carbonio
