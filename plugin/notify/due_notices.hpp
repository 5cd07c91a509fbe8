// SPDX-License-Identifier: AGPL-3.0-only
// One run of `notify --due`, each minute: what is wrong, what has happened, whether that is due,
// and the notices. Before what can hang is run, what it is about is decided.
#pragma once

#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// Does nothing if notices are off, or another run is at it. A Failure only where something could
// not be sent that could be sent before: each problem is said once.
Outcome send_due_notices(const DaemonConfig& daemon, const Context& context);

// Sends one that shows that notices arrive.
policyd::Result<void> send_notice_to_try(const DaemonConfig& daemon, const Context& context);

// Where notices begin: what has happened before is not in them.
policyd::Result<void> begin_notices(const DaemonConfig& daemon, const Context& context);

}  // namespace limits
