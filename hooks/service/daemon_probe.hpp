// SPDX-License-Identifier: AGPL-3.0-only
// One question to the policy daemon, as Postfix would ask it, of a kind that counts nothing.
#pragma once

#include <chrono>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace carbonio {

// The answer ("action=DUNNO"), or why there was none by the deadline. Where the daemon listens on
// every address it is asked on localhost.
policyd::Result<std::string> ask_daemon(const policyd::Config& config,
                                        std::chrono::milliseconds deadline);

}  // namespace carbonio
