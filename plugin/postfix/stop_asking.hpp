// SPDX-License-Identifier: AGPL-3.0-only
// How an admin whose Postfix is not Carbonio's takes the policy service out of its configuration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/postfix/postfix_asks.hpp"

namespace limits {

// A list of restrictions without our policy service; unchanged if it does not name it. `ours` are
// policy_service_names.
std::string without_us(std::string_view list, const std::vector<std::string>& ours);

// For the output of `postconf -n` and `postconf -P`: the commands that remove the policy service
// wherever it stands, as typed in a shell, without the reload of Postfix. Pure.
std::vector<std::string> stop_asking_commands(std::string_view main_cf, std::string_view overrides,
                                              const std::vector<std::string>& ours,
                                              const std::string& postconf);

// The same for this host, where `facts` were read; empty if its postconf does not answer.
std::vector<std::string> stop_asking_commands(const PostfixFacts& facts,
                                              const std::vector<std::string>& ours);

}  // namespace limits
