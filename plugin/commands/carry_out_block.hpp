// SPDX-License-Identifier: AGPL-3.0-only
// A block from its rows to the account and the queue, for `block` and for steps that are taken by
// themselves. The rows come first and are in force before Carbonio or Postfix is asked for
// anything, but for steps that are taken by themselves: of those Carbonio must not say that the
// account is never blocked, and must say something. What fails after them is a line, and what was
// done stays.
#pragma once

#include <functional>

#include "plugin/commands/block_steps.hpp"
#include "plugin/commands/write_block.hpp"

namespace limits {

// Calls `written` once the rows are in force. A Failure if there is no block: made.refusal says
// why, if it must not be. `lines` has what was done to the account and the queue.
Outcome carry_out_block(const Arguments& arguments, const Context& context, WantedBlock& wanted,
                        MadeBlock& made, StepLines& lines, const std::function<void()>& written);

}  // namespace limits
