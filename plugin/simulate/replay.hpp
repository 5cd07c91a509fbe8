// SPDX-License-Identifier: AGPL-3.0-only
// Past mail played to the daemon's engine on the log's clock: which of it the rules would have
// refused, and how far each counter would have gone without that.
//
// A mail that the limits of those days refused was tried again later in the log. Where the tried
// rules let the first try pass, the later ones are left out; where they refuse it, too, the later
// ones decide whether it came late. A mail that passed in those days has no later tries: other mail
// servers are assumed to try again as Postfix does; a mail program or web mail is not.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ratio>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/config/config.hpp"
#include "plugin/maillog/mails.hpp"
#include "plugin/simulate/rules_copy.hpp"

namespace limits {

// A recipient of a mail that would have been refused at the first try.
struct Hit {
  static constexpr std::uint32_t kNoCounter = 0xffffffff;

  std::uint32_t mail = 0;  // in Mails::all
  Names::Number recipient = 0;
  std::uint32_t counter = kNoCounter;  // in Replay::counters
  std::uint32_t tries = 1;
  policyd::TimePoint time{};
  policyd::TimePoint passed{};  // at a later try; none: not at all
  [[nodiscard]] bool late() const { return passed != policyd::TimePoint{}; }
};

// Of one limit and track key.
struct ReplayCounter {
  std::int64_t limit_id = 0;  // of quotas_limits
  std::string key;
  // The greatest use within a period, if nothing were refused; of a limit per message, the largest
  // message that was refused.
  double peak = 0;
  policyd::TimePoint peak_at{};
  double units = 0;  // messages or KiB
  // Recipients that the limit was asked about, whatever it counts; 0 of a limit per message.
  std::uint64_t mails = 0;
  std::uint64_t hit = 0;
  std::uint64_t late = 0;  // of these
  policyd::TimePoint first_hit{};
};

// An hour of local time begins with one of them in each time zone.
using QuarterHour = std::chrono::duration<std::int64_t, std::ratio<900>>;

// A counter's limit was asked about a recipient in this quarter of an hour; for pictures.
struct QuarterOfCounter {
  std::uint32_t counter = 0;
  std::uint32_t quarter = 0;  // since 1970
};

struct Replay {
  std::vector<ReplayCounter> counters;
  std::vector<Hit> hits;         // by time
  std::uint64_t messages = 0;    // that were played
  std::uint64_t recipients = 0;  // of these; each counts
  std::uint64_t left_out = 0;    // later tries of mail that would have passed
  policyd::Millis longest_wait{0};
  std::vector<QuarterOfCounter> quarters;
};

struct ReplayWish {
  bool decides = true;  // false: only how far the counters go
  bool quarters = false;
};

// `config`: how the daemon counts. `progress` gets the number of mails played; where it returns
// false, the rest is left out.
Replay replay(const Mails& mails, const ReplayRules& rules, const policyd::Config& config,
              ReplayWish wish, const std::function<bool(std::uint64_t)>& progress = {});

}  // namespace limits
