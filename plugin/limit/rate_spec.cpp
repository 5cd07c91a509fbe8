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

constexpr std::array<std::string_view, kUnits> kUnitNames = {
    "messages",           "KiB", "whole messages", "recipients per message", "KiB per message",
    "distinct recipients"};
constexpr std::string_view kMessage = "message";
constexpr std::string_view kDistinct = "distinct";

tl::unexpected<policyd::Error> refuse(std::string_view text, std::string_view why) {
  return failure(fmt::format(
      "not a valid limit: '{}': {}; write AMOUNT/PERIOD, such as 100/h, 10/60s or 50M/day",
      shown(text), why));
}

// The notation is right, the figure is not.
tl::unexpected<policyd::Error> refuse_figure(std::string_view text, std::string_view why) {
  return failure(fmt::format("not a valid limit: '{}': {}", shown(text), why));
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

// "1,000" → "1000" if that is how the text begins: digits in groups of three after a separator. A
// word may follow.
std::optional<std::string> without_separators(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::size_t end = std::min(text.find_first_not_of("0123456789,.'_ "), slash);
  while (end > 0 && end < slash && text[end - 1] == ' ') --end;
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

// What AMOUNT says: a number with a word or the letter of a size.
struct Amount {
  enum class Of : std::uint8_t { nothing, messages, recipients, distinct, size };
  Of of = Of::nothing;
  std::int64_t number = 0;  // or KiB
};

bool is_one_of(std::string_view word, std::string_view words) {
  const auto known = split(words, ' ');
  return std::find(known.begin(), known.end(), word) != known.end();
}

std::int64_t kib_of(std::string_view suffix) {
  if (is_one_of(suffix, "k kb kib")) return 1;
  if (is_one_of(suffix, "m mb mib")) return kKibPerMib;
  if (is_one_of(suffix, "g gb gib")) return kKibPerGib;
  return 0;
}

// `text`: the whole limit, for messages.
Result<Amount> parse_amount(std::string_view text, std::string_view amount_text) {
  auto [number, suffix_text] = leading_number(amount_text);
  if (!number) return refuse(text, "the amount is not a whole number");
  if (suffix_text.starts_with('.')) return refuse(text, "the amount is not a whole number");
  if (*number == 0) return refuse_figure(text, "an amount of 0 would let nothing through");
  std::string suffix{suffix_text};
  policyd::lower_case(suffix);
  if (suffix.empty()) return Amount{Amount::Of::nothing, *number};
  // A blank may stand before a word, not before the letter of a size.
  const std::string_view word = std::string_view{suffix}.substr(suffix.front() == ' ' ? 1 : 0);
  if (is_one_of(word, "messages message")) return Amount{Amount::Of::messages, *number};
  if (is_one_of(word, "recipients recipient")) return Amount{Amount::Of::recipients, *number};
  if (word == kDistinct) return Amount{Amount::Of::distinct, *number};
  if (is_one_of(word, "mails mail emails email")) {
    const std::string period = shown(text.substr(amount_text.size()));
    return refuse_figure(text, fmt::format("write '{0}{1}', in which each recipient counts, or "
                                           "'{0} messages{1}'",
                                           *number, period));
  }
  if (is_one_of(word, "different unique")) {
    return refuse_figure(text, fmt::format("did you mean '{} {}{}'?", *number, kDistinct,
                                           shown(text.substr(amount_text.size()))));
  }
  if (suffix.starts_with("k ")) {  // "5k messages"
    const std::string_view unit = suffix_text.substr(suffix_text.find(' ') + 1);
    return refuse_figure(text, fmt::format("did you mean '{}000 {}{}'?", *number, shown(unit),
                                           shown(text.substr(amount_text.size()))));
  }
  const std::int64_t kib = kib_of(suffix);
  if (kib == 0) {
    return refuse(text, fmt::format("'{}' is not a valid size (K, M or G)",
                                    shown(suffix_text.substr(suffix_text.front() == ' ' ? 1 : 0))));
  }
  if (*number > kMaxKib / kib) return refuse_figure(text, "the amount is more than 1048576G");
  return Amount{Amount::Of::size, *number * kib};
}

// "50 recipients/message", "25M/message".
Result<Rate> rate_of_message(std::string_view text, const Amount& amount) {
  if (amount.of == Amount::Of::size) return Rate{Unit::message_kib, amount.number, seconds{0}};
  if (amount.of != Amount::Of::recipients) {
    return failure(
        fmt::format("not a valid limit: '{}': write {} recipients/message, or a size such as "
                    "25M/message",
                    shown(text), amount.number));
  }
  if (amount.number > kMaxMessageRecipients) {
    return refuse_figure(text, "a message has at most 10000 recipients");
  }
  return Rate{Unit::message_recipients, amount.number, seconds{0}};
}

Result<Rate> parse_rate(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return refuse(text, "the period is missing");
  const auto amount = parse_amount(text, text.substr(0, slash));
  if (!amount) return tl::unexpected{amount.error()};

  const auto [count, word_text] = leading_number(text.substr(slash + 1));
  std::string word{word_text};
  policyd::lower_case(word);
  if (word == kMessage && !count) return rate_of_message(text, *amount);
  // Too small for mail: rather thousands of messages.
  if (amount->of == Amount::Of::size && amount->number < kKibPerMib) {
    const std::string_view suffix = leading_number(text.substr(0, slash)).rest;
    if (suffix == "k" || suffix == "K") {
      const std::string_view period = text.substr(slash);
      return failure(
          fmt::format("not a valid limit: '{}': did you mean {}000{}? For a size of {} KiB "
                      "write {}KiB{}",
                      shown(text), amount->number, shown(period), amount->number, amount->number,
                      shown(period)));
    }
  }
  if (amount->of == Amount::Of::distinct && amount->number > kMaxDistinct) {
    return refuse_figure(text, "at most 1000 distinct recipients can be counted");
  }
  if (amount->of != Amount::Of::size && amount->number > kMaxMessages) {
    return refuse_figure(text, "the amount is more than 1000000000 messages");
  }
  Rate rate;
  rate.amount = amount->number;
  if (amount->of == Amount::Of::size) rate.unit = Unit::kib;
  if (amount->of == Amount::Of::messages) rate.unit = Unit::whole_messages;
  if (amount->of == Amount::Of::distinct) rate.unit = Unit::distinct_recipients;

  const auto* unit =
      std::find_if(kPeriodUnits.begin(), kPeriodUnits.end(),
                   [&](const PeriodUnit& known) { return is_one_of(word, known.words); });
  if (word.substr(0, 1) == ".") {
    return refuse(text, "the period is not a whole number (write 90min for an hour and a half)");
  }
  if (unit == kPeriodUnits.end()) {
    return refuse(text, word.empty()
                            ? std::string{"the period has no unit (s, min, h, day or week)"}
                            : fmt::format("'{}' is not a valid period (s, min, h, day or week)",
                                          shown(word_text)));
  }
  if (count == 0) return refuse_figure(text, "the period must be at least 1 s");
  if (count.value_or(1) > kMaxPeriod.count() / unit->length_s) {
    return refuse_figure(text,
                         "the period must be at most 30 days, because older counters are deleted");
  }
  rate.period = seconds{count.value_or(1) * unit->length_s};
  return rate;
}

const PeriodUnit& unit_of(seconds period) {
  return *std::find_if(kPeriodUnits.begin(), kPeriodUnits.end(), [&](const PeriodUnit& unit) {
    return unit.length_s == 1 || period.count() % unit.length_s == 0;
  });
}

std::string size_in_words(std::int64_t kib) {
  if (kib % kKibPerGib == 0) return fmt::format("{} GiB", kib / kKibPerGib);
  if (kib % kKibPerMib == 0) return fmt::format("{} MiB", kib / kKibPerMib);
  return fmt::format("{} KiB", kib);
}

std::string amount_text(const Rate& rate) {
  const auto number = static_cast<std::size_t>(rate.amount);
  switch (rate.unit) {
    case Unit::messages:
    case Unit::whole_messages:
      return counted(number, "message");
    case Unit::message_recipients:
      return counted(number, "recipient");
    case Unit::distinct_recipients:
      return fmt::format("messages to {}", counted(number, "different recipient"));
    case Unit::kib:
    case Unit::message_kib:
      break;
  }
  return size_in_words(rate.amount);
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
    if (at == text.size() && at > 0) return refuse(text, "it ends in a comma");
    auto rate = parse_rate(text.substr(at, comma - at));
    if (!rate) return tl::unexpected{rate.error()};
    rates.push_back(*rate);
    if (rates.size() > kMaxRates) {
      return failure(fmt::format("a limit can have at most {} periods", kMaxRates));
    }
    at = comma + 1;
    if (at < text.size() && text[at] == ' ') ++at;
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

std::string limit_of_words(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) {
    // "100 messages/h", "5k messages/h", "10/60 s"
    const bool unfinished =
        !out.empty() && out.back() != ',' &&
        (policyd::is_digit(out.back()) || out.find('/', out.rfind(',') + 1) == std::string::npos);
    const bool continues = unfinished && !word.empty() && policyd::is_letter(word.front());
    if (!out.empty() && out.back() != ',') out += continues ? ' ' : ',';
    out += word;
  }
  return out;
}

std::string_view name_of(Unit unit) { return kUnitNames.at(static_cast<std::size_t>(unit)); }

std::string format_amount(Unit unit, std::int64_t amount) {
  if (!is_size(unit)) return fmt::format("{}", amount);
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
    return fmt::format("{}{}/{}", used, is_size(rate.unit) ? "K" : "", amount);
  }
  const double share = static_cast<double>(used) / static_cast<double>(kib);
  return fmt::format("{:.1f}{}/{}", share, amount.back(), amount);
}

std::string format_period(seconds period) {
  if (period.count() == 0) return std::string{kMessage};
  const PeriodUnit& unit = unit_of(period);
  const std::int64_t count = period.count() / unit.length_s;
  return count == 1 ? std::string{unit.name} : fmt::format("{}{}", count, unit.name);
}

std::string format_rate(const Rate& rate) {
  const std::string period = format_period(rate.period);
  const bool one = rate.amount == 1;
  if (rate.unit == Unit::whole_messages) {
    return fmt::format("{} message{}/{}", rate.amount, one ? "" : "s", period);
  }
  if (rate.unit == Unit::message_recipients) {
    return fmt::format("{} recipient{}/{}", rate.amount, one ? "" : "s", period);
  }
  if (rate.unit == Unit::distinct_recipients) {
    return fmt::format("{} {}/{}", rate.amount, kDistinct, period);
  }
  if (is_size(rate.unit) && rate.amount < kKibPerMib) {
    return fmt::format("{}KiB/{}", rate.amount, period);
  }
  return fmt::format("{}/{}", format_amount(rate.unit, rate.amount), period);
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
  parts.reserve(rates.size());
  for (const Rate& rate : rates) {
    if (is_of_each_message(rate.unit)) {
      parts.push_back(fmt::format("messages of up to {}", amount_text(rate)));
      continue;
    }
    const PeriodUnit& unit = unit_of(rate.period);
    const std::int64_t count = rate.period.count() / unit.length_s;
    std::string part = count == 1
                           ? fmt::format("{} {} {}", amount_text(rate), unit.article, unit.singular)
                           : fmt::format("{} in {} {}s", amount_text(rate), count, unit.singular);
    if (rate.unit == Unit::whole_messages) part += ", to however many recipients each,";
    parts.push_back(std::move(part));
  }
  // A clause at the end needs no comma.
  if (!parts.empty() && parts.back().ends_with(',')) parts.back().pop_back();
  return join_with_and(parts);
}

std::string period_text(seconds period) {
  // The article says "60 seconds", and people have its text in their filters.
  if (period == seconds{60}) return "60 seconds";
  if (period.count() == 0) return std::string{kMessage};
  const PeriodUnit& unit = unit_of(period);
  const std::int64_t count = period.count() / unit.length_s;
  return count == 1 ? std::string{unit.singular} : fmt::format("{} {}s", count, unit.singular);
}

}  // namespace limits
