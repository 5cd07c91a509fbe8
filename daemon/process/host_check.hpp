// SPDX-License-Identifier: AGPL-3.0-only
// What on this host does not fit a configuration that can be read: for --check-config.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace policyd {

// Users, hosts, folders and modules that the configuration names and that are not there. One line
// each, with what to do. Nothing is opened or changed; a host's name may be asked of the DNS.
std::vector<std::string> check_host(const Config& config);

}  // namespace policyd
