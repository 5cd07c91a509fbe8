// SPDX-License-Identifier: AGPL-3.0-only
// A time in the past as people type it: "09:00", "yesterday", "2026-11-25 09:00", "2h". Pure, but
// for the local time zone.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

// A time of day is the last one that is over: "23:00" at 09:00 is that of yesterday. Of one that
// comes twice, as summer time ends, it is always the first. "2h" is two hours before `now`, ten
// years at most. An Error, with what would be right, for anything else and for the future.
policyd::Result<policyd::TimePoint> parse_since(std::string_view text, policyd::TimePoint now);

// The beginning of the day of `now`.
policyd::TimePoint midnight(policyd::TimePoint now);

// The beginning of its hour, by the clock on the wall.
policyd::TimePoint hour_of(policyd::TimePoint time);

// "09:00" on the day of `now`, else "11-25 09:00", in local time.
std::string short_time_text(policyd::TimePoint time, policyd::TimePoint now);

}  // namespace limits
