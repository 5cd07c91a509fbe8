// SPDX-License-Identifier: AGPL-3.0-only
// Patterns with `*` in addresses and host names. Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// Whether `pattern`, where `*` stands for any run (also an empty one) of characters that are not
// white space and every other character for itself, matches all of `text`. Both in lower case.
// Time is linear in pattern + text, whatever they are; without recursion.
[[nodiscard]] bool wildcard_match(std::string_view pattern, std::string_view text);

// The same for host names: `*` stands for letters, digits, `-`, `_` and `.` only, and a pattern
// that begins with `.` may have anything in front of it.
[[nodiscard]] bool host_match(std::string_view pattern, std::string_view host);

}  // namespace policyd
