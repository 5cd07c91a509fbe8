// SPDX-License-Identifier: AGPL-3.0-only
// A row of session_tracking as a value: what reports read about messages, and what a message that
// another process began is taken over from. Pure; any thread.
//
// A row with a QueueID is that of a message that ended, and its size is counted: it is never taken
// over. One without was written at RCPT, by the Perl daemon, or by ours when it was stopped in the
// middle of the message.
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

// In the place of a queue ID that Postfix did not say at END-OF-MESSAGE: its own word for that.
inline constexpr std::string_view kNoQueueId = "NOQUEUE";

// More of RecipientData is neither written nor read.
inline constexpr std::size_t kMaxRecipientData = std::size_t{1} << 20;
inline constexpr std::size_t kMaxTakenOverRecipients = 10'000;

// `/<a@x>#0=1;10=6,7;/<b@x>#0=1;`: for each recipient the policies that matched, by priority.
// Policies that are gone are left out, and so are recipients beyond kMaxRecipientData.
enum class Which : std::uint8_t { all, accepted };
std::string recipient_data(const Session& session, const Rules& rules, Which recipients);

// The row of a message that ends with `request`: for each recipient, refused ones too. Its time is
// that of the first RCPT, as in the Perl daemon.
SessionRow ended_row(const Request& request, const Session& session, const Rules& rules);
// The row of a message that is still under way, with what is needed to take it over: so without
// refused recipients, whose sizes are not counted.
SessionRow open_row(const Session& session, const Rules& rules);

// Of the messages whose last RCPT was within the hour, and which have an accepted recipient: those
// asked about last, at most kMaxKept. For a daemon that stops.
inline constexpr std::size_t kMaxKept = 10'000;
std::vector<SessionRow> open_rows(const Sessions& sessions, const Rules& rules, TimePoint now);

// The message as RCPT left it. Nullopt for one that ended, and for a row that cannot be read to its
// end: an address that is none, RecipientData in another form or too long. A recipient named twice
// is one; all count as accepted, since the row does not say.
std::optional<Session> taken_over(const SessionRow& row);

}  // namespace policyd
