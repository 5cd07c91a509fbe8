// SPDX-License-Identifier: AGPL-3.0-only
// "Did you mean": which known word someone may have meant who wrote an unknown one. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace policyd {

// The candidate with the fewest typing errors (a letter missing, added or replaced, or two
// neighbours swapped; case is no error), the first of equals. None where all are too far off: more
// than two errors, or for long words more than a third of their letters. Words longer than 64 bytes
// have no neighbours.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

}  // namespace policyd
