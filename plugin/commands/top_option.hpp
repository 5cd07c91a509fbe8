// SPDX-License-Identifier: AGPL-3.0-only
// The option --top N of `usage`, `simulate`, `refused`, `history` and `changes`: how many lines are
// shown.
#pragma once

#include <cstddef>
#include <optional>

#include "plugin/cli/command.hpp"

namespace limits {

inline constexpr std::size_t kMaxTop = 1'000'000'000;

// From 1 to `most`; nullopt if it is not given.
tl::expected<std::optional<std::size_t>, Failure> top_of(const Arguments& arguments,
                                                         std::size_t most = kMaxTop);

}  // namespace limits
