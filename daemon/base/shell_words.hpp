// SPDX-License-Identifier: AGPL-3.0-only
// Words as a POSIX shell reads them, for commands that are shown to be copied and for lines that
// people write. Nothing here is ever given to a shell by the programs themselves. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace policyd {

// `word`, quoted if a shell would not take it as it stands: 'two words', 'say "hi"', "it's".
[[nodiscard]] std::string shell_word(std::string_view word);

// Such words with spaces between them.
[[nodiscard]] std::string shell_words(std::span<const std::string> words);

// What a '#' at the beginning of a word is.
enum class HashMark : std::uint8_t { text, comment };

// The words of `line`, with quotation marks and backslashes as in a shell, and nothing expanded.
// Nullopt if a closing quotation mark is missing.
[[nodiscard]] std::optional<std::vector<std::string>> split_shell_words(std::string_view line,
                                                                        HashMark hash);

}  // namespace policyd
