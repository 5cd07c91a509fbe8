// SPDX-License-Identifier: AGPL-3.0-only
// Finds the daemon's configuration and the database that a command works on, and opens it as the
// user who owns it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// conf/cbpolicyd.conf, but with the database of a command.
struct DaemonConfig {
  policyd::Config config;
  std::filesystem::path file;  // cbpolicyd.conf
  bool read = false;           // if not, `config` has defaults and only Quotas enabled
  std::string why_not;         // the error if it was not read
  bool configured = true;      // the database is the daemon's, not just one from --database
  std::vector<std::string> warnings;

  // It counts like the Perl daemon ([Quotas] algorithm=decay).
  [[nodiscard]] bool decays() const { return config.quotas_algorithm == policyd::Algorithm::decay; }
};

// The database is the given one (--database), or that of the configuration, or Carbonio's default
// below `zextras_home`. Never fails: the caller reports a configuration that cannot be read.
DaemonConfig find_daemon_config(const std::optional<std::string>& given_database,
                                const std::filesystem::path& zextras_home);

// Why it was not read, and what creates it if it is not there.
std::string why_not_with_advice(const DaemonConfig& daemon);

// The same, but an Error if no database is given and the configuration exists but cannot be read.
Result<DaemonConfig> find_database(const std::optional<std::string>& given_database,
                                   const std::filesystem::path& zextras_home);

// Creates it, and missing folders above it, as the current user.
Result<void> make_database(const DaemonConfig& daemon);

struct OpenDatabase {
  policyd::sql::Handle handle;
  Tables tables;
};

// Opens an existing database; this process becomes its owner first. Waits 5 seconds for locks.
Result<OpenDatabase> open_as_owner(const DaemonConfig& daemon);

}  // namespace limits
