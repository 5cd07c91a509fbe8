// SPDX-License-Identifier: AGPL-3.0-only
// Option `refund` of Quotas: at the end of a message gives back what its recipients have counted
// for nothing: all of them if the message is refused there, and those that Postfix has refused
// after we let them pass. Postfix says how many it has accepted, and names the recipient if that is
// one; which of several they are is not known, so of n recipients with the same track key, of which
// it has accepted at most k, n - k are given back. A message that never ends, or whose end Postfix
// does not ask about, keeps its count.
//
// Limits on different recipients give nothing back: the unit of one may be of earlier mail to it.
//
// No more than was counted is ever given back, and only while it is in the window; nothing if rules
// have changed since the first recipient, another process has begun the message, or (except with
// `decay`) the counter was reset since.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/counting/counters.hpp"
#include "daemon/counting/shared_counters.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/session/session.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

class Refund {
 public:
  // Postfix's default is 1000; of a message with more nothing is given back.
  static constexpr std::size_t kMaxRecipients = 1'000;

  explicit Refund(bool windowed) : windowed_(windowed) {}

  struct Message {
    const Request& request;
    const Rules& rules;
    Transaction& store;
    Maillog& log;
    const Session& session;
    const Extensions& extensions;
    SharedCounters* shared;  // null: all limits are this host's alone
    bool refused;            // at its end, by us
  };
  // Once, after the message was decided and its size counted.
  void give_back(const Message& message);

 private:
  // What the recipients of one track key have counted in one limit.
  struct Tally {
    const Policy* policy;
    const Quota* quota;
    const QuotaLimit* limit;
    Counter* counter;
    std::size_t key_begin;  // in keys_
    std::size_t key_size;
    std::string_view recipient;    // the last one
    std::uint64_t recipients = 0;  // that were let through
    bool is_named = false;         // one of them is the only one that Postfix has accepted
  };

  void add_up(const Message& message);
  void add(const Message& message, const SessionRecipient& recipient, const Policy& policy,
           const Quota& quota);
  static std::uint64_t units_of(const Message& message, const Tally& tally);
  void give_back_units(const Message& message, const Tally& tally, std::uint64_t units);

  bool windowed_;
  std::vector<Tally> tallies_;
  std::string keys_;
  std::string line_;  // for the log
};

}  // namespace policyd
