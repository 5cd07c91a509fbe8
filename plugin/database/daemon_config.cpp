// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/daemon_config.hpp"

#include <system_error>

#include "daemon/status/status.hpp"

namespace limits {

DatabaseLocation DaemonConfig::location() const {
  DatabaseLocation out;
  out.file = config.database;
  out.table_prefix = config.table_prefix;
  out.decay = config.quotas_algorithm == policyd::Algorithm::decay;
  out.status_file = policyd::status_file_of(config.pid_file);
  out.configured = configured;
  return out;
}

DaemonConfig find_daemon_config(const std::optional<std::string>& given_database,
                                const std::filesystem::path& zextras_home) {
  DaemonConfig out;
  out.file = zextras_home / "conf" / "cbpolicyd.conf";
  auto loaded = policyd::load_config(out.file);
  out.read = loaded.has_value();
  if (loaded) {
    out.config = std::move(loaded->config);
    out.warnings = std::move(loaded->warnings);
  } else {
    out.why_not = loaded.error().message;
    out.config.quotas = true;
  }
  if (out.config.database.empty()) {
    out.config.database = zextras_home / "data" / "cbpolicyd" / "db" / "cbpolicyd.sqlitedb";
  }
  if (given_database) {
    std::error_code ignored;
    out.configured = *given_database == out.config.database ||
                     std::filesystem::equivalent(*given_database, out.config.database, ignored);
    out.config.database = *given_database;
  }
  return out;
}

}  // namespace limits
