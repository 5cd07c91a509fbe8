// SPDX-License-Identifier: AGPL-3.0-only
// One request to the policy daemon, as Postfix would send it, of a kind that counts nothing.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace carbonio {

// The first line that whoever listens at the address of `config` answers to `request`, or why there
// was none within `within`. Who listens on every address is asked on localhost.
policyd::Result<std::string> ask_listener(const policyd::Config& config, std::string_view request,
                                          std::chrono::milliseconds within);

// The answer ("action=DUNNO"), or why there was none within `within`.
policyd::Result<std::string> probe_daemon(const policyd::Config& config,
                                          std::chrono::milliseconds within);

}  // namespace carbonio
