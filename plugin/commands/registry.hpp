// SPDX-License-Identifier: AGPL-3.0-only
// The table of subcommands: help, completion and the parser are made from it.
#pragma once

#include <vector>

#include "plugin/cli/command.hpp"

namespace limits {

// In the order of the help.
std::vector<const Command*> all_commands();

std::vector<std::string_view> command_names();

}  // namespace limits
