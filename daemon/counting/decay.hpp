// SPDX-License-Identifier: AGPL-3.0-only
// The Perl daemon's counting, `[Quotas] algorithm=decay` (CBPolicyD, Quotas): a counter that melts
// away evenly over one period. Pure functions on the columns of quotas_tracking; any thread.
//
// At RCPT: current = decayed(…); refused when decay_exceeded(current, limit); else current + 1 is
// stored with the time. At END-OF-MESSAGE the size is added to the stored counter as it is.
#pragma once

#include <optional>

namespace policyd {

// What is left at `now_s` of `counter`, stored at `last_update_s`: 0 when more than a period has
// passed, all of it when that time is in the future. Times in seconds since 1970 with fraction. A
// counter that is no number is 0.
[[nodiscard]] double decayed(double counter, double last_update_s, double now_s, double period_s);

// Whether the next unit is refused; asked before it is counted, so a limit of 10 lets 11 through.
[[nodiscard]] bool decay_exceeded(double current, double limit);

// What is stored at RCPT where `counter` is stored now: `current` and `units`. The Perl daemon says
// `Counter = Counter + delta` with delta written in fifteen digits, which can leave a hair more
// than the sum; where that is just above a limit, it is seen.
[[nodiscard]] double decay_stored(double counter, double current, double units);

// The time from which the stored counter is no longer exceeded, if nothing else is counted:
// last_update_s where it is not, nullopt when it always will be (a negative limit).
[[nodiscard]] std::optional<double> decay_free_at_s(double counter, double last_update_s,
                                                    double period_s, double limit);

}  // namespace policyd
