// SPDX-License-Identifier: AGPL-3.0-only
// Postfix's policy protocol (SMTPD_POLICY_README) as pure functions: received bytes → the bytes of
// one request → Request, and Verdict → action line. The connection owns the buffer and does all
// reading, logging, answering and closing. No state except what the caller passes in; any thread.
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

// The largest request, including the empty line that ends it.
inline constexpr std::size_t kMaxRequestBytes = 16 * 1024;

// The largest text of an answer, in bytes; longer texts are cut.
inline constexpr std::size_t kMaxAnswerText = 4096;

// The attributes that are used. `state` is protocol_state.
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
  recipient_count,
};
inline constexpr std::size_t kAttributes = static_cast<std::size_t>(Attribute::recipient_count) + 1;

// The progress of find_request(), and the attributes it has found. All zero for a new request.
struct Framing {
  // A value's place in the bytes received. `begin` 0: absent (a value has a name before it).
  struct Value {
    std::uint16_t begin = 0;
    std::uint16_t size = 0;
  };
  std::size_t scanned = 0;  // bytes that need not be read again
  std::size_t line = 0;     // where the line begins that contains `scanned`
  std::array<Value, kAttributes> values{};
};
static_assert(kMaxRequestBytes <= std::numeric_limits<std::uint16_t>::max());

enum class Frame : std::uint8_t {
  need_more,
  complete,        // the request is the first `scanned` bytes
  too_large,       // no end within kMaxRequestBytes: log a WARNING and close
  not_name_value,  // the line from `line` to `scanned`: log a WARNING and close
};

// Reads `received` up to the empty line that ends the first request. Each line may end in LF or
// CRLF; of a repeated name the last value counts; unknown names are ignored; values may contain any
// byte except LF. Each byte is read a fixed number of times, however small the pieces in which it
// arrives, provided that `at` is passed back unchanged. After `complete` the caller removes
// `scanned` bytes and resets `at`.
[[nodiscard]] Frame find_request(std::string_view received, Framing& at);

// Fills `out`, whose views point into `text`, from the attributes that find_request() found.
// Sender, recipient and sasl_username are put into one form (name_form.hpp): in `text` itself, or,
// if one of them is not ASCII, in `names`. A sender or recipient without a domain gets that of
// Postfix (with_domain()), in `names`, unless `myorigin` is empty. `peer_address` is not changed.
// Returns what is missing or malformed (answer DEFER, log, close), or an empty text. The attributes
// that CBPolicyD needs in every request are checked, except in states before RCPT, which are always
// answered DUNNO: there `client_address` is 0.0.0.0 if it is not valid.
[[nodiscard]] std::string_view parse_request(std::span<char> text, const Framing& at, Request& out,
                                             std::string& names, std::string_view myorigin = {});

// The value of one attribute of a request; empty if absent.
[[nodiscard]] std::string_view value_of(std::string_view text, const Framing& at,
                                        Attribute attribute);

// The part of a text that an answer can have: at most kMaxAnswerText bytes, without an incomplete
// UTF-8 character at the end.
[[nodiscard]] std::string_view answerable(std::string_view text);

// Appends "action=DEFER text\n\n". A REJECT whose text begins with "5xx ", and a DEFER whose text
// begins with "4xx ", are sent as that code and text, without the word (access(5)). Control
// characters in the text become spaces, so that a text from the database cannot end the answer.
void append_action(std::string& out, const Verdict& verdict);

}  // namespace policyd
