// SPDX-License-Identifier: AGPL-3.0-only
// The database of a command: found from its options, opened as its owner, and named in its errors.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

using DatabaseAction =
    std::function<Result<void>(const Tables& tables, const DaemonConfig& daemon)>;

// Runs `action`. Its Error becomes "database FILE: ERROR".
Outcome with_database(const Arguments& arguments, const Context& context,
                      const DatabaseAction& action);

// The same for an action that changes the database completely or not at all: its Error becomes
// "database FILE: ERROR; nothing was changed".
Outcome change_database(const Arguments& arguments, const Context& context,
                        const DatabaseAction& action);

// The same for an action that changes rules, which other hosts of a cluster get, too
// (SharedChange); with `dry` it changes none, so nothing is shared. `report` prints what was done,
// and is called unless another host's change came first.
Outcome change_rules(const Arguments& arguments, const Context& context, bool dry,
                     const DatabaseAction& action, const std::function<void()>& report);

// The same without a word: what holds for the other hosts where they do not have the change yet, as
// a sentence without its full stop; mostly empty.
tl::expected<std::string, Failure> change_rules_silently(const Arguments& arguments,
                                                         const Context& context, bool dry,
                                                         const DatabaseAction& action);

// What a command makes of the limits.
struct LimitsChange {
  std::vector<RowChange> rows;        // all of them, in one transaction
  std::vector<std::string> warnings;  // printed before it is committed
  std::function<void()> report;       // prints what was done
};
using MakeChange = std::function<Result<LimitsChange>(LimitPlan plan, const Tables& tables)>;

// Plans a change and makes it; a dry run only prints. What an admin must know of the daemon
// (headlines) comes before the report of a change. The database is locked only while rows are
// written: if another program changed the rules meanwhile, `make` is called again.
Outcome change_limits(const Arguments& arguments, const Context& context, bool dry,
                      const MakeChange& make);

// --database, or the default; the file need not exist.
Result<DaemonConfig> database_of(const Arguments& arguments, const Context& context);

}  // namespace limits
