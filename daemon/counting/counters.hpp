// SPDX-License-Identifier: AGPL-3.0-only
// The counters of Quotas and Accounting in memory, as the modules change them and the store keeps
// them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/base/clock.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

// A row of quotas_tracking in memory. A module that changes one calls Transaction::changed.
struct Counter {
  double value = 0;          // use as of last_update: messages or KiB
  double last_update_s = 0;  // seconds since 1970, with fraction
  bool exists = false;       // there is a row, or will be with this batch
  bool windowed = false;     // `window` is in force and is stored as State
  Window window;             // of State, or taken over from the two columns
  Millis period{0};          // that it was last counted with
};

// What Accounting counts.
struct AccountingUnits {
  std::int64_t messages = 0;
  std::int64_t kib = 0;
  // Sums beyond this stay at that: columns may hold anything, and nothing shall overflow.
  static constexpr std::int64_t kMost = std::int64_t{1} << 53;

  AccountingUnits& operator+=(const AccountingUnits& more) {
    messages = std::min(messages, kMost) + std::min(more.messages, kMost);
    kib = std::min(kib, kMost) + std::min(more.kib, kMost);
    messages = std::min(messages, kMost);
    kib = std::min(kib, kMost);
    return *this;
  }
  bool operator==(const AccountingUnits&) const = default;
};

// A row of accounting_tracking in memory. A module that changes one calls Transaction::changed.
struct AccountingCounter {
  AccountingUnits used;
  std::int64_t last_update_s = 0;  // seconds since 1970
  bool exists = false;             // there is a row, or will be with this batch
};

}  // namespace policyd
