// SPDX-License-Identifier: AGPL-3.0-only
// Sentences in lines of a width. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace limits {

// Broken between words; a word that is longer stands alone. Width 0: one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace limits
