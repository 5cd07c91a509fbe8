// SPDX-License-Identifier: AGPL-3.0-only
// Refusals as people ask for them: events of the same counter that follow each other are one, "57
// times from 09:00 to 11:30". For `refused` and for notices.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "plugin/events/read_events.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

// A longer pause between two refusals of a counter begins a new line.
inline constexpr std::chrono::hours kRefusalGap{1};

// Joined events have the details of the last one. The latest first.
Result<std::vector<policyd::Event>> read_refusal_spells(const Tables& tables,
                                                        const EventFilter& filter);

// An admin may have freed the sender since: cleared the counter, raised the limit, removed it or
// switched it off. Then the same mail passes now, and `free_at` is not later than the refusal.
Result<void> note_who_was_freed(const Tables& tables, const AllLimits& all,
                                std::vector<policyd::Event>& refusals);

// The limit that refused; nullopt if it was another module, or if it was removed.
std::optional<std::int64_t> limit_of(const policyd::Event& event, const AllLimits& all);
// "limit 3", "a removed limit", "Greylisting", "AccessControl 4".
std::string refused_by(const AllLimits& all, const policyd::Event& event);
// Whom: the counter's name, or the mail's.
std::string refused_who(const policyd::Event& event);

void print_refusals(const std::vector<policyd::Event>& refusals, const AllLimits& all,
                    policyd::TimePoint now, Output& output);
// One event as it happens: a line with its time.
std::string refusal_line(const policyd::Event& event, const AllLimits& all, policyd::TimePoint now);
nlohmann::json json_of(const policyd::Event& event, const AllLimits& all);

}  // namespace limits
