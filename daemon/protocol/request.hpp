// SPDX-License-Identifier: AGPL-3.0-only
// One request from Postfix (SMTPD_POLICY_README), checked and in normal form. The views point into
// the connection's buffer, which is not changed until the request is answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/base/ip_address.hpp"

namespace policyd {

// The two protocol states in which modules decide; all others are answered DUNNO.
enum class ProtocolState : std::uint8_t { rcpt, end_of_message, other };

struct Request {
  ProtocolState state = ProtocolState::other;
  std::string_view instance;
  std::string_view sender;     // all three as name_form.hpp has it; empty for bounces
  std::string_view recipient;  // empty at END-OF-MESSAGE with several recipients
  std::optional<std::string_view> sasl_username;  // empty is not the same as absent
  IpAddress client_address;
  std::optional<IpAddress> peer_address;  // of the Postfix host; nullopt on a UNIX socket
  std::uint64_t size_bytes = 0;           // 0 if missing or not a number
  // That Postfix has accepted, at END-OF-MESSAGE; likewise.
  std::uint64_t recipient_count = 0;

  // As Postfix sent them; for session_tracking, patterns and the log.
  std::string_view queue_id;
  std::string_view helo_name;
  std::string_view client_name;
  std::string_view reverse_client_name;
  std::string_view protocol_name;
  std::string_view encryption_protocol;
  std::string_view encryption_cipher;
  std::string_view encryption_keysize;
  std::string_view sasl_method;
  std::string_view sasl_sender;
};

}  // namespace policyd
