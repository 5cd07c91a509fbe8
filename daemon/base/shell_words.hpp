// SPDX-License-Identifier: AGPL-3.0-only
// Words as a POSIX shell reads them, for commands that are shown to be copied. Nothing here is ever
// given to a shell by the programs themselves. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace policyd {

// `word`, quoted if a shell would not take it as it stands: 'two words', 'say "hi"', "it's".
[[nodiscard]] std::string shell_word(std::string_view word);

// Such words with spaces between them.
[[nodiscard]] std::string shell_words(std::span<const std::string> words);

}  // namespace policyd
