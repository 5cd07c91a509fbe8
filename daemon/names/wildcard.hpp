// SPDX-License-Identifier: AGPL-3.0-only
// Patterns with `*` in addresses and host names. Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// Whether `pattern` matches all of `text`. `*` stands for any run of characters, possibly empty
// (blanks too: otherwise a name with one would escape the limit); every other character stands for
// itself. Both in lower case. Always takes time linear in pattern + text, without recursion.
[[nodiscard]] bool wildcard_match(std::string_view pattern, std::string_view text);

// The same for host names: `*` stands only for letters, digits, `-`, `_` and `.`, and a pattern
// that begins with `.` matches with anything before it.
[[nodiscard]] bool host_match(std::string_view pattern, std::string_view host);

}  // namespace policyd
