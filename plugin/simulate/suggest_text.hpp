// SPDX-License-Identifier: AGPL-3.0-only
// What `suggest` prints: the peaks, the commands, and what they rest on.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/cli/typed_advice.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/simulate/past_mail.hpp"
#include "plugin/simulate/suggestion.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

struct SuggestView {
  const PastMail& mail;
  const Replay& measured;
  const std::vector<AccountPeaks>& accounts;
  const Suggestion& suggestion;
  double share = 0;
  std::uint64_t refused = 0;                // of this mail by the suggested limits
  std::int64_t a_day = 0;                   // what the suggested limit lets an account send
  std::optional<std::int64_t> today_a_day;  // what today's limit does
  std::string typed;                        // the command
  bool of_input = false;                    // it has read standard input
  const TypedAdvice& advice;
};

// "carbonio-limits send 20/min,200/h --user anna@example.org"
std::string command_of(const WantedLimit& limit);

void print_suggestion(const SuggestView& view, Output& output);
nlohmann::json json_of(const SuggestView& view);

// What came while a limit that only monitors was used up.
struct WatchedLimit {
  StoredLimit limit;
  std::string command = {};  // lets it refuse mail; empty if our options cannot express it
  std::string changes = {};  // by that command of a limit that is there: "limit 3: 100/h → 200/h"
  std::vector<std::string> warnings = {};  // of what that command takes away from other limits
  std::uint64_t times = 0;                 // mails that came while it was used up
  policyd::TimePoint first{};
  std::vector<std::pair<std::string, std::uint64_t>> who = {};  // track keys, the most often first
};
Result<std::vector<WatchedLimit>> watched_limits(const Tables& tables);
void print_watched(const std::vector<WatchedLimit>& limits, const TypedAdvice& advice,
                   Output& output);
nlohmann::json json_of(const std::vector<WatchedLimit>& limits);

}  // namespace limits
