// SPDX-License-Identifier: AGPL-3.0-only
// Which database a command works on, and opening it as the user who owns it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

struct DatabasePlace {
  std::filesystem::path file;
  std::string table_prefix;
  bool decay = false;  // the daemon counts as the Perl one did ([Quotas] algorithm=decay)
  std::filesystem::path status_file = {};  // the daemon's
  bool configured = true;                  // the daemon's own; else only the command line names it
};

// `given` (--database), else the DSN of conf/cbpolicyd.conf where that can be read, else Carbonio's
// default below `zextras_home`. The configuration's other settings apply in any case.
Result<DatabasePlace> find_database(const std::optional<std::string>& given,
                                    const std::filesystem::path& zextras_home);

// A fresh one, with the folders above it that are missing. As who we are: see owner.
Result<void> make_database(const DatabasePlace& place);

struct OpenDatabase {
  policyd::sql::Handle handle;
  Tables tables;
};

// Opens an existing database; this process becomes its owner first. Waits 5 seconds for locks.
Result<OpenDatabase> open_as_owner(const DatabasePlace& place);

}  // namespace limits
