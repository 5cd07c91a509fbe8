// SPDX-License-Identifier: AGPL-3.0-only
// Advice that can be typed as it is printed: on the database and the Carbonio that were asked
// about, and with subcommands that there are.
#pragma once

#include <string>
#include <string_view>

#include "plugin/cli/command.hpp"

namespace limits {

// "carbonio-limits reset a@b.c" becomes "carbonio-limits --database FILE reset a@b.c", wherever it
// stands in the text, if --database was given; the same with --zextras-home.
std::string with_place(std::string_view advice, const Arguments& arguments);

[[nodiscard]] bool has_subcommand(std::string_view name);

}  // namespace limits
