// SPDX-License-Identifier: AGPL-3.0-only
// Keys of quotas_tracking: for display, and which of them belong to an address. Pure functions.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/ip_address.hpp"

namespace limits {

// What follows `SenderIP:` in a key: "192.0.2.0/24". The daemon writes the prefix length of the
// Track, so for a single IPv4 address it is anything from 32 on.
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

// What the keys of names begin with.
inline constexpr std::array kNamedMethods = {"SASLUsername:", "Sender:", "Recipient:"};

// The key of a counter that all mail of a policy shares.
inline constexpr std::string_view kSharedKey = "Policy";

// Selects the keys of a mail address (its own and those of its domain), a domain (its own and those
// of its users), an IP address (also networks that contain it), a network or a login name.
class KeyFilter {
 public:
  // `others`: further names of the same account.
  explicit KeyFilter(std::string_view text, std::vector<std::string> others = {});
  [[nodiscard]] bool shows(std::string_view track_key) const;

  // All keys it can show, if they can be listed; otherwise they match the LIKE pattern, as may
  // others.
  [[nodiscard]] std::optional<std::vector<std::string>> keys() const;
  [[nodiscard]] std::string pattern() const;
  [[nodiscard]] std::string text() const;  // as requested, for messages
  [[nodiscard]] const std::string& given() const { return text_; }

 private:
  std::string text_;  // lower case
  std::vector<std::string> others_;
  std::string domain_;  // of an address, or the domain itself
  bool is_domain_ = false;
  std::optional<policyd::IpAddress> ip_;
  std::optional<KeyNetwork> network_;
};

// "alice@example.org", "192.0.2.1", "all together"; the key itself if it is of an unknown kind.
std::string key_text(std::string_view track_key);

// What `reset` takes for the counter of this key, to the letter: "anna" of "SASLUsername:anna", a
// network as key_text() shows it. Empty for kSharedKey, which `reset --limit` clears; nullopt if
// that cannot be typed, or names another.
std::optional<std::string> reset_word(std::string_view track_key);

// What is typed, perhaps copied from where key_text() shows it: "anna" of "login anna".
std::string_view without_noun(std::string_view text);

// The same, also copied from Postfix's log: "anna@example.org" of "<anna@example.org>",
// "192.0.2.1" of "mail.example.org[192.0.2.1]", "2001:db8::1" of "[IPv6:2001:db8::1]".
std::string_view typed_name(std::string_view text);

// "now", "in 42 s", "in 3 h 5 min"; `brief`: "in 3 h".
std::string wait_text(std::optional<policyd::TimePoint> when, policyd::TimePoint now,
                      bool brief = false);

}  // namespace limits
