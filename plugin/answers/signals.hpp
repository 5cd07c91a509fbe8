// SPDX-License-Identifier: AGPL-3.0-only
// Signals: what a hacked account does and its owner does not, seen in the messages that
// session_tracking has of it: many client networks or sender names of one login, far more mail than
// it has ever sent, mail at night, recipients that do not exist. Each is a policy of its own,
// switched off and without members, with a row of access_control that is off, too, and its name
// says all ("carbonio-limits signal networks 5 then notify,block:1h"): it goes with export, backup
// and the rules of a cluster, and the Perl daemon ignores it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/steps.hpp"

namespace limits {

struct Signal {
  enum class Kind : std::uint8_t {
    networks,   // client networks (IPv4 /24, IPv6 /64) of a login in a day
    senders,    // sender addresses of a login in a day
    rate,       // messages of an account in an hour, against its own hours of 30 days
    night,      // messages of an account since the night began
    countries,  // of the clients of a login in a day
    bounces,    // recipients of an account in an hour that do not exist or whose mail bounced
  };
  Kind kind = Kind::networks;
  std::uint64_t amount = 0;  // from which it fires
  unsigned factor = 5;       // of rate: times the 99th percentile
  // Of night, in minutes since midnight, local time.
  int from = 22 * 60;
  int to = 6 * 60;
  std::vector<Step> steps;

  bool operator==(const Signal&) const = default;
};

struct StoredSignal {
  std::int64_t policy_id = 0;
  Signal signal;
};

inline constexpr std::uint64_t kMaxSignal = 1'000'000;
// When the night of `now` began, by the clock on the wall, where summer time may have begun or
// ended since; nullopt: it is day.
std::optional<policyd::TimePoint> night_began(const Signal& signal, policyd::TimePoint now);

inline constexpr unsigned kMaxFactor = 1'000;

// Policies that are signals, to the letter or not: never those of a limit, which has members.
inline constexpr std::string_view kSignalPolicies =
    "{p}policies WHERE Name LIKE 'carbonio-limits signal %' AND Disabled IS NOT 0 AND NOT EXISTS "
    "(SELECT 1 FROM {p}policy_members WHERE PolicyID = {p}policies.ID)";

std::string_view name_of(Signal::Kind kind);
std::optional<Signal::Kind> parse_signal_kind(std::string_view text);
// "22:00-06:00"
std::optional<std::pair<int, int>> parse_hours(std::string_view text);
std::string hours_text(const Signal& signal);

// "networks 5", "rate 100 x5", "night 50 22:00-06:00".
std::string signal_text(const Signal& signal);
// "5 client networks (/24, /64) of a login in a day"
std::string meaning_of(const Signal& signal);
std::string policy_name_of(const Signal& signal);
// Nullopt if it is not the name of a signal, or cannot be read.
std::optional<Signal> parse_signal(std::string_view policy_name);

// By their kind; of a kind the first row counts.
Result<std::vector<StoredSignal>> read_signals(const Tables& tables);
// Of the kind, also those that cannot be read or do not count.
Result<std::size_t> count_signals(const Tables& tables, Signal::Kind kind);

// The rows that set it, instead of those of the same kind.
Result<std::vector<RowChange>> rows_to_set(const Tables& tables, const Signal& signal);
std::vector<RowChange> rows_to_remove(Signal::Kind kind);  // all that count_signals() counts

}  // namespace limits
