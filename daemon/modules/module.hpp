// SPDX-License-Identifier: AGPL-3.0-only
// A module decides about one recipient (RCPT) or one whole message (END-OF-MESSAGE), for the
// policies that matched, inside a batch. It sees neither sockets nor SQL. It says whether later
// modules are still asked; its answer so far is in `verdict`.
#pragma once

#include <span>
#include <string_view>

#include "daemon/dns/lookup_service.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/session/session.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

enum class Next : std::uint8_t { go_on, stop };

struct Question {
  const Request& request;
  const Rules& rules;
  Transaction& store;
  Maillog& log;
  bool counted_before_crash;  // Postfix asks again what was counted: decide without counting
  Verdict verdict;
};

struct RcptQuestion : Question {
  std::span<const std::uint32_t> policies;  // places in rules.policies, in order
  Lookups lookups = {};                     // what wishes() asked for
  bool reached_quotas = false;              // no module before Quotas settled it
};

// `session` is what was decided at RCPT.
struct MessageQuestion : Question {
  const Session& session;
};

class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  // Whether it uses more of the Transaction than counters.
  [[nodiscard]] virtual bool uses_tables() const { return false; }
  // What it wants to know from the DNS first; decide_rcpt is called when that is known, or
  // skipped.
  [[nodiscard]] virtual LookupWishes wishes(const RcptQuestion&) const { return {}; }
  virtual Next decide_rcpt(RcptQuestion& question) = 0;
  virtual Next decide_message(MessageQuestion&) { return Next::go_on; }
};

}  // namespace policyd
