// SPDX-License-Identifier: AGPL-3.0-only
// Text broken between words, so that it fits the terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/terminal/output.hpp"

namespace limits {

// Lines of at most `width` columns; a longer word gets a line of its own. Width 0: one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

// The columns that are left to the right of `label`, at least 30; 0 if the width is unknown.
std::size_t room_beside(const Output& output, std::string_view label);

// Prints `label` and, to the right of it, `text`; further lines are indented to where it starts.
void print_wrapped(Output& output, const Cell& label, const Cell& text);

}  // namespace limits
