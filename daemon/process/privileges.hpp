// SPDX-License-Identifier: AGPL-3.0-only
// Giving up root, once at the start: after the sockets are bound, before any file is opened.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

// Becomes `user` and `group` for good. An empty name stays as it is. `warnings` says where root is
// kept, or where we are not root and so stay who we are. An unknown name is an Error.
Result<void> give_up_root(const std::string& user, const std::string& group,
                          std::vector<std::string>& warnings);

}  // namespace policyd
