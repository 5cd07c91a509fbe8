// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's configuration for a command: that of conf/cbpolicyd.conf, but with the database
// given by --database.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

struct DaemonConfig {
  policyd::Config config;
  std::filesystem::path file;  // cbpolicyd.conf
  bool read = false;           // if not, `config` has defaults and only Quotas enabled
  std::string why_not;         // the error if it was not read
  bool configured = true;      // as in DatabaseLocation
  std::vector<std::string> warnings;

  [[nodiscard]] DatabaseLocation location() const;
};

// Never fails: the caller reports a configuration that cannot be read.
DaemonConfig find_daemon_config(const std::optional<std::string>& given_database,
                                const std::filesystem::path& zextras_home);

}  // namespace limits
