// SPDX-License-Identifier: AGPL-3.0-only
// The keys of quotas_tracking in words, and which of them concern somebody. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/ip_address.hpp"

namespace limits {

// Behind `SenderIP:` in a key: "192.0.2.0/24". The daemon writes the length of the Track, so that
// of a single IPv4 address is anything from 32 on.
struct KeyNetwork {
  policyd::IpAddress address;  // masked
  int length = 0;              // 0 to 128

  static std::optional<KeyNetwork> parse(std::string_view text);
  [[nodiscard]] bool is_host() const { return length >= address.bits(); }
  [[nodiscard]] bool contains(const policyd::IpAddress& other) const {
    return other.is_v4() == address.is_v4() && other.masked(length) == address;
  }
  [[nodiscard]] std::string key() const;

  bool operator==(const KeyNetwork&) const = default;
};

// Whom to show: a mail address (its own counters, and those of its domain), a domain (its own, and
// those of its users), an IP address (with the networks it is in), a network or a login name.
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
  std::optional<KeyNetwork> network_;
};

// "alice@example.org", "192.0.2.1", "all together"; the key itself where it is unknown.
std::string say_key(std::string_view track_key);

// "now", "in 42 s", "in 3 h 5 min".
std::string say_wait(std::optional<policyd::TimePoint> when, policyd::TimePoint now);

}  // namespace limits
