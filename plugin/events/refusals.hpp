// SPDX-License-Identifier: AGPL-3.0-only
// Refusals as people ask for them: events of the same counter that follow each other are one, "57
// times from 09:00 to 11:30". For `refused` and for notices.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
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

// Whether an admin has freed the sender since a limit refused it: cleared the counter, raised the
// limit, removed it or switched it off.
class FreedSince {
 public:
  // For refusals that are not before `earliest`. `all` has to outlive it.
  static Result<FreedSince> read(const Tables& tables, const AllLimits& all,
                                 policyd::TimePoint earliest);
  [[nodiscard]] bool operator()(const policyd::Event& refusal) const;

 private:
  explicit FreedSince(const AllLimits& all) : all_(&all) {}

  const AllLimits* all_;
  // When each counter was cleared last; an empty key stands for all counters of the row.
  std::map<std::pair<std::int64_t, std::string>, policyd::TimePoint> cleared_;
};

// Of those who were freed the same mail passes now: their `free_at` is not later than the refusal.
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
