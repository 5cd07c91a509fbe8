// SPDX-License-Identifier: AGPL-3.0-only
// The notation of limits: "100/h", "10/60s", "50M/day", "100 messages/h", "50 recipients/message",
// "25M/message", "200 distinct/day", several as "20/min,200/h,1000/day". Text to values and back;
// pure functions. Used on the command line, in tables and in sentences.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

using policyd::Result;

// What is counted.
enum class Unit : std::uint8_t {
  messages,        // each recipient of a message counts 1, as the Perl daemon counts messages
  kib,             // a message counts its size
  whole_messages,  // a message counts 1, however many recipients it has
  // Of each message; nothing is counted over a period.
  message_recipients,
  message_kib,
  distinct_recipients,  // each counts 1 while its last mail is within the period
};
inline constexpr std::size_t kUnits = 6;
constexpr bool is_of_each_message(Unit unit) {
  return unit == Unit::message_recipients || unit == Unit::message_kib;
}
constexpr bool is_size(Unit unit) { return unit == Unit::kib || unit == Unit::message_kib; }
// In JSON: "messages", "KiB", "whole messages", "recipients per message", "KiB per message",
// "distinct recipients".
std::string_view name_of(Unit unit);

struct Rate {
  Unit unit = Unit::messages;
  std::int64_t amount = 0;         // messages, recipients or KiB
  std::chrono::seconds period{0};  // 0 if it is of each message

  auto operator<=>(const Rate&) const = default;
};

inline constexpr std::int64_t kMaxMessages = 1'000'000'000;
inline constexpr std::int64_t kMaxMessageRecipients = 10'000;   // Session::kMaxRecipients
inline constexpr std::int64_t kMaxDistinct = 1'000;             // kMaxDistinctRecipients
inline constexpr std::int64_t kMaxKib = std::int64_t{1} << 40;  // 1 PiB
// Counters that are not updated for 30 days are deleted (CBPolicyD, cbpadmin --cleanup), so longer
// periods cannot work.
inline constexpr std::chrono::seconds kMaxPeriod = std::chrono::hours{24 * 30};
inline constexpr std::size_t kMaxRates = 8;

// AMOUNT/PERIOD, several separated by commas; the result is sorted by period. AMOUNT is a whole
// number, of recipients if nothing else is said, of messages or distinct recipients; or a size with
// K, M or G (1024 each). PERIOD is s, min, h, day or week, with an optional number before it, or
// for recipients and sizes "message". Two with the same unit and period are refused.
Result<std::vector<Rate>> parse_limit(std::string_view text);
// Words of a command line as that text: 100 messages/h without quotation marks is two of them.
std::string limit_of_words(std::span<const std::string> words);

// The shortest form that parse_limit reads back as the same value: "100/h", "10/10min".
std::string format_rate(const Rate& rate);
std::string format_limit(std::span<const Rate> rates);
// "h", "10min", "message": the part after the '/'.
std::string format_period(std::chrono::seconds period);

// "100 messages an hour", "50 MiB in 10 minutes"; joined with "and".
std::string rates_text(std::span<const Rate> rates);
// "60 seconds", "hour", "10 minutes", as in "too many messages sent in last ...".
std::string period_text(std::chrono::seconds period);
// "100", "50M": an amount without its period.
std::string format_amount(Unit unit, std::int64_t amount);
// "8/10", "28.3M/30M": the used part of an amount, in its unit.
std::string format_used(std::int64_t used, const Rate& rate);

}  // namespace limits
