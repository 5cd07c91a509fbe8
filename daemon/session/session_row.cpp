// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session/session_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/session/recipient_data.hpp"

namespace policyd {
namespace {

void append_recipient(std::string& out, const SessionRecipient& recipient, const Rules& rules) {
  fmt::format_to(std::back_inserter(out), "/<{}>#", recipient.address);
  const Policy* before = nullptr;
  for (const std::int64_t id : recipient.policies) {
    const auto index = rules.policy_by_id.find(id);
    if (index == rules.policy_by_id.end()) continue;
    const Policy& policy = rules.policies[index->second];
    if (before != nullptr && before->priority == policy.priority) {
      fmt::format_to(std::back_inserter(out), ",{}", id);
    } else {
      fmt::format_to(std::back_inserter(out), "{}{}={}", before == nullptr ? "" : ";",
                     policy.priority, id);
    }
    before = &policy;
  }
  if (before != nullptr) out += ';';
}

struct Text {
  std::string_view Request::*attribute;
  std::string SessionRow::*column;
};
constexpr std::array kConnection{
    Text{&Request::client_name, &SessionRow::client_name},
    Text{&Request::reverse_client_name, &SessionRow::client_reverse_name},
    Text{&Request::protocol_name, &SessionRow::protocol},
    Text{&Request::encryption_protocol, &SessionRow::encryption_protocol},
    Text{&Request::encryption_cipher, &SessionRow::encryption_cipher},
    Text{&Request::encryption_keysize, &SessionRow::encryption_keysize},
    Text{&Request::sasl_method, &SessionRow::sasl_method},
    Text{&Request::sasl_sender, &SessionRow::sasl_sender},
};
SessionRow row_of_rcpt(const Session& session) {
  const Request rcpt = session.first_request();
  SessionRow row;
  row.instance = rcpt.instance;
  row.unix_time_s = session.last_rcpt.time_since_epoch() / std::chrono::seconds{1};
  row.client_address = rcpt.client_address.to_short_string();
  row.sasl_username = rcpt.sasl_username;
  row.helo = rcpt.helo_name;
  row.sender = rcpt.sender;
  for (const Text& text : kConnection) row.*text.column = rcpt.*text.attribute;
  return row;
}

}  // namespace

std::string recipient_data(const Session& session, const Rules& rules, Which recipients) {
  std::string out;
  for (std::size_t i = 0; i < session.recipients(); ++i) {
    const SessionRecipient recipient = session.recipient(i);
    if (recipients == Which::accepted && recipient.refuses()) continue;
    const std::size_t before = out.size();
    append_recipient(out, recipient, rules);
    if (out.size() <= kMaxRecipientData) continue;
    out.resize(before);
    break;
  }
  return out;
}

SessionRow ended_row(const Request& request, const Session& session, const Rules& rules) {
  SessionRow row = row_of_rcpt(session);
  row.recipient_data = recipient_data(session, rules, Which::all);
  row.queue_id = request.queue_id.empty() ? kNoQueueId : request.queue_id;
  row.unix_time_s = session.first_rcpt.time_since_epoch() / std::chrono::seconds{1};
  for (const Text& text : kConnection) {
    if ((row.*text.column).empty()) row.*text.column = request.*text.attribute;
  }
  const std::uint64_t partial_kib = request.size_bytes % 1024 != 0 ? 1 : 0;
  row.size_kib = static_cast<std::int64_t>(request.size_bytes / 1024 + partial_kib);
  return row;
}

std::vector<SessionRow> open_rows(const Sessions& sessions, const Rules& rules, TimePoint now) {
  std::vector<SessionRow> rows;
  sessions.each([&](const Session& session) {
    if (rows.size() == kMaxOpenRows) return false;
    // Sorted by the last request of either kind, so newer RCPTs may follow.
    if (session.last_rcpt + std::chrono::hours{1} < now || session.end_of_message) return true;
    SessionRow row = row_of_rcpt(session);
    row.recipient_data = recipient_data(session, rules, Which::accepted);
    if (!row.recipient_data.empty()) rows.push_back(std::move(row));
    return true;
  });
  return rows;
}

std::optional<Session> resume(const SessionRow& row) {
  if (row.ended()) return std::nullopt;
  const auto client_address = IpAddress::parse(row.client_address);
  if (!client_address) return std::nullopt;
  Request rcpt;
  rcpt.instance = row.instance;
  rcpt.sender = row.sender;
  rcpt.helo_name = row.helo;
  rcpt.sasl_username = row.sasl_username;
  rcpt.client_address = *client_address;
  Session session;
  session.begin(rcpt);
  constexpr std::int64_t kMaxSeconds = std::int64_t{1} << 40;  // a column may hold anything
  session.first_rcpt =
      TimePoint{std::chrono::seconds{std::clamp(row.unix_time_s, std::int64_t{0}, kMaxSeconds)}};
  const bool read = each_recipient(
      row.recipient_data, [&](std::string_view address, std::span<const std::int64_t> policies) {
        session.add_recipient(address, policies, {});
      });
  if (!read) return std::nullopt;
  return session;
}

}  // namespace policyd
