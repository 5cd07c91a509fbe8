// SPDX-License-Identifier: AGPL-3.0-only
// Finds the database that a command works on, and opens it as the user who owns it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

struct DatabaseLocation {
  std::filesystem::path file;
  std::string table_prefix;
  bool decay = false;  // the daemon counts like the Perl daemon ([Quotas] algorithm=decay)
  std::filesystem::path status_file = {};  // the daemon's
  bool configured = true;                  // it is the daemon's, not just one from --database
};

// `given` (--database), or the database in conf/cbpolicyd.conf if it can be read, or Carbonio's
// default below `zextras_home`. The other settings come from the configuration in any case.
Result<DatabaseLocation> find_database(const std::optional<std::string>& given,
                                       const std::filesystem::path& zextras_home);

// Creates it, and missing folders above it, as the current user.
Result<void> make_database(const DatabaseLocation& location);

struct OpenDatabase {
  policyd::sql::Handle handle;
  Tables tables;
};

// Opens an existing database; this process becomes its owner first. Waits 5 seconds for locks.
Result<OpenDatabase> open_as_owner(const DatabaseLocation& location);

}  // namespace limits
