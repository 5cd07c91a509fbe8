// SPDX-License-Identifier: AGPL-3.0-only
// Refusals counted by hour and by what refused, and by whom: `refused --by-hour`.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/events/read_events.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

struct RefusalsByHour {
  struct Hour {
    policyd::TimePoint begin{};
    std::string by;                  // "limit 3"
    std::optional<std::int64_t> id;  // of the limit; nullopt: another module, or it was removed
    std::uint64_t times = 0;
  };
  std::uint64_t times = 0;
  std::vector<Hour> hours;  // the latest first, and in an hour the most first
  std::vector<std::pair<std::string, std::uint64_t>> whom;  // the most often first
};

// An event counts for the hour of its last refusal: it is of one minute.
Result<RefusalsByHour> count_refusals(const Tables& tables, const EventFilter& filter,
                                      const AllLimits& all);

// The `top` first names, and all hours.
void print_by_hour(const RefusalsByHour& counts, std::size_t top, policyd::TimePoint now,
                   Output& output);
nlohmann::json json_of(const RefusalsByHour& counts, std::size_t top);

}  // namespace limits
