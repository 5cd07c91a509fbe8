// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/configure_sqlite.hpp"

#include <sqlite3.h>

namespace policyd {

void configure_sqlite() {
  // Its statistics take a lock at each allocation, and answers would wait for a helper thread that
  // holds it while it is not running.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

}  // namespace policyd
