// SPDX-License-Identifier: AGPL-3.0-only
// Text within HTML. Names come from strangers, so all text of a page goes through here. Pure.
#pragma once

#include <string>
#include <string_view>

namespace limits {

// As the content of an element or of an attribute in quotes: markup and control characters are
// shown, not carried out; changes of direction are escaped as on a terminal.
std::string html_text(std::string_view text);

}  // namespace limits
