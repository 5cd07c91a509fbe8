// SPDX-License-Identifier: AGPL-3.0-only
// Letters of other alphabets that look like Latin ones, in words that are Latin otherwise. The
// vendor's own article names its policy with a Cyrillic С, so a search for the Latin name finds
// nothing. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace limits {

struct LookAlike {
  std::string what;   // "its character 1 is Cyrillic (U+0421)"
  std::string plain;  // the text in Latin letters; empty if unknown
};

// A word in one alphabet is a word, also beside words in another; a word that mixes them is a trap.
// So is a character that cannot be seen in a text with Latin letters.
std::optional<LookAlike> look_alike(std::string_view text);

}  // namespace limits
