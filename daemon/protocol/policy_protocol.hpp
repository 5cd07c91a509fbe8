// SPDX-License-Identifier: AGPL-3.0-only
// Postfix's policy protocol (SMTPD_POLICY_README) as pure functions: received bytes → one request's
// bytes → Request, and Verdict → action line. The connection owns the buffer and does all reading,
// logging, answering and closing. No state beyond what the caller passes in; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"

namespace policyd {

// The largest request, with the empty line that ends it.
inline constexpr std::size_t kMaxRequestBytes = 16 * 1024;

// The largest text of an answer, in bytes; what is longer is cut off there.
inline constexpr std::size_t kMaxAnswerText = 4096;

// The attributes of which we make something. `state` is protocol_state.
enum class Attribute : std::uint8_t {
  size,
  sender,
  instance,
  queue_id,
  recipient,
  helo_name,
  client_name,
  sasl_method,
  sasl_sender,
  protocol_name,
  sasl_username,
  state,
  client_address,
  encryption_cipher,
  encryption_keysize,
  encryption_protocol,
  reverse_client_name,
};
inline constexpr std::size_t kAttributes = 17;

// How far find_request() has come, and which attributes it has met. All zero for a new request.
struct Framing {
  // Of a value, in the bytes received. `begin` 0: it was not said (a name comes first).
  struct Value {
    std::uint16_t begin = 0;
    std::uint16_t size = 0;
  };
  std::size_t scanned = 0;  // bytes that need not be looked at again
  std::size_t line = 0;     // where the line begins in which `scanned` stands
  std::array<Value, kAttributes> values{};
};
static_assert(kMaxRequestBytes <= std::numeric_limits<std::uint16_t>::max());

enum class Frame : std::uint8_t {
  need_more,
  complete,        // the request is the first `scanned` bytes
  too_large,       // no end within kMaxRequestBytes: log a WARNING and close
  not_name_value,  // so is no line from `line` to `scanned`: log a WARNING and close
};

// Reads `received` up to the empty line that ends the first request. Lines end in LF or CRLF, mixed
// as it comes; where a name comes twice the last one counts; unknown names are ignored; values may
// hold any byte but LF. Each byte is looked at a fixed number of times however small the pieces in
// which it arrives, as long as `at` comes back unchanged. After `complete` the caller removes
// `scanned` bytes and begins anew with `at = {}`.
[[nodiscard]] Frame find_request(std::string_view received, Framing& at);

// Makes a complete request of what find_request() left in `at` of `text`, into which the views of
// `out` then point. Sender, recipient and sasl_username are lower-cased in `text` itself.
// `peer_address` is the caller's and stays as it is.
// Returns what is missing or malformed (answer DEFER, log, close), or nothing. Checked are what
// CBPolicyD needs in every request, but not in states before RCPT, which are answered DUNNO
// whatever else they say: there `client_address` is 0.0.0.0 when it is not valid.
[[nodiscard]] std::string_view parse_request(std::span<char> text, const Framing& at, Request& out);

// Appends "action=DEFER text\n\n". A REJECT whose text begins with "5xx ", and a DEFER whose text
// begins with "4xx ", go out as that code and text, without the word (access(5)). Control
// characters in the text become spaces: a text from a database row cannot end the answer early.
void append_action(std::string& out, const Verdict& verdict);

}  // namespace policyd
