// SPDX-License-Identifier: AGPL-3.0-only
// The counters of Quotas and Accounting in memory, as the modules change them and the store caches
// them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/base/clock.hpp"
#include "daemon/counting/distinct_recipients.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

// A row of quotas_tracking in memory. A module that changes one calls Transaction::changed.
struct Counter {
  double value = 0;               // use as of last_update: messages or KiB
  double last_update_s = 0;       // seconds since 1970, with fraction
  bool exists = false;            // it has a row, or gets one with this batch
  bool windowed = false;          // `window` applies and is stored as State
  Window window;                  // of State, or converted from the two columns
  Millis period{0};               // of the limit when it was last counted
  DistinctRecipients recipients;  // of the window's units, where a limit counts different ones
};

// What Accounting counts.
struct AccountingUnits {
  std::int64_t messages = 0;
  std::int64_t kib = 0;
  // Sums stop here: columns may hold anything, and must not overflow.
  static constexpr std::int64_t kMax = std::int64_t{1} << 53;

  AccountingUnits& operator+=(const AccountingUnits& more) {
    messages = std::min(messages, kMax) + std::min(more.messages, kMax);
    kib = std::min(kib, kMax) + std::min(more.kib, kMax);
    messages = std::min(messages, kMax);
    kib = std::min(kib, kMax);
    return *this;
  }
  bool operator==(const AccountingUnits&) const = default;
};

// A row of accounting_tracking in memory. A module that changes one calls Transaction::changed.
struct AccountingCounter {
  AccountingUnits used;
  std::int64_t last_update_s = 0;  // seconds since 1970
  bool exists = false;             // it has a row, or gets one with this batch
};

}  // namespace policyd
