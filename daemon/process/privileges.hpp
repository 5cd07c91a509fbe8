// SPDX-License-Identifier: AGPL-3.0-only
// Gives up root, once at start-up: after the sockets are bound, before any file is opened.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

// Changes to `user` and `group` permanently; an empty name changes nothing. Adds a warning if root
// is kept, or if we are not root and so cannot change. An unknown name is an Error.
Result<void> give_up_root(const std::string& user, const std::string& group,
                          std::vector<std::string>& warnings);

}  // namespace policyd
