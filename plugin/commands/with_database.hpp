// SPDX-License-Identifier: AGPL-3.0-only
// The database of a command: found from its options, opened as its owner, and named in its errors.
#pragma once

#include <functional>

#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

using DatabaseAction =
    std::function<Result<void>(const OpenDatabase& database, const DatabaseLocation& location)>;

// Runs `action`. Its Error becomes "database FILE: ERROR".
Outcome with_database(const Arguments& arguments, const Context& context,
                      const DatabaseAction& action);

// The same for an action that changes the database completely or not at all: its Error becomes
// "database FILE: ERROR; nothing was changed".
Outcome change_database(const Arguments& arguments, const Context& context,
                        const DatabaseAction& action);

// --database, or the default; the file need not exist.
Result<DatabaseLocation> database_of(const Arguments& arguments, const Context& context);

}  // namespace limits
