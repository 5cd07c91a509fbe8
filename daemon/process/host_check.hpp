// SPDX-License-Identifier: AGPL-3.0-only
// Checks a valid configuration against this host, for --check-config.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace policyd {

// Returns the problems, one line each with what to do: users, hosts and folders that do not exist,
// no module enabled. Opens and changes nothing; a host name may be looked up in the DNS.
std::vector<std::string> check_host(const Config& config);

}  // namespace policyd
