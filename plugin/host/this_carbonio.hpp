// SPDX-License-Identifier: AGPL-3.0-only
// This host's Carbonio, for the commands that ask it or change it: its local config, what it calls
// this host, and `carbonio prov`.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "hooks/carbonio/localconfig.hpp"
#include "hooks/carbonio/prov.hpp"
#include "hooks/carbonio/server_attributes.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

inline constexpr Option kProvTimeoutOption = {
    "prov-timeout", "SECONDS", "how long Carbonio may take to answer (1 to 3600, default: 60)"};
inline constexpr Option kServerOption = {"server", "HOST", "these servers, instead of this host",
                                         true};
inline constexpr Option kAllMtaOption = {"all-mta", "", "all MTA hosts of this Carbonio"};

struct ThisCarbonio {
  carbonio::LocalConfig config;
  std::string server;  // this host's name
  carbonio::Prov prov;
};

// Failures say that nothing was changed: it is asked first.
tl::expected<ThisCarbonio, Failure> find_this_carbonio(const std::filesystem::path& zextras_home,
                                                       const Arguments& arguments);

// A number of seconds from 1 to 3600; wrong use otherwise.
tl::expected<std::chrono::seconds, Failure> seconds_of(const Arguments& arguments,
                                                       const Option& option,
                                                       std::chrono::seconds otherwise);

// --server and --all-mta, else this host.
tl::expected<carbonio::Selection, Failure> selected_servers(const Arguments& arguments,
                                                            const std::string& this_host);

}  // namespace limits
