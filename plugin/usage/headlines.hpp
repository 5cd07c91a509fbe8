// SPDX-License-Identifier: AGPL-3.0-only
// What an admin must know before reading any figure: that limits are paused, that nothing limits
// at all, or that all mail is stopped. Printed on top of what shows limits or changes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/engine/pause.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

// "2026-11-26 02:00:00", in local time.
std::string local_time_text(policyd::TimePoint time);
// "Limits are paused until ...: all mail passes, and is counted; ..."
std::string pause_text(const policyd::Pause& pause);

// The daemon's; none for a database that is not the daemon's.
std::optional<policyd::Pause> pause_in_force(const DaemonConfig& daemon, policyd::TimePoint now);

struct Headline {
  enum class Kind : std::uint8_t { paused, not_running, no_rules, all_mail, quotas_off };
  Kind kind;
  std::string text;  // sentences with a full stop
};

// Empty for a database that is not the daemon's, and if the daemon's
// configuration cannot be read.
std::vector<Headline> headlines(const DaemonConfig& daemon, policyd::TimePoint now);

// "Warning: ...", and an empty line after the last one.
void print_headlines(const std::vector<Headline>& lines, const TypedAdvice& advice, Output& output);
// Their texts, for JSON.
std::vector<std::string> texts_of(const std::vector<Headline>& lines);

}  // namespace limits
