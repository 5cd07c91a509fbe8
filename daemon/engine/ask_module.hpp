// SPDX-License-Identifier: AGPL-3.0-only
// Asks one module, for the engine and for the command that explains what the engine would answer.
// An exception, which is a bug of ours, answers DEFER and is logged.
#pragma once

#include "daemon/modules/module.hpp"

namespace policyd {

Next ask_module(Module& module, RcptQuestion& question);
Next ask_module(Module& module, MessageQuestion& question);

}  // namespace policyd
