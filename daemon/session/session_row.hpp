// SPDX-License-Identifier: AGPL-3.0-only
// A row of session_tracking as a value: reports read it, and a message that another process began
// is resumed from it. Pure; any thread.
//
// A row with a QueueID belongs to a message that has ended and whose size is counted: it is never
// resumed. One without was written at RCPT by the Perl daemon, or by ours when it was stopped in
// the middle of the message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/protocol/request.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/session/session.hpp"

namespace policyd {

struct SessionRow {
  std::string instance;
  std::string queue_id;
  std::int64_t unix_time_s = 0;
  std::string client_address, client_name, client_reverse_name;
  std::string protocol;
  std::string encryption_protocol, encryption_cipher, encryption_keysize;
  std::string sasl_method, sasl_sender;
  std::optional<std::string> sasl_username;
  std::string helo, sender;
  std::int64_t size_kib = 0;  // rounded up
  std::string recipient_data;

  [[nodiscard]] bool ended() const { return !queue_id.empty(); }
};

// Instead of a queue ID that is missing at END-OF-MESSAGE: Postfix's own word for that.
inline constexpr std::string_view kNoQueueId = "NOQUEUE";

// Longer RecipientData is neither written nor read.
inline constexpr std::size_t kMaxRecipientData = std::size_t{1} << 20;
inline constexpr std::size_t kMaxResumedRecipients = 10'000;

// `/<a@x>#0=1;10=6,7;/<b@x>#0=1;`: the policies that matched each recipient, by priority. Policies
// that no longer exist are left out, and so are recipients beyond kMaxRecipientData.
enum class Which : std::uint8_t { all, accepted };
std::string recipient_data(const Session& session, const Rules& rules, Which recipients);

// The row of a message that ends with `request`, with all recipients, including refused ones. Its
// time is that of the first RCPT, as in the Perl daemon.
SessionRow ended_row(const Request& request, const Session& session, const Rules& rules);
// The rows of messages that have not ended, with what is needed to resume them: without refused
// recipients, whose sizes are not counted. Those with an accepted recipient whose last RCPT is at
// most an hour ago: the most recent ones, at most kMaxOpenRows. For shutdown.
inline constexpr std::size_t kMaxOpenRows = 10'000;
std::vector<SessionRow> open_rows(const Sessions& sessions, const Rules& rules, TimePoint now);

// The message as RCPT left it. Nullopt if it has ended or the row is invalid: an impossible
// address, malformed RecipientData or too much of it. A recipient named twice is one; all count as
// accepted, since the row does not record that.
std::optional<Session> resume(const SessionRow& row);

}  // namespace policyd
