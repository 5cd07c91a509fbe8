// SPDX-License-Identifier: AGPL-3.0-only
// Reads the column RecipientData of session_tracking: `/<a@x>#0=1;10=6,7;/<b@x>#0=1;`. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace policyd {

// Calls `visit` with each recipient and the IDs of its policies by priority. A recipient named
// twice is one. False if the text is malformed or beyond its bounds (session_row.hpp), after the
// recipients before that.
bool each_recipient(std::string_view recipient_data,
                    const std::function<void(std::string_view address,
                                             std::span<const std::int64_t> policies)>& visit);

}  // namespace policyd
