// SPDX-License-Identifier: AGPL-3.0-only
// A word in front and what it is about behind it, broken between words below itself.
#pragma once

#include <string>
#include <string_view>

#include "plugin/terminal/output.hpp"

namespace limits {

void print_labelled(Output& output, const std::string& label, Colour colour, std::string_view text);

}  // namespace limits
