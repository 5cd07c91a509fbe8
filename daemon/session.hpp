// SPDX-License-Identifier: AGPL-3.0-only
// One message from its first RCPT to END-OF-MESSAGE, known by Postfix's `instance`: what
// END-OF-MESSAGE needs of what was decided before, and the answers already given, so that a
// question asked twice is counted once. In memory, bounded; the least recently asked go first.
// The loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/clock.hpp"
#include "daemon/recently_used.hpp"
#include "daemon/request.hpp"
#include "daemon/verdict.hpp"

namespace policyd {

struct SessionRecipient {
  std::string address;
  std::vector<std::int64_t> policies;  // IDs, in the order in which they applied
  Verdict verdict;
};

struct Session {
  static constexpr std::size_t kMaxRecipients = 10'000;

  std::string instance;
  std::string sender;
  std::string helo_name;
  std::optional<std::string> sasl_username;
  IpAddress client_address;
  std::string connection;  // what else the first RCPT said, for session_tracking (session_row)
  TimePoint last_rcpt{};
  std::vector<SessionRecipient> recipients;
  std::optional<Verdict> end_of_message;  // the answer, once given; recipients are gone then

  // What RCPT said, for a tracking key of this recipient. Views into this session.
  [[nodiscard]] Request request_for(const SessionRecipient& recipient) const;
  [[nodiscard]] const SessionRecipient* find(std::string_view recipient) const;
};

class Sessions {
 public:
  explicit Sessions(std::size_t capacity) : capacity_(capacity) {}

  // The message of this instance, or null. It becomes the most recently asked.
  Session* find(std::string_view instance);
  // The message this RCPT belongs to, made where it is new.
  Session& open(const Request& rcpt);
  // A message that another process began; it must not be known.
  Session& add(Session session);
  // Most recently asked first, as long as `visit` says true.
  template <typename Visit>
  void each(Visit visit) const {
    sessions_.each(visit);
  }

  void set_capacity(std::size_t capacity);
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  std::size_t capacity_;
  RecentlyUsed<Session> sessions_;
};

// Identifies a question across restarts: (instance, recipient, state).
std::uint64_t question_hash(const Request& request);

}  // namespace policyd
