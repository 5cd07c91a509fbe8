// SPDX-License-Identifier: AGPL-3.0-only
// One message from its first RCPT to END-OF-MESSAGE, identified by Postfix's `instance`: the
// decisions that END-OF-MESSAGE needs, and the answers already given, so that a repeated question
// is counted once. In memory and bounded; the least recently used are dropped first. The loop's
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/lru_table.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/session/answer_texts.hpp"

namespace policyd {

// How far Quotas has counted a recipient; by default it has not, or another process has.
struct Counted {
  static constexpr std::int64_t kNoPolicy = std::numeric_limits<std::int64_t>::min();

  std::int64_t rules_version = -1;
  // The quota that ended the walk, and its policy.
  std::int64_t last_policy = kNoPolicy;
  std::int64_t last_quota = 0;
};

// The decision for one recipient. Views into its session, until that changes.
struct SessionRecipient {
  std::string_view address;
  std::span<const std::int64_t> policies;  // IDs, in the order in which they applied
  RememberedAnswer answer;
  bool reached_quotas = true;
  Counted counted = {};

  [[nodiscard]] bool refuses() const { return answer.refuses(); }
  // Whether it has counted in this quota, in these rules.
  [[nodiscard]] bool has_counted(std::int64_t rules_version, std::int64_t policy,
                                 std::int64_t quota) const;
};

// All texts but the answers' are in one string, which the next message in the same slot reuses: a
// message costs no allocation, and little of the processor's cache.
class Session {
 public:
  static constexpr std::size_t kMaxRecipients = 10'000;

  // Starts a message with its first RCPT; clears what was there before.
  void begin(const Request& rcpt);
  // Clears it for another message; keeps the memory, unless it is a lot.
  void recycle();

  [[nodiscard]] std::string_view instance() const { return {texts_.data(), ends_[0]}; }
  // The first RCPT, without its recipient. Views into this session.
  [[nodiscard]] Request first_request() const;
  // The same for one recipient, for its tracking keys.
  [[nodiscard]] Request request_for(const SessionRecipient& recipient) const;

  [[nodiscard]] std::size_t recipients() const { return recipients_.size(); }
  [[nodiscard]] SessionRecipient recipient(std::size_t number) const;
  [[nodiscard]] std::optional<SessionRecipient> find(std::string_view address) const;
  void add_recipient(std::string_view address, std::span<const std::int64_t> policies,
                     RememberedAnswer answer, bool reached_quotas = true,
                     const Counted& counted = {});
  void forget_recipients();
  // Bytes that its texts and lists take.
  [[nodiscard]] std::size_t memory() const;

  TimePoint first_rcpt{}, last_rcpt{};
  std::int64_t rules_version = -1;  // at the first RCPT; -1 if another process has decided it
  std::optional<RememberedAnswer>
      end_of_message;  // the answer, once given; then there are no recipients

 private:
  static constexpr std::size_t kTexts = 12;
  struct Slice {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  struct Recipient {
    Slice address;   // in texts_
    Slice policies;  // in policies_
    RememberedAnswer answer;
    bool reached_quotas = true;
    Counted counted;
  };

  Slice keep(std::string_view text);
  [[nodiscard]] std::string_view text_of(const Slice& slice) const {
    return std::string_view{texts_}.substr(slice.begin, slice.size);
  }

  std::string texts_;  // of RCPT, then of recipients
  std::array<std::uint32_t, kTexts> ends_{};
  bool has_sasl_username_ = false;
  IpAddress client_address_;
  std::vector<Recipient> recipients_;
  std::vector<std::int64_t> policies_;
};

class Sessions {
 public:
  explicit Sessions(std::size_t capacity) : capacity_(capacity) {}

  // The message of this instance, or null. It becomes the most recently used.
  Session* find(std::string_view instance);
  // The message this RCPT belongs to, created if it is new.
  Session& open(const Request& rcpt);
  // A message that another process began; it must not be there yet.
  Session& add(Session session);
  // Most recently used first, until `visit` returns false.
  template <typename Visit>
  void each(Visit visit) const {
    sessions_.each(visit);
  }

  // A verdict, to be remembered with one of the messages.
  RememberedAnswer remember(const Verdict& verdict) { return answers_.remember(verdict); }

  void set_capacity(std::size_t capacity);
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  Session& slot_for(std::string_view instance);

  std::size_t capacity_;
  AnswerTexts answers_;
  LruTable<Session> sessions_;
};

// Identifies a question across restarts: (instance, recipient, state).
std::uint64_t question_hash(const Request& request);

}  // namespace policyd
