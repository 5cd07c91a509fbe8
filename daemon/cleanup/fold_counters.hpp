// SPDX-License-Identifier: AGPL-3.0-only
// Counters under another spelling of a name than ours: the Perl daemon wrote `SASLUsername:anna `
// or `Sender:Änna@exämple.org`, and only case within ASCII is the same there. Each is joined with
// the counter of the name's own form, so that nobody has two. For the daemon's start, on a thread
// with a connection of its own; see clean_up().
#pragma once

#include <atomic>
#include <cstddef>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/cleanup/cleanup.hpp"

namespace policyd {

// The number of counters that were joined or renamed; at most `kMaxFolded` in one call. `stop` ends
// it between two slices.
inline constexpr std::size_t kMaxFolded = 100'000;
Result<std::size_t> fold_counters(const CleanupSettings& settings, TimePoint now,
                                  const std::atomic<bool>& stop);

}  // namespace policyd
