// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/text/quota_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "daemon/base/append_number.hpp"

namespace policyd {

namespace {

// The protocol cuts answers far below this.
constexpr std::size_t kMaxText = 8192;
constexpr std::size_t kMaxPlaceholder = std::string_view{"{retry_after}"}.size();

struct Unit {
  std::string_view name;
  std::int64_t seconds;
};
constexpr std::array kUnits{Unit{"day", 86'400}, Unit{"hour", 3'600}, Unit{"minute", 60},
                            Unit{"second", 1}};

std::string plural(std::int64_t count, const Unit& unit) {
  return fmt::format("{} {}{}", count, unit.name, count == 1 ? "" : "s");
}

}  // namespace

void append_quota_line(std::string& out, const QuotaLine& line) {
  const auto text = [&out](std::string_view label, std::string_view value) {
    out += label;
    out += value;
  };
  const auto id = [&out](std::string_view label, std::int64_t value) {
    out += label;
    append_number(out, value);
  };
  text("module=Quotas, ", line.what);
  text(", host=", {});
  line.request.client_address.append_short_to(out);
  text(", helo=", line.request.helo_name);
  text(", from=", line.request.sender);
  text(", to=", line.recipient);
  text(", reason=", line.reason);
  id(", policy=", line.policy.id);
  id(", quota=", line.quota.id);
  id(", limit=", line.limit.id);
  text(", track=", line.track_key);
  text(", counter=", name_of(line.limit.type));
  text(", quota=", {});
  append_fixed(out, line.use, 2);
  out += '/';
  append_number(out, line.limit.counter_limit);
  out += " (";
  append_fixed(out, line.use / line.limit.counter_limit * 100, 1);
  out += "%)";
}

std::string quota_answer(const Quota& quota, const QuotaLimit& limit) {
  if (!quota.data.empty()) return quota.data;
  switch (limit.type) {
    case LimitType::message_count:
    case LimitType::messages:
      return "Policy rejection; Message count quota exceeded";
    case LimitType::message_cumulative_size:
      return "Policy rejection; Cumulative message size quota exceeded";
    case LimitType::recipients_per_message:
      return "Policy rejection; Too many recipients of one message";
    case LimitType::size_per_message:
      return "Policy rejection; Message too large";
    case LimitType::distinct_recipients:
      return "Policy rejection; Too many different recipients";
  }
  return {};
}

std::string quota_answer(const Quota& quota, const QuotaLimit& limit, double used,
                         Millis retry_after) {
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    if (name == "used") return amount_in_words(limit.type, used);
    if (name == "limit") return amount_in_words(limit.type, limit.counter_limit);
    if (name == "period") return period_in_words(quota, limit.type);
    if (name == "retry_after") {  // "try again in another message": no wait helps this one
      return is_of_each_message(limit.type) ? "another message" : wait_in_words(retry_after);
    }
    return std::nullopt;
  };
  std::string out;
  std::string_view rest = quota.data;
  while (!rest.empty() && out.size() < kMaxText) {
    const std::string_view before = rest.substr(0, rest.find('{'));
    out += before;
    rest.remove_prefix(before.size());
    if (rest.empty()) break;
    const std::size_t end = rest.substr(0, kMaxPlaceholder).find('}');
    const auto value =
        end == std::string_view::npos ? std::nullopt : value_of(rest.substr(1, end - 1));
    out += value ? std::string_view{*value} : rest.substr(0, 1);
    rest.remove_prefix(value ? end + 1 : 1);
  }
  return out;
}

std::string amount_in_words(LimitType type, double amount) {
  if (!is_size(type)) return fmt::format("{:.0f}", std::floor(amount));
  constexpr double kStep = 1024;
  if (amount < kStep) return fmt::format("{:.0f} KiB", std::floor(amount));
  const bool mib = amount < kStep * kStep;
  const double tenths = std::floor(amount * 10 / (mib ? kStep : kStep * kStep));
  const std::string_view unit = mib ? "MiB" : "GiB";
  const bool whole = std::fmod(tenths, 10) == 0;
  return fmt::format("{:.{}f} {}", tenths / 10, whole ? 0 : 1, unit);
}

std::string period_in_words(const Quota& quota, LimitType type) {
  if (is_of_each_message(type)) return "message";
  return period_in_words(std::chrono::seconds{quota.period_s});
}

std::string period_in_words(std::chrono::seconds period) {
  const Unit& unit = *std::find_if(kUnits.begin(), kUnits.end(), [period](const Unit& candidate) {
    return period.count() % candidate.seconds == 0;
  });
  const std::int64_t count = period.count() / unit.seconds;
  return count == 1 ? std::string{unit.name} : plural(count, unit);
}

std::string wait_in_words(Millis wait) {
  const std::int64_t seconds = std::max<std::int64_t>(1, (wait.count() + 999) / 1000);
  // The largest unit with at least two of it, so that rounding up adds less than half.
  const Unit& unit = *std::find_if(kUnits.begin(), kUnits.end(), [seconds](const Unit& candidate) {
    return seconds % candidate.seconds == 0 || seconds >= 2 * candidate.seconds;
  });
  return plural((seconds + unit.seconds - 1) / unit.seconds, unit);
}

}  // namespace policyd
