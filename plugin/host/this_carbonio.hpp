// SPDX-License-Identifier: AGPL-3.0-only
// This host's Carbonio, for the commands that query or change it: its local config, its name for
// this host, and `carbonio prov`.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "hooks/carbonio/localconfig.hpp"
#include "hooks/carbonio/prov.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

inline constexpr Option kProvTimeoutOption = {
    "prov-timeout", "SECONDS", "wait this long for Carbonio to answer (1 to 3600, default: 60)"};

struct ThisCarbonio {
  carbonio::LocalConfig config;
  std::string server;  // this host's name
  carbonio::Prov prov;
};

// Failures state that nothing was changed: this comes first.
tl::expected<ThisCarbonio, Failure> find_this_carbonio(const std::filesystem::path& zextras_home,
                                                       const Arguments& arguments);

// A number of seconds from 1 to 3600; anything else is wrong use.
tl::expected<std::chrono::seconds, Failure> seconds_of(const Arguments& arguments,
                                                       const Option& option,
                                                       std::chrono::seconds default_value);

}  // namespace limits
