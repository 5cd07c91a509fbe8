// SPDX-License-Identifier: AGPL-3.0-only
// The Perl daemon's counting, `[Quotas] algorithm=decay` (CBPolicyD, Quotas): a counter that decays
// linearly over one period. Pure functions on the columns of quotas_tracking; any thread.
//
// At RCPT: current = decayed(…); refused if decay_exceeded(current, limit); else current + 1 is
// stored with the time. At END-OF-MESSAGE the size is added to the stored counter without decay.
#pragma once

#include <optional>

namespace policyd {

// What is left at `now_s` of `counter`, stored at `last_update_s`: 0 after more than a period, all
// of it if that time is in the future. Times in seconds since 1970 with fraction. NaN and infinity
// count as 0.
[[nodiscard]] double decayed(double counter, double last_update_s, double now_s, double period_s);

// Whether the next unit is refused; checked before it is counted, so a limit of 10 lets 11 through.
[[nodiscard]] inline bool decay_exceeded(double current, double limit) { return current > limit; }

// The new value at RCPT of the stored `counter`: `current` + `units`. The Perl daemon runs
// `Counter = Counter + delta` with delta in fifteen digits, which can leave slightly more than the
// sum; just above a limit that difference is visible.
[[nodiscard]] double decay_stored(double counter, double current, double units);

// The time from which the stored counter no longer exceeds `limit`, if nothing else is counted:
// last_update_s if it does not now, nullopt if it always will (a negative limit).
[[nodiscard]] std::optional<double> decay_free_at_s(double counter, double last_update_s,
                                                    double period_s, double limit);

}  // namespace policyd
