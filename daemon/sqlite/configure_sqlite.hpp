// SPDX-License-Identifier: AGPL-3.0-only
// SQLite's settings for the whole process. Those of one connection are made where it is opened
// (database.hpp).
#pragma once

namespace policyd {

// Before the first use of SQLite, on the only thread. Without it everything works, more slowly.
void configure_sqlite();

}  // namespace policyd
