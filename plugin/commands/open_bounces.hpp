// SPDX-License-Identifier: AGPL-3.0-only
// The mail log for signal `bounces`, opened before the command becomes the owner of the database.
#pragma once

#include "plugin/answers/bounces.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

policyd::Result<BounceReader> open_bounces(const Arguments& arguments, const Context& context);

}  // namespace limits
