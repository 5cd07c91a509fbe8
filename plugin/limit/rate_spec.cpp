// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/rate_spec.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "daemon/base/ascii.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;
using std::chrono::seconds;

struct PeriodUnit {
  std::string_view name;      // in the notation
  std::string_view words;     // also accepted; no "m", which could be a minute or a month
  std::string_view singular;  // in sentences: "a day", "2 days"
  std::string_view article;
  std::int64_t length_s;
};
// Longest first: a period is written in the largest unit that fits.
constexpr std::array<PeriodUnit, 5> kPeriodUnits = {
    {{"week", "w week weeks", "week", "a", 7 * 86'400},
     {"day", "d day days", "day", "a", 86'400},
     {"h", "h hour hours", "hour", "an", 3'600},
     {"min", "min mins minute minutes", "minute", "a", 60},
     {"s", "s sec secs second seconds", "second", "a", 1}}};

constexpr std::int64_t kKibPerMib = 1024;
constexpr std::int64_t kKibPerGib = 1024 * kKibPerMib;

tl::unexpected<policyd::Error> refuse(std::string_view text, std::string_view why) {
  return failure(fmt::format(
      "not a valid limit: '{}': {}; write AMOUNT/PERIOD, such as 100/h, 10/60s or 50M/day",
      shown(text), why));
}

// The whole number that `text` begins with, and the rest. A number that is too large is clamped.
struct Leading {
  std::optional<std::int64_t> number;
  std::string_view rest;
};
Leading leading_number(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), policyd::is_digit);
  const auto length = static_cast<std::size_t>(end - text.begin());
  if (length == 0) return {std::nullopt, text};
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + length, number);
  if (parsed.ec == std::errc::result_out_of_range) number = INT64_MAX;
  return {number, text.substr(length)};
}

// "1,000" → "1000" if that is how the text begins: digits in groups of three behind a separator.
std::optional<std::string> without_separators(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::size_t end = std::min(text.find_first_not_of("0123456789,.'_ "), slash);
  if (end == 0 || !policyd::is_digit(text.front())) return std::nullopt;
  std::string digits;
  std::size_t group = 0;
  bool separated = false;
  for (const char c : text.substr(0, end)) {
    if (policyd::is_digit(c)) {
      digits += c;
      ++group;
      continue;
    }
    if (group == 0 || group > 3 || (separated && group != 3)) return std::nullopt;
    separated = true;
    group = 0;
  }
  if (!separated || group != 3) return std::nullopt;
  return digits + std::string{text.substr(end)};
}

Result<Rate> parse_rate(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return refuse(text, "the period is missing");

  Rate rate;
  const auto [amount, suffix_text] = leading_number(text.substr(0, slash));
  if (!amount) return refuse(text, "the amount is not a whole number");
  if (*amount == 0) return refuse(text, "an amount of 0 would let nothing through");
  std::string suffix{suffix_text};
  policyd::lower_case(suffix);
  std::int64_t kib = 0;
  if (suffix == "k" || suffix == "kb" || suffix == "kib") kib = 1;
  if (suffix == "m" || suffix == "mb" || suffix == "mib") kib = kKibPerMib;
  if (suffix == "g" || suffix == "gb" || suffix == "gib") kib = kKibPerGib;
  // Too small for mail: rather thousands of messages.
  if (suffix == "k" && *amount < kKibPerMib) {
    const std::string_view period = text.substr(slash);
    return failure(
        fmt::format("not a valid limit: '{}': did you mean {}000{}? For a size of {} KiB "
                    "write {}KiB{}",
                    shown(text), *amount, shown(period), *amount, *amount, shown(period)));
  }
  if (suffix.substr(0, 1) == ".") return refuse(text, "the amount is not a whole number");
  if (!suffix.empty() && kib == 0) {
    return refuse(text, fmt::format("'{}' is not a valid size (K, M or G)", shown(suffix_text)));
  }
  if (kib == 0) {
    if (*amount > kMaxMessages) return refuse(text, "the amount is more than 1000000000 messages");
    rate.amount = *amount;
  } else {
    if (*amount > kMaxKib / kib) return refuse(text, "the amount is more than 1048576G");
    rate.unit = Unit::kib;
    rate.amount = *amount * kib;
  }

  const auto [count, word_text] = leading_number(text.substr(slash + 1));
  std::string word{word_text};
  policyd::lower_case(word);
  const auto* unit =
      std::find_if(kPeriodUnits.begin(), kPeriodUnits.end(), [&](const PeriodUnit& known) {
        const auto words = split(known.words, ' ');
        return std::find(words.begin(), words.end(), word) != words.end();
      });
  if (word.substr(0, 1) == ".") {
    return refuse(text, "the period is not a whole number (write 90min for an hour and a half)");
  }
  if (unit == kPeriodUnits.end()) {
    return refuse(text, word.empty()
                            ? std::string{"the period has no unit (s, min, h, day or week)"}
                            : fmt::format("'{}' is not a valid period (s, min, h, day or week)",
                                          shown(word_text)));
  }
  if (count == 0) return refuse(text, "the period must be at least 1 s");
  if (count.value_or(1) > kMaxPeriod.count() / unit->length_s) {
    return refuse(text, "the period must be at most 30 days, because older counters are deleted");
  }
  rate.period = seconds{count.value_or(1) * unit->length_s};
  return rate;
}

