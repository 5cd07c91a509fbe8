// SPDX-License-Identifier: AGPL-3.0-only
// What accounts have reached of each signal, counted from session_tracking: the messages whose end
// the daemon was asked about; and from the mail log. A login is one with SASL; for an account see
// account_key.hpp. Web mail has no login and no client of its own in Postfix, so that `networks`,
// `senders` and `countries` do not see it, and the others do. Memory is bounded: of the newest
// million messages a hash of each name, and 100,000 accounts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/answers/bounces.hpp"
#include "plugin/answers/countries.hpp"
#include "plugin/answers/due_steps.hpp"
#include "plugin/answers/signals.hpp"
#include "plugin/block/whom.hpp"

namespace limits {

struct SignalLevel {
  policyd::Event last;  // about the last message, with the account as its counter
  std::uint64_t reached = 0;
  std::uint64_t usual = 0;  // of rate: the 99th percentile of the hours in which it sent
  bool certain = true;      // all of it is the account's own mail (is_certain())
};

// What levels are counted from.
struct SignalSources {
  const Tables& tables;
  const OwnNames& own;
  const std::vector<Bounced>& bounced;  // oldest first
  const Countries* countries;           // null: not known
};

// Those who have reached the signal since the last step about them; all who have sent at all if its
// amount is 1. Most first.
Result<std::vector<SignalLevel>> read_levels(const SignalSources& sources, const Signal& signal,
                                             const StepsTaken& taken, policyd::TimePoint now);

// `rates`: also of Signal::rate, which reads what accounts have sent in a month.
Result<std::vector<DueStep>> read_due_signals(const SignalSources& sources,
                                              const std::vector<StoredSignal>& signals,
                                              const StepsTaken& taken, policyd::TimePoint now,
                                              bool rates);

}  // namespace limits
