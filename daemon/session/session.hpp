// SPDX-License-Identifier: AGPL-3.0-only
// One message from its first RCPT to END-OF-MESSAGE, known by Postfix's `instance`: what
// END-OF-MESSAGE needs of what was decided before, and the answers already given, so that a
// question asked twice is counted once. In memory, bounded; the least recently asked go first.
// The loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/lru_table.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"

namespace policyd {

// What was decided about one recipient. Views into its session, until that is changed.
struct SessionRecipient {
  std::string_view address;
  std::span<const std::int64_t> policies;  // IDs, in the order in which they applied
  Action action = Action::dunno;
  std::string_view text;  // of the answer
  bool reached_quotas = true;

  [[nodiscard]] Verdict verdict() const { return {action, std::string{text}}; }
  [[nodiscard]] bool refuses() const { return Verdict{action, {}}.refuses(); }
};

// All its texts stand in one string, which the next message in the same place uses again: a message
// costs no allocation, and little of the processor's cache.
class Session {
 public:
  static constexpr std::size_t kMaxRecipients = 10'000;

  // What this RCPT says is what the message is; anything from before is forgotten.
  void begin(const Request& rcpt);
  // For another message in this place: keeps memory, unless it is much.
  void recycle();

  [[nodiscard]] std::string_view instance() const { return {texts_.data(), ends_[0]}; }
  // What the first RCPT said, without a recipient. Views into this session.
  [[nodiscard]] Request said() const;
  // The same of one recipient, for its tracking keys.
  [[nodiscard]] Request request_for(const SessionRecipient& recipient) const;

  [[nodiscard]] std::size_t recipients() const { return recipients_.size(); }
  [[nodiscard]] SessionRecipient recipient(std::size_t number) const;
  [[nodiscard]] std::optional<SessionRecipient> find(std::string_view address) const;
  void add_recipient(std::string_view address, std::span<const std::int64_t> policies,
                     const Verdict& verdict, bool reached_quotas = true);
  void forget_recipients();
  // Bytes that its texts and lists take.
  [[nodiscard]] std::size_t memory() const;

  TimePoint first_rcpt{}, last_rcpt{};
  std::optional<Verdict> end_of_message;  // the answer, once given; recipients are gone then

 private:
  static constexpr std::size_t kTexts = 12;
  struct Slice {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  struct Recipient {
    Slice address, text;  // in texts_
    Slice policies;       // in policies_
    Action action = Action::dunno;
    bool reached_quotas = true;
  };

  Slice keep(std::string_view text);
  [[nodiscard]] std::string_view text_of(const Slice& slice) const {
    return std::string_view{texts_}.substr(slice.begin, slice.size);
  }

  std::string texts_;  // what RCPT said, then those of recipients
  std::array<std::uint32_t, kTexts> ends_{};
  bool has_sasl_username_ = false;
  IpAddress client_address_;
  std::vector<Recipient> recipients_;
  std::vector<std::int64_t> policies_;
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
  Session& place_for(std::string_view instance);

  std::size_t capacity_;
  LruTable<Session> sessions_;
};

// Identifies a question across restarts: (instance, recipient, state).
std::uint64_t question_hash(const Request& request);

}  // namespace policyd
