// SPDX-License-Identifier: AGPL-3.0-only
// Section [cluster] of carbonio-limits.conf, as a host that joins or leaves a cluster writes it: it
// is put back as it was if the daemon would then read other settings than those wanted.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// `edit`: from the text of the file to its new text.
policyd::Result<void> write_cluster_section(
    const DaemonConfig& daemon, const std::function<std::string(std::string_view)>& edit,
    const policyd::Config& wanted);

}  // namespace limits
