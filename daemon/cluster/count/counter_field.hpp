// SPDX-License-Identifier: AGPL-3.0-only
// One MTA's part of a shared counter as Redis keeps it: the sum of its pairs' units, then the
// pairs, oldest first; a pair is its last arrival in ms since 1970 and its units. All are doubles,
// so that count.lua reads them without decoding. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/counting/state_bytes.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

inline constexpr std::size_t kFieldPairBytes = 2 * kDoubleBytes;
// The script adds one pair to those of its MTA.
inline constexpr std::size_t kMaxFieldBytes =
    kDoubleBytes + (Window::kMaxPairs + 1) * kFieldPairBytes;

// Appends the pairs, without their sum.
void append_field_pairs(std::string& out, const Window& window);
// A field with its sum, or nullopt: any program may have written it.
[[nodiscard]] std::optional<Window> window_of_field(std::string_view field);

}  // namespace policyd
