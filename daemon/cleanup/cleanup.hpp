// SPDX-License-Identifier: AGPL-3.0-only
// Removes what is too old from the tracking tables (CBPolicyD, "Clean-up"): for `cbpadmin
// --cleanup`, and once a day for the daemon itself (cleaner.hpp). Works while mail is answered:
// rows are looked for without a lock and removed in short transactions with pauses between them, in
// which a batch that met the lock gets its turn. Any one thread; not the loop's.
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
  std::chrono::hours sessions{24 * 30};  // rows of session_tracking that are older go
  // Parameters, so that tests need not wait. A batch that meets the lock tries again after 2 and
  // 6 ms, so it is let in where a slice takes less and a pause lasts longer.
  std::size_t slice_rows = 500;
  Millis slice_time{5};
  Millis pause{20};
  Millis patience{30'000};  // for somebody else's transaction
};

// One line for a person or the log.
using Say = std::function<void(std::string_view)>;

// Says what it is about to remove, removes it, and says how many rows of which table went. What a
// slice removed stays removed whatever comes then. `stop` ends it between two slices (that is no
// Error). First it notes in the table limits_cleanup that it began.
Result<void> clean_up(const CleanupSettings& settings, TimePoint now, const Say& say,
                      const std::atomic<bool>& stop);

// When the last clean-up began, whoever did it; nullopt where there was none.
Result<std::optional<TimePoint>> last_cleanup(const CleanupSettings& settings);

}  // namespace policyd
