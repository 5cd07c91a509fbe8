// SPDX-License-Identifier: AGPL-3.0-only
// How long something lasts, as people type it: a pause, a block. Pure.
#pragma once

#include <chrono>
#include <string_view>

#include "daemon/base/result.hpp"

namespace limits {

// "90s", "10min", "2h", "1day": the notation of a limit's period, so at most kMaxPeriod. An Error,
// with `bounds` in words, for anything else, and beyond them.
policyd::Result<std::chrono::seconds> parse_duration(std::string_view text,
                                                     std::chrono::seconds min,
                                                     std::chrono::seconds max,
                                                     std::string_view bounds);

}  // namespace limits
