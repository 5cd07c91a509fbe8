// SPDX-License-Identifier: AGPL-3.0-only
// The keys of quotas_tracking in words, and which of them concern somebody. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/address.hpp"
#include "daemon/clock.hpp"

namespace limits {

// Whom to show: a mail address (its own counters, and those of its domain), a domain (its own, and
// those of its users), an IP address, or a login name.
class KeyFilter {
 public:
  explicit KeyFilter(std::string_view text);
  [[nodiscard]] bool shows(std::string_view track_key) const;

  // The keys it can show, where they are few; else all match the pattern of LIKE, and others too.
  [[nodiscard]] std::optional<std::vector<std::string>> keys() const;
  [[nodiscard]] std::string pattern() const;
  [[nodiscard]] std::string text() const;  // as it was asked for, for messages

 private:
  std::string text_;    // lower case
  std::string domain_;  // of an address, or the domain itself
  bool is_domain_ = false;
  std::optional<policyd::IpAddress> ip_;
};

// "alice@example.org", "all together"; the key itself where it is unknown.
std::string say_key(std::string_view track_key);

// "now", "in 42 s", "in 3 h 5 min".
std::string say_wait(std::optional<policyd::TimePoint> when, policyd::TimePoint now);

}  // namespace limits
