// SPDX-License-Identifier: AGPL-3.0-only
// What is done, beside refusing the mail, when an account is over a limit for long or stands out by
// a signal: steps, one after the other, as people type them after --then: "notify,block:1h,lock".
// In the database they are in Comment of the limit's quotas ("then=notify,block:1h"), which the
// Perl daemon ignores; the words are stored, so they stay. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

struct Step {
  enum class Kind : std::uint8_t {
    notify,  // the admin is told, and nothing else
    hold,    // mail is accepted and stays in Postfix's queue, on hold
    block,   // mail is refused
    lock,    // so it is, and the account is locked in Carbonio, until it is unblocked
  };
  Kind kind = Kind::notify;
  std::optional<std::chrono::seconds> duration = {};  // of hold and block; none: until unblocked

  bool operator==(const Step&) const = default;
};

inline constexpr std::size_t kMaxSteps = 8;

std::string_view name_of(Step::Kind kind);
// "block:1h"
std::string step_text(const Step& step);
// "notify,block:1h,lock", and back; an Error, with what would be right, for anything else.
std::string steps_text(const std::vector<Step>& steps);
policyd::Result<std::vector<Step>> parse_steps(std::string_view text);

// The steps in a Comment, as they are written there; empty if it has none.
std::string_view steps_in(std::string_view comment);
// The Comment with other steps; what else an admin has written there stays.
std::string with_steps(std::string_view comment, std::string_view steps);

}  // namespace limits
