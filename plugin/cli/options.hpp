// SPDX-License-Identifier: AGPL-3.0-only
// Words into Arguments, by a table of Options. Options are never guessed from their beginning.
#pragma once

#include <span>
#include <string>

#include "daemon/base/result.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

inline constexpr std::string_view kHelpOption = "help";  // the only one with a short form, -h

// The Error says which word is wrong.
policyd::Result<Arguments> parse_options(std::span<const std::string> words,
                                         std::span<const Option> options);

}  // namespace limits
