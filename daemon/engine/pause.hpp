// SPDX-License-Identifier: AGPL-3.0-only
// The brake: until then every question is answered DUNNO, whatever the rules say. The command
// writes it (status/pause_file); a value.
#pragma once

#include <chrono>
#include <string>

#include "daemon/base/clock.hpp"

namespace policyd {

struct Pause {
  static constexpr std::chrono::seconds kMin{1};
  static constexpr std::chrono::seconds kMax = std::chrono::hours{24 * 7};

  TimePoint until{};
  bool counted = true;   // mail counts as far as it would without limits
  std::string who = {};  // set it; may be empty

  // A time further away than kMax is none: the clock was set back, or the file was edited.
  [[nodiscard]] bool in_force(TimePoint now) const { return now < until && until - now <= kMax; }
  bool operator==(const Pause&) const = default;
};

}  // namespace policyd
