// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's configuration as a command sees it: the one of conf/cbpolicyd.conf, with --database
// in the place of its database.
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
  bool read = false;           // else `config` is: Quotas alone, and defaults
  std::string why_not;         // where it was not read
  bool configured = true;      // as in DatabasePlace
  std::vector<std::string> warnings;

  [[nodiscard]] DatabasePlace place() const;
};

// Never fails: a configuration that cannot be read is a fact that the caller tells.
DaemonConfig find_daemon_config(const std::optional<std::string>& given_database,
                                const std::filesystem::path& zextras_home);

}  // namespace limits
