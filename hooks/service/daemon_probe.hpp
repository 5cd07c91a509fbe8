// SPDX-License-Identifier: AGPL-3.0-only
// One request to the policy daemon, as Postfix would send it, of a kind that counts nothing.
#pragma once

#include <chrono>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace carbonio {

// The answer ("action=DUNNO"), or why there was none within `within`. A daemon that listens on
// every address is asked on localhost.
policyd::Result<std::string> probe_daemon(const policyd::Config& config,
                                          std::chrono::milliseconds within);

}  // namespace carbonio
