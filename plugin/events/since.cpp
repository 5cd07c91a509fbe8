// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/since.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "daemon/base/ascii.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::TimePoint;

std::tm local(TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm out{};
  ::localtime_r(&seconds, &out);
  return out;
}

// Not by system_clock::from_time_t, whose nanoseconds end in 2262.
TimePoint at(std::time_t seconds) { return TimePoint{std::chrono::seconds{seconds}}; }

// The first of two where summer time ends. Of them mktime() alone takes the one or the other by
// what it was asked before.
std::time_t first_time(std::tm& day) {
  const std::tm asked = day;
  day.tm_isdst = -1;
  std::time_t first = ::mktime(&day);
  for (const int dst : {0, 1}) {
    std::tm other = asked;
    other.tm_isdst = dst;
    const std::time_t seconds = ::mktime(&other);
    if (other.tm_isdst == dst && seconds >= 0 && seconds < first) first = seconds;
  }
  return first;
}

// Nullopt for a time that does not exist, such as 2026-02-30.
std::optional<TimePoint> time_of(std::tm day) {
  std::tm normal = day;
  const std::time_t seconds = first_time(normal);
  if (seconds < 0 || normal.tm_mday != day.tm_mday || normal.tm_mon != day.tm_mon) {
    return std::nullopt;
  }
  return at(seconds);
}

std::optional<std::tm> read_as(const std::string& text, const char* form, std::tm from) {
  const char* end = ::strptime(text.c_str(), form, &from);
  return end != nullptr && *end == '\0' ? std::optional{from} : std::nullopt;
}

constexpr std::chrono::seconds kLongestAgo = std::chrono::years{10};

// "2h": the notation of a limit's period, which may be longer here. What is longer than kLongestAgo
// is a second longer.
std::optional<std::chrono::seconds> ago(const std::string& text) {
  if (text.find_first_of("/,") != std::string::npos) return std::nullopt;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = policyd::parse_number<std::int64_t>(std::string_view{text}.substr(0, digits));
  const auto unit = parse_limit("1/1" + text.substr(digits));
  if (!count || *count == 0 || !unit || unit->size() != 1) return std::nullopt;
  const std::chrono::seconds length = unit->front().period;
  if (length.count() == 0) return std::nullopt;
  return *count > kLongestAgo / length ? kLongestAgo + std::chrono::seconds{1} : *count * length;
}

std::optional<TimePoint> time_in(const std::string& text, TimePoint now) {
  if (text == "today") return midnight(now);
  std::tm day = local(midnight(now));
  if (text == "yesterday") {
    --day.tm_mday;
    day.tm_isdst = -1;
    return at(::mktime(&day));
  }
  if (const auto before = ago(text)) return now - *before;
  for (const char* form : {"%H:%M", "%H:%M:%S"}) {
    auto read = read_as(text, form, day);
    if (!read) continue;
    const auto time = time_of(*read);
    if (time && *time <= now) return time;
    --read->tm_mday;
    return at(first_time(*read));
  }
  for (const char* form :
       {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
    if (const auto read = read_as(text, form, day)) return time_of(*read);
  }
  return std::nullopt;
}

}  // namespace

policyd::Result<TimePoint> parse_since(std::string_view text, TimePoint now) {
  constexpr std::size_t kMaxLength = 40;
  const std::string typed{text.substr(0, kMaxLength + 1)};
  if (const auto before = ago(typed); before && *before > kLongestAgo) {
    return policyd::failure(fmt::format("the time '{}' is more than 10 years ago", shown(text)));
  }
  const auto time = typed.size() <= kMaxLength ? time_in(typed, now) : std::optional<TimePoint>{};
  if (!time) {
    return policyd::failure(fmt::format(
        "not a valid time: '{}'; write 09:00, yesterday, 2026-11-25, '2026-11-25 09:00' "
        "or 2h (ago)",
        shown(text)));
  }
  if (*time > now) {
    return policyd::failure(fmt::format("the time '{}' is in the future", shown(text)));
  }
  return *time;
}

TimePoint hour_of(TimePoint time) {
  const std::tm day = local(time);
  return std::chrono::floor<std::chrono::seconds>(time) - std::chrono::minutes{day.tm_min} -
         std::chrono::seconds{day.tm_sec};
}

TimePoint midnight(TimePoint now) {
  std::tm day = local(now);
  day.tm_hour = day.tm_min = day.tm_sec = 0;
  day.tm_isdst = -1;
  return std::chrono::time_point_cast<policyd::Millis>(
      std::chrono::system_clock::from_time_t(::mktime(&day)));
}

std::string short_time_text(TimePoint time, TimePoint now) {
  const std::tm then = local(time);
  const std::tm today = local(now);
  const bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  return same_day ? fmt::format("{:%H:%M}", then) : fmt::format("{:%m-%d %H:%M}", then);
}

}  // namespace limits
