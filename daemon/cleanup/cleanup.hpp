// SPDX-License-Identifier: AGPL-3.0-only
// Removes old rows from the tracking tables (CBPolicyD, "Clean-up"): for `cbpadmin --cleanup`, and
// once a day for the daemon itself (cleanup_schedule). It works while mail is answered: rows are
// searched without a lock and removed in short transactions, with pauses between them in which a
// batch that found the database locked gets its turn. Any one thread, but not the loop's.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace policyd {

struct CleanupSettings {
  std::filesystem::path database;
  std::string table_prefix;
  std::chrono::hours sessions{24 * 30};  // older rows of session_tracking are removed
  // Parameters, so that tests need not wait. A batch that finds the database locked tries again
  // after 2 and 6 ms, so it succeeds if a slice takes less time and a pause is longer.
  std::size_t slice_rows = 500;
  Millis slice_time{5};
  Millis pause{20};
  Millis patience{30'000};  // for another connection's transaction
};

// Prints or logs one line.
using Report = std::function<void(std::string_view)>;

// Reports what it is about to remove, removes it, and reports the number of removed rows per table.
// It first records its start in the table limits_cleanup. A table that cannot be cleaned is an
// Error in the end, after the others. `stop` ends it between two slices, which
// is not an Error; rows removed by then stay removed.
Result<void> clean_up(const CleanupSettings& settings, TimePoint now, const Report& report,
                      const std::atomic<bool>& stop);

// When the last clean-up began, no matter who started it; nullopt if there was none.
Result<std::optional<TimePoint>> last_cleanup(const CleanupSettings& settings);

}  // namespace policyd
