// SPDX-License-Identifier: AGPL-3.0-only
// What `send` and `receive` share: reads the limit from the command line, writes its rows in one
// transaction, and reports what changed.
#pragma once

#include "plugin/cli/command.hpp"
#include "plugin/limit/target.hpp"

namespace limits {

Outcome set_limits(Direction direction, const Arguments& arguments, Context& context);

}  // namespace limits
