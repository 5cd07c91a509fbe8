// SPDX-License-Identifier: AGPL-3.0-only
// What module CheckHelo remembers: which names an address has given in HELO, and when it last did.
// Provided by a batch's Transaction; writes are visible at once within the batch.
//
// If the batch's commit fails after its decisions, its writes here are lost: a name is recorded
// when it is used again. After a failure of the tables themselves reads find nothing and writes do
// nothing, and Transaction::helo_tracking() is null for the rest of the batch. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace policyd {

class HeloTracking : boost::noncopyable {
 public:
  using Time = std::chrono::sys_seconds;

  virtual ~HeloTracking() = default;

  virtual void note(std::string_view address, std::string_view helo, Time now) = 0;
  // Whether the address used a name of checkhelo_blacklist at `since` or later. Case matters.
  [[nodiscard]] virtual bool used_blacklisted(std::string_view address, Time since) = 0;
  // The number of names the address used at `since` or later; counting stops at `enough`.
  [[nodiscard]] virtual std::int64_t names_used(std::string_view address, Time since,
                                                std::int64_t enough) = 0;
};

}  // namespace policyd
