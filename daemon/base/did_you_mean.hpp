// SPDX-License-Identifier: AGPL-3.0-only
// "Did you mean": the known word closest to an unknown one. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace policyd {

// The candidate with the fewest typing errors (a letter missing, added or replaced, or two
// neighbours swapped; case does not count); of several, the first. Nullopt if all have more than
// two errors, or for long words more errors than a third of their letters. Words longer than 64
// bytes are never matched.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

}  // namespace policyd
