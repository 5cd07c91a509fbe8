// SPDX-License-Identifier: AGPL-3.0-only
// The Track column of quotas, accounting and greylisting: what gets a counter of its own, and the
// key of that counter. CBPolicyD, "Tracking keys". Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/own_addresses.hpp"

namespace policyd {

enum class TrackMethod : std::uint8_t {
  policy,
  sender_ip,
  sender_address,
  sender_domain,
  sender_user,
  recipient_address,
  recipient_domain,
  recipient_user,
  sasl_username,
  account,  // the SASL user name, or without one the sender; ours
};

struct Track {
  TrackMethod method = TrackMethod::policy;
  int prefix_length = 0;  // of sender_ip

  // `method` or `method:spec`, case ignored. What follows white space is ignored too, but after
  // `Sender:user@domain` the words `per account` make it ours, which the Perl daemon does not see.
  static Result<Track> parse(std::string_view text);
};

// The Track of a row. Even with an invalid specification `Sender` has a key for bounces, as in the
// Perl daemon.
struct RowTrack : Result<Track> {
  RowTrack() = default;
  explicit RowTrack(std::string_view text);

  // Null if the row is an error for this request.
  [[nodiscard]] const Track* for_request(const Request& request) const;

 private:
  bool bounces_ = false;
};

// Appends the key of `request`, e.g. `Sender:alice@example.org`, `SenderIP:192.0.2.0/24`.
// Addresses without their extensions.
void append_track_key(std::string& out, const Track& track, const Request& request,
                      const Extensions& extensions = {});

// A key as the daemon writes it for the same name: `SASLUsername:anna` for `SASLUsername: Anna`.
// The Perl daemon has other forms of names (name_form.hpp).
[[nodiscard]] std::string track_key_form(std::string_view key);
[[nodiscard]] bool is_track_key_form(std::string_view key);

}  // namespace policyd
