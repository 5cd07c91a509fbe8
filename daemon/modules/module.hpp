// SPDX-License-Identifier: AGPL-3.0-only
// A module decides about one recipient (RCPT) or one whole message (END-OF-MESSAGE), for the
// policies that matched, inside a batch. It sees neither sockets nor SQL. It returns whether later
// modules are still asked; the answer so far is in `verdict`.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/counting/shared_counters.hpp"
#include "daemon/dns/lookup_service.hpp"
#include "daemon/events/event_queue.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/modules/text/reason.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/session/session.hpp"
#include "daemon/store/shared_greylisting.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

// `wait`: the question has to ask the other MTAs first (Question::wanted, or asked); it is asked
// again with the answer.
enum class Next : std::uint8_t { go_on, stop, wait };

struct Question {
  const Request& request;
  const Rules& rules;
  Transaction& store;
  Maillog& log;
  bool counted_before_crash;  // Postfix repeats what was counted already: decide without counting
  Verdict verdict;
  Reason reason = {};   // of the module that is asked, or was asked last
  bool paused = false;  // nothing is refused: count what passes
  Extensions extensions = {};
  SharedCounters* shared = nullptr;  // null: all limits are this host's alone
  std::vector<Wanted> wanted = {};   // with Next::wait
  Granted* granted = nullptr;        // the answer to it
  // The same of Greylisting.
  SharedGreylisting* greylisting = nullptr;  // null: this host's tables alone
  std::optional<TripletQuestion> asked = {};
  const TripletAnswer* known = nullptr;
  EventQueue* events = nullptr;  // null: nothing is remembered
};

struct RcptQuestion : Question {
  std::span<const std::uint32_t> policies;  // indexes of rules.policies, in order
  Lookups lookups = {};                     // what needed_lookups() asked for
  bool reached_quotas = false;              // no module before Quotas gave a final answer
  Counted counted = {};                     // by Quotas
  const Session* session = nullptr;  // the message, with its earlier recipients; null: not known
};

// `session` has what was decided at RCPT.
struct MessageQuestion : Question {
  const Session& session;
};

class Module : boost::noncopyable {
 public:
  virtual ~Module() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  // Whether it uses more of the Transaction than counters.
  [[nodiscard]] virtual bool uses_tables() const { return false; }
  // Whether it counts mail, or lets some pass uncounted: only such modules are asked in a pause.
  [[nodiscard]] virtual bool decides_what_counts() const { return false; }
  // Whether it is the one that returned Next::wait, and this is its answer. Modules before it are
  // not asked again.
  [[nodiscard]] virtual bool has_waited(const Question&) const { return false; }
  // The DNS lookups it needs first; decide_rcpt is called when they are done or skipped.
  [[nodiscard]] virtual NeededLookups needed_lookups(const RcptQuestion&) const { return {}; }
  virtual Next decide_rcpt(RcptQuestion& question) = 0;
  virtual Next decide_message(MessageQuestion&) { return Next::go_on; }
};

}  // namespace policyd
