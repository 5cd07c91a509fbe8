// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/log_stamp.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/base/ascii.hpp"

namespace limits {
namespace {

using policyd::Millis;
using policyd::TimePoint;

constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::int64_t kDayS = 86'400;

// Two digits, or a blank and one; -1 if they are none.
constexpr int two_digits(std::string_view text, std::size_t at) {
  const char tens = text[at] == ' ' ? '0' : text[at];
  if (!policyd::is_digit(tens) || !policyd::is_digit(text[at + 1])) return -1;
  return (tens - '0') * 10 + (text[at + 1] - '0');
}

constexpr bool is_time(int hour, int minute, int second) {
  return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60;
}

// What is on the clock while summer time holds (1) or does not (0); nullopt if it was not so then.
std::optional<std::int64_t> local_time(std::tm local, int summer) {
  const std::pair time{local.tm_hour, local.tm_min};
  local.tm_isdst = summer;
  const std::int64_t time_s = ::mktime(&local);
  if (local.tm_isdst != summer || std::pair{local.tm_hour, local.tm_min} != time) {
    return std::nullopt;
  }
  return time_s;
}

TimePoint at_second(std::int64_t seconds) { return TimePoint{std::chrono::seconds{seconds}}; }

}  // namespace

std::optional<LogStamps::Stamp> LogStamps::parse(std::string_view line) {
  if (line.empty()) return std::nullopt;
  return policyd::is_digit(line.front()) ? parse_rfc3339(line) : parse_without_year(line);
}

std::optional<LogStamps::Stamp> LogStamps::parse_without_year(std::string_view line) {
  constexpr std::size_t kSize = 15;
  if (line.size() <= kSize || line[3] != ' ' || line[6] != ' ' || line[9] != ':' ||
      line[12] != ':' || line[kSize] != ' ') {
    return std::nullopt;
  }
  const std::size_t month = kMonths.find(line.substr(0, 3));
  const int day = two_digits(line, 4);
  const int hour = two_digits(line, 7);
  const int minute = two_digits(line, 10);
  const int second = two_digits(line, 13);
  if (month == std::string_view::npos || month % 3 != 0 || day < 1 || day > 31 ||
      !is_time(hour, minute, second)) {
    return std::nullopt;
  }
  const auto begin =
      local_minute(line.substr(0, 12), static_cast<int>(month / 3), day, hour, minute);
  if (!begin) return std::nullopt;
  last_s_ = *begin + second;
  return Stamp{at_second(last_s_), kSize};
}

std::optional<std::int64_t> LogStamps::local_minute(std::string_view text, int month, int day,
                                                    int hour, int minute) {
  if (std::equal(text.begin(), text.end(), known_.begin())) return known_s_;
  const std::int64_t end_s =
      std::chrono::duration_cast<std::chrono::seconds>(end_.time_since_epoch()).count() + kDayS;
  std::tm now{};
  const std::time_t end = end_s;
  ::localtime_r(&end, &now);
  // 29 February may be eight years ago.
  constexpr int kYears = 8;
  for (int year = now.tm_year; year >= now.tm_year - kYears; --year) {
    std::tm local{};
    local.tm_year = year;
    local.tm_mon = month;
    local.tm_mday = day;
    local.tm_hour = hour;
    local.tm_min = minute;
    local.tm_isdst = -1;
    const std::tm given = local;
    std::int64_t time_s = ::mktime(&local);
    if (local.tm_mday != day || time_s > end_s) continue;
    // The hour that comes twice, when summer ends: after its end it is the second one.
    const auto one = local_time(given, 0);
    const auto other = local_time(given, 1);
    if (one && other) {
      constexpr std::int64_t kHourS = 3600;
      constexpr std::int64_t kSlackS = 600;
      const auto [first_s, second_s] = std::minmax(*one, *other);
      time_s = last_s_ > first_s + kSlackS && last_s_ < second_s + kHourS ? second_s : first_s;
    }
    std::copy(text.begin(), text.end(), known_.begin());
    known_s_ = time_s;
    return time_s;
  }
  return std::nullopt;
}

std::optional<LogStamps::Stamp> LogStamps::parse_rfc3339(std::string_view line) {
  constexpr std::size_t kSeconds = 19;  // "2026-11-25T10:01:02"
  if (line.size() <= kSeconds || line[4] != '-' || line[7] != '-' ||
      (line[10] != 'T' && line[10] != ' ') || line[13] != ':' || line[16] != ':') {
    return std::nullopt;
  }
  const int century = two_digits(line, 0);
  const int year = two_digits(line, 2);
  const int month = two_digits(line, 5);
  const int day = two_digits(line, 8);
  const int hour = two_digits(line, 11);
  const int minute = two_digits(line, 14);
  const int second = two_digits(line, 17);
  constexpr int kFirstCentury = 19;
  if (century < kFirstCentury || year < 0 || month < 1 || day < 1 ||
      !is_time(hour, minute, second)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{century * 100 + year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  std::size_t at = kSeconds;
  std::int64_t millis = 0;
  if (line[at] == '.') {
    std::int64_t unit = 100;
    for (++at; at < line.size() && policyd::is_digit(line[at]); ++at, unit /= 10) {
      millis += (line[at] - '0') * unit;
    }
  }
  std::int64_t offset_s = 0;
  if (at >= line.size()) return std::nullopt;
  if (line[at] == 'Z') {
    ++at;
  } else if ((line[at] == '+' || line[at] == '-') && line.size() > at + 6) {
    const int hours = two_digits(line, at + 1);
    const int minutes = two_digits(line, at + 4);
    if (!is_time(hours, minutes, 0) || line[at + 3] != ':') return std::nullopt;
    offset_s = (hours * 60 + minutes) * 60 * (line[at] == '+' ? 1 : -1);
    at += 6;
  } else {
    return std::nullopt;
  }
  if (at >= line.size() || line[at] != ' ') return std::nullopt;
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const std::int64_t time_s = days * kDayS + hour * 3600 + minute * 60 + second - offset_s;
  return Stamp{at_second(time_s) + Millis{millis}, at};
}

}  // namespace limits
