// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/evident_values.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

#include "daemon/base/ascii.hpp"
#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/track.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxDigits = 15;

bool is_digits(std::string_view text) {
  return !text.empty() && text.size() <= kMaxDigits &&
         std::all_of(text.begin(), text.end(), policyd::is_digit);
}

std::string without_zeros(std::string_view digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? "0" : std::string{digits.substr(first)};
}

// "1,000,000" with the same mark between all groups of three; empty if it is not such a number.
std::string ungrouped(std::string_view text) {
  constexpr std::size_t kGroup = 3;
  const std::size_t first = std::min(text.find_first_not_of("0123456789"), text.size());
  if (first == 0 || first > kGroup || first == text.size()) return {};
  const char mark = text[first];
  if (std::string_view{",.' _"}.find(mark) == std::string_view::npos) return {};
  std::string out{text.substr(0, first)};
  for (std::size_t at = first; at < text.size(); at += kGroup + 1) {
    const std::string_view digits = text.substr(at + 1, kGroup);
    if (text[at] != mark || digits.size() != kGroup || !is_digits(digits)) return {};
    out += digits;
  }
  return out;
}

struct TimeUnit {
  std::int64_t seconds;
  std::string_view words;
};
constexpr std::int64_t kMinuteS = 60;
constexpr std::int64_t kHourS = 60 * kMinuteS;
constexpr std::int64_t kDayS = 24 * kHourS;
constexpr std::int64_t kWeekS = 7 * kDayS;
// Not "m", which may be minutes or months.
constexpr std::array kUnits = {
    TimeUnit{1, " s sec secs second seconds "},
    TimeUnit{kMinuteS, " min mins minute minutes "},
    TimeUnit{kHourS, " h hr hrs hour hours hourly "},
    TimeUnit{kDayS, " d day days daily "},
    TimeUnit{kWeekS, " w week weeks weekly "},
};

std::optional<std::int64_t> seconds_of(std::string_view word) {
  const std::string wanted = fmt::format(" {} ", lower_cased(word));
  for (const TimeUnit& unit : kUnits) {
    if (unit.words.find(wanted) != std::string_view::npos) return unit.seconds;
  }
  return std::nullopt;
}

// A known word with at most two typing errors.
std::optional<std::string> evident_word(std::string_view text,
                                        std::span<const std::string_view> known) {
  constexpr std::size_t kMaxErrors = 2;
  const std::string_view word = trimmed_item(text);
  for (const std::string_view each : known) {
    if (equal_ignoring_case(each, word)) return std::string{each};
  }
  const auto found = policyd::nearest(word, known);
  // nearest() permits more errors in long words.
  const std::size_t difference =
      !found ? 0 : std::max(found->size(), word.size()) - std::min(found->size(), word.size());
  if (!found || word.size() < 4 || difference > kMaxErrors) return std::nullopt;
  return std::string{*found};
}

constexpr std::array<std::string_view, 5> kMethods = {"Sender", "Recipient", "SenderIP",
                                                      "SASLUsername", "Policy"};
constexpr std::array<std::string_view, 3> kSpecs = {"user@domain", "@domain", "user@"};

// Method and specification; "SenderIP/24" lacks the colon.
std::pair<std::string, std::string_view> parts_of_track(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::size_t end = colon != std::string_view::npos ? colon : text.find('/');
  std::string method;
  for (const char c : text.substr(0, end)) {
    if (c != '-' && c != '_' && c != ' ') method += c;
  }
  if (end == std::string_view::npos) return {method, {}};
  return {method, text.substr(end == colon ? end + 1 : end)};
}

std::string evident_spec(std::string_view method, std::string_view spec) {
  spec = trimmed_item(spec);
  if (method == "Policy" || method == "SASLUsername") return {};
  if (method != "SenderIP") return evident_word(spec, kSpecs).value_or("?");
  if (!spec.empty() && (spec.front() == '/' || spec.front() == '\\')) spec.remove_prefix(1);
  return "/" + std::string{trimmed_item(spec)};
}

}  // namespace

std::string_view trimmed_item(std::string_view text) {
  constexpr std::array<std::string_view, 12> kBlanks = {" ",      "\t",     "\n",     "\r",
                                                        "\v",     "\f",     "\u00A0", "\u200B",
                                                        "\uFEFF", "\u2009", "\u202F", "\u3000"};
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view blank : kBlanks) {
      if (text.starts_with(blank)) {
        text.remove_prefix(blank.size());
        found = true;
      } else if (text.ends_with(blank)) {
        text.remove_suffix(blank.size());
        found = true;
      }
    }
  }
  return text;
}

