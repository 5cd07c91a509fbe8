// SPDX-License-Identifier: AGPL-3.0-only
// Remembers as events here what a reset in the cluster has freed: counters by which this host had
// refused mail, and would still. Otherwise `refused` and the page would go on to call their senders
// refused. May wait for a lock, so not on the loop's thread.
#pragma once

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/cluster/reset/reset_record.hpp"
#include "daemon/cluster/reset/reset_request.hpp"

namespace policyd {

// Whatever arrived until `at` is cleared. What is announced already, as by the command that was
// typed on this host, is not announced again.
Result<void> announce_reset(const ResetDatabase& database, const ResetRequest& request,
                            TimePoint at);

}  // namespace policyd
