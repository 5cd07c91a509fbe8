// SPDX-License-Identifier: AGPL-3.0-only
// Text within HTML and SVG. Names come from strangers, so all text there goes through here. Pure.
#pragma once

#include <string>
#include <string_view>

namespace limits {

// As the content of an element or of an attribute in quotes: markup and control characters are
// shown, not carried out; changes of direction are escaped as on a terminal.
std::string in_markup(std::string_view text);

}  // namespace limits