std::optional<std::string> evident_number(std::string_view text) {
  const std::string_view plain = trimmed_item(text);
  const std::string digits = is_digits(plain) ? std::string{plain} : ungrouped(plain);
  if (!is_digits(digits) || without_zeros(digits) == "0") return std::nullopt;
  return without_zeros(digits);
}

std::optional<std::string> evident_seconds(std::string_view text) {
  if (auto number = evident_number(text)) return number;
  constexpr std::size_t kMaxAmountDigits = 7;
  const std::string_view plain = trimmed_item(text);
  const std::size_t end = std::min(plain.find_first_not_of("0123456789"), plain.size());
  const auto unit = seconds_of(trimmed_item(plain.substr(end)));
  if (!unit || end > kMaxAmountDigits) return std::nullopt;
  const std::int64_t amount =
      end == 0 ? 1 : policyd::parse_number<std::int64_t>(plain.substr(0, end)).value_or(0);
  if (amount == 0) return std::nullopt;
  return fmt::format("{}", amount * *unit);
}

std::optional<std::string> evident_track(std::string_view text) {
  const auto [word, rest] = parts_of_track(trimmed_item(text));
  const auto method = evident_word(word, kMethods);
  if (!method) return std::nullopt;
  const std::string spec = evident_spec(*method, rest);
  const std::string track = spec.empty() ? *method : *method + ":" + spec;
  if (!policyd::Track::parse(track)) return std::nullopt;
  return track;
}

std::optional<std::string> evident_client_track(std::string_view text) {
  auto track = evident_track(text);
  if (!track || !track->starts_with("SenderIP:")) return std::nullopt;
  return track;
}

std::optional<std::string> evident_limit_verdict(std::string_view text) {
  constexpr std::array<std::string_view, 4> kVerdicts = {"DEFER", "REJECT", "HOLD", "DISCARD"};
  return evident_word(text, kVerdicts);
}

std::optional<std::string> evident_access_verdict(std::string_view text) {
  constexpr std::array<std::string_view, 5> kVerdicts = {"REJECT", "HOLD", "DISCARD", "OK", "PASS"};
  return evident_word(text, kVerdicts);
}

std::optional<std::string> evident_limit_type(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTypes = {"MessageCount",   "MessageCumulativeSize",
                                                      "Messages",       "RecipientsPerMessage",
                                                      "SizePerMessage", "DistinctRecipients"};
  return evident_word(text, kTypes);
}

std::optional<std::string> evident_accounting_period(std::string_view text) {
  const std::string_view plain = trimmed_item(text);
  if (plain == "0" || plain == "1" || plain == "2") return std::string{plain};
  const std::string word = lower_cased(plain);
  if (word == "month" || word == "monthly") return "2";
  const auto seconds = seconds_of(word);
  if (seconds == kDayS || plain == "86400") return "0";
  if (seconds == kWeekS || plain == "604800") return "1";
  return std::nullopt;
}

std::optional<std::string> evident_whitelist_source(std::string_view text) {
  constexpr std::string_view kMethod = "SenderIP:";
  std::string_view network = trimmed_item(text);
  if (equal_ignoring_case(network.substr(0, kMethod.size()), kMethod)) {
    network = trimmed_item(network.substr(kMethod.size()));
  }
  if (network.size() > 2 && network.front() == '[' && network.back() == ']') {
    network = network.substr(1, network.size() - 2);
  }
  // A number alone would be a network of its own: 24 is 24.0.0.0/8.
  if (network.find_first_of(".:") == std::string_view::npos) return std::nullopt;
  if (!policyd::IpNetwork::parse(network) || policyd::is_longer_than_addresses(network)) {
    return std::nullopt;
  }
  return fmt::format("{}{}", kMethod, network);
}

std::optional<std::string> evident_switch(std::string_view text) {
  constexpr std::string_view kNo = " 0 null no n false f none off ";
  constexpr std::string_view kYes = " 1 yes y true t on ";
  const std::string wanted = fmt::format(" {} ", lower_cased(trimmed_item(text)));
  if (wanted == "  " || kNo.find(wanted) != std::string_view::npos) return "0";
  if (kYes.find(wanted) != std::string_view::npos) return "1";
  return std::nullopt;
}

}  // namespace limits
