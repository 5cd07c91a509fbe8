// SPDX-License-Identifier: AGPL-3.0-only
// Parses words into Arguments by a table of Options. Options cannot be abbreviated.
#pragma once

#include <span>
#include <string>

#include "daemon/base/result.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

inline constexpr std::string_view kHelpOption = "help";  // the only one with a short form: -h

// The Error names the wrong word.
policyd::Result<Arguments> parse_options(std::span<const std::string> words,
                                         std::span<const Option> options);

}  // namespace limits
