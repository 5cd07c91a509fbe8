// SPDX-License-Identifier: AGPL-3.0-only
// The requests that could not be used, so that nothing was decided or counted: for status and
// doctor. A value; the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/base/clock.hpp"

namespace policyd {

struct RefusedRequests {
  std::uint64_t count = 0;
  std::string last;  // the client and what is wrong, as logged
  TimePoint last_at{};

  bool operator==(const RefusedRequests&) const = default;
};

}  // namespace policyd