const PeriodUnit& unit_of(seconds period) {
  return *std::find_if(kPeriodUnits.begin(), kPeriodUnits.end(), [&](const PeriodUnit& unit) {
    return unit.length_s == 1 || period.count() % unit.length_s == 0;
  });
}

std::string amount_text(const Rate& rate) {
  if (rate.unit == Unit::messages) {
    return fmt::format("{} {}", rate.amount, rate.amount == 1 ? "message" : "messages");
  }
  if (rate.amount % kKibPerGib == 0) return fmt::format("{} GiB", rate.amount / kKibPerGib);
  if (rate.amount % kKibPerMib == 0) return fmt::format("{} MiB", rate.amount / kKibPerMib);
  return fmt::format("{} KiB", rate.amount);
}

}  // namespace

Result<std::vector<Rate>> parse_limit(std::string_view text) {
  std::vector<Rate> rates;
  for (std::size_t at = 0; at <= text.size();) {
    if (const auto plain = without_separators(text.substr(at))) {
      const std::string_view written = text.substr(at);
      const std::size_t slash = std::min(written.find('/'), written.size());
      return failure(fmt::format("not a valid limit: '{}': write {}, without separators",
                                 shown(written.substr(0, written.find(',', slash))),
                                 shown(std::string_view{*plain}.substr(0, plain->find(',')))));
    }
    const std::size_t comma = std::min(text.find(',', at), text.size());
    auto rate = parse_rate(text.substr(at, comma - at));
    if (!rate) return tl::unexpected{rate.error()};
    rates.push_back(*rate);
    if (rates.size() > kMaxRates) {
      return failure(fmt::format("a limit can have at most {} periods", kMaxRates));
    }
    at = comma + 1;
  }
  std::sort(rates.begin(), rates.end(), [](const Rate& a, const Rate& b) {
    return a.period != b.period ? a.period < b.period : a.unit < b.unit;
  });
  const auto twice = std::adjacent_find(
      rates.begin(), rates.end(),
      [](const Rate& a, const Rate& b) { return a.period == b.period && a.unit == b.unit; });
  if (twice != rates.end()) {
    return failure(fmt::format("'{}' and '{}' limit the same period twice; keep one of them",
                               format_rate(*twice), format_rate(*(twice + 1))));
  }
  return rates;
}

std::string format_amount(Unit unit, std::int64_t amount) {
  if (unit == Unit::messages) return fmt::format("{}", amount);
  if (amount != 0 && amount % kKibPerGib == 0) return fmt::format("{}G", amount / kKibPerGib);
  if (amount != 0 && amount % kKibPerMib == 0) return fmt::format("{}M", amount / kKibPerMib);
  return fmt::format("{}K", amount);
}

std::string format_used(std::int64_t used, const Rate& rate) {
  const std::string amount = format_amount(rate.unit, rate.amount);
  std::int64_t kib = 1;
  if (amount.back() == 'M') kib = kKibPerMib;
  if (amount.back() == 'G') kib = kKibPerGib;
  if (kib == 1) {
    return fmt::format("{}{}/{}", used, rate.unit == Unit::kib ? "K" : "", amount);
  }
  const double share = static_cast<double>(used) / static_cast<double>(kib);
  return fmt::format("{:.1f}{}/{}", share, amount.back(), amount);
}

std::string format_period(seconds period) {
  const PeriodUnit& unit = unit_of(period);
  const std::int64_t count = period.count() / unit.length_s;
  return count == 1 ? std::string{unit.name} : fmt::format("{}{}", count, unit.name);
}

std::string format_rate(const Rate& rate) {
  if (rate.unit == Unit::kib && rate.amount < kKibPerMib) {
    return fmt::format("{}KiB/{}", rate.amount, format_period(rate.period));
  }
  return fmt::format("{}/{}", format_amount(rate.unit, rate.amount), format_period(rate.period));
}

std::string format_limit(std::span<const Rate> rates) {
  std::string out;
  for (const Rate& rate : rates) {
    if (!out.empty()) out += ',';
    out += format_rate(rate);
  }
  return out;
}

std::string rates_text(std::span<const Rate> rates) {
  std::vector<std::string> parts;
  for (const Rate& rate : rates) {
    const PeriodUnit& unit = unit_of(rate.period);
    const std::int64_t count = rate.period.count() / unit.length_s;
    parts.push_back(count == 1
                        ? fmt::format("{} {} {}", amount_text(rate), unit.article, unit.singular)
                        : fmt::format("{} in {} {}s", amount_text(rate), count, unit.singular));
  }
  return join_with_and(parts);
}

std::string period_text(seconds period) {
  // The article says "60 seconds", and people have its text in their filters.
  if (period == seconds{60}) return "60 seconds";
  const PeriodUnit& unit = unit_of(period);
  const std::int64_t count = period.count() / unit.length_s;
  return count == 1 ? std::string{unit.singular} : fmt::format("{} {}s", count, unit.singular);
}

}  // namespace limits
