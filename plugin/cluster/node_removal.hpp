// SPDX-License-Identifier: AGPL-3.0-only
// Removes a name of this host from the cluster, once its daemon no longer uses it. Waits for the
// replies, at most some seconds. As the daemon's user, who reads the password.
#pragma once

#include <string>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace limits {

// So that the others do not divide their limits by one host too many. What it counted stays.
policyd::Result<void> remove_node(const policyd::Config& config, const std::string& node);

// What it counted, where its daemon has written that again under another name: it would count
// twice.
policyd::Result<void> remove_counts(const policyd::Config& config, const std::string& node);

}  // namespace limits
