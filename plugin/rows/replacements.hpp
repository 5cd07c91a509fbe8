// SPDX-License-Identifier: AGPL-3.0-only
// Which limits replace which: a more special one applies to its target instead of the more general
// ones with the same direction, --per and --from. Pure functions, linear in the number of limits.
#pragma once

#include <functional>
#include <span>

#include "plugin/limit/limit.hpp"

namespace limits {

// Calls `take` with the indexes of each limit and each more special one.
void each_pair(std::span<const StoredLimit* const> limits,
               const std::function<void(std::size_t general, std::size_t special)>& take);

// Whether the special one of such a pair replaces the general one: it is enabled, counts in one of
// its units, and both refuse mail or both only monitor.
bool replaces(const StoredLimit& general, const StoredLimit& special);

}  // namespace limits
