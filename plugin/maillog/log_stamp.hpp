// SPDX-License-Identifier: AGPL-3.0-only
// The time at the beginning of a line of syslog, in both forms: "Nov 25 10:01:02", in local time
// and without a year, and "2026-11-25T10:01:02.123456+01:00".
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace limits {

class LogStamps {
 public:
  // Lines were written before `end` (and a day, for clocks that differ), so a stamp without a year
  // is of the last year for which that holds.
  explicit LogStamps(policyd::TimePoint end) : end_(end) {}

  struct Stamp {
    policyd::TimePoint time;
    std::size_t size = 0;  // of its text
  };
  // Nullopt if the line does not begin with one.
  std::optional<Stamp> parse(std::string_view line);

 private:
  std::optional<Stamp> parse_without_year(std::string_view line);
  std::optional<Stamp> parse_rfc3339(std::string_view line);
  // The beginning of a minute of local time; asks the C library only if it is not the last one.
  std::optional<std::int64_t> local_minute(std::string_view text, int month, int day, int hour,
                                           int minute);

  policyd::TimePoint end_;
  std::array<char, 12> known_{};  // "Nov 25 10:01", whose time is
  std::int64_t known_s_ = 0;
  std::int64_t last_s_ = 0;  // of the last line
};

}  // namespace limits
