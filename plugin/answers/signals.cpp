// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/signals.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <tuple>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "plugin/rows/carried.hpp"
#include "plugin/rows/row_changes.hpp"
#include "plugin/rows/surroundings.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<std::string_view, 6> kKinds = {"networks", "senders",   "rate",
                                                    "night",    "countries", "bounces"};
constexpr std::string_view kBeginning = "carbonio-limits signal ";
constexpr std::string_view kThen = " then ";
constexpr int kDayMinutes = 24 * 60;

std::optional<int> parse_minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = policyd::parse_number<int>(text.substr(0, 2));
  const auto minutes = policyd::parse_number<int>(text.substr(3));
  if (!hours || !minutes || *hours < 0 || *hours > 23 || *minutes < 0 || *minutes > 59) {
    return std::nullopt;
  }
  return *hours * 60 + *minutes;
}

// Of the names of the kind's policies, for LIKE.
std::string names_of(Signal::Kind kind) { return fmt::format("{}{} %", kBeginning, name_of(kind)); }

std::string minute_text(int minute) { return fmt::format("{:02}:{:02}", minute / 60, minute % 60); }

}  // namespace

std::string_view name_of(Signal::Kind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }

std::optional<Signal::Kind> parse_signal_kind(std::string_view text) {
  const auto* found = std::find(kKinds.begin(), kKinds.end(), text);
  if (found == kKinds.end()) return std::nullopt;
  return static_cast<Signal::Kind>(found - kKinds.begin());
}

std::optional<std::pair<int, int>> parse_hours(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto from = parse_minute(text.substr(0, dash));
  const auto to = parse_minute(text.substr(dash + 1));
  if (!from || !to || *from == *to) return std::nullopt;
  return std::pair{*from, *to};
}

std::string hours_text(const Signal& signal) {
  return fmt::format("{}-{}", minute_text(signal.from), minute_text(signal.to % kDayMinutes));
}

std::string signal_text(const Signal& signal) {
  std::string out = fmt::format("{} {}", name_of(signal.kind), signal.amount);
  if (signal.kind == Signal::Kind::rate) out += fmt::format(" x{}", signal.factor);
  if (signal.kind == Signal::Kind::night) out += " " + hours_text(signal);
  return out;
}

std::string meaning_of(const Signal& signal) {
  const auto at_least = [&](std::string_view one, std::string_view several) {
    return fmt::format("at least {} {}", signal.amount, of_number(signal.amount, one, several));
  };
  switch (signal.kind) {
    case Signal::Kind::networks:
      return at_least("client network", "client networks") + " (/24, /64) of a login in a day";
    case Signal::Kind::senders:
      return at_least("sender address", "sender addresses") + " of a login in a day";
    case Signal::Kind::rate:
      return fmt::format(
          "{} of an account in an hour, if that is {} times what it sends in the busiest hundredth "
          "of its hours",
          at_least("message", "messages"), signal.factor);
    case Signal::Kind::night:
      return fmt::format("{} of an account between {}", at_least("message", "messages"),
                         hours_text(signal));
    case Signal::Kind::countries:
      return at_least("country", "countries") + " of the clients of a login in a day";
    case Signal::Kind::bounces:
      return at_least("recipient", "recipients") +
             " of an account in an hour that do not exist or whose mail bounced";
  }
  return {};
}

std::string policy_name_of(const Signal& signal) {
  return fmt::format("{}{}{}{}", kBeginning, signal_text(signal), kThen, steps_text(signal.steps));
}

std::optional<Signal> parse_signal(std::string_view policy_name) {
  if (!policy_name.starts_with(kBeginning)) return std::nullopt;
  policy_name.remove_prefix(kBeginning.size());
  const std::size_t then = policy_name.find(kThen);
  if (then == std::string_view::npos) return std::nullopt;
  auto steps = parse_steps(policy_name.substr(then + kThen.size()));
  const auto words = split(policy_name.substr(0, then), ' ');
  if (!steps || words.size() < 2 || words.size() > 3) return std::nullopt;
  const auto kind = parse_signal_kind(words[0]);
  const auto amount = policyd::parse_number<std::uint64_t>(words[1]);
  if (!kind || !amount || *amount == 0 || *amount > kMaxSignal) return std::nullopt;
  Signal out;
  out.kind = *kind;
  out.amount = *amount;
  out.steps = std::move(*steps);
  const std::string_view more = words.size() == 3 ? words[2] : std::string_view{};
  if (*kind == Signal::Kind::rate) {
    if (!more.starts_with('x')) return std::nullopt;
    const auto factor = policyd::parse_number<unsigned>(more.substr(1));
    if (!factor || *factor == 0 || *factor > kMaxFactor) return std::nullopt;
    out.factor = *factor;
  } else if (*kind == Signal::Kind::night) {
    const auto hours = parse_hours(more);
    if (!hours) return std::nullopt;
    std::tie(out.from, out.to) = *hours;
  } else if (!more.empty()) {
    return std::nullopt;
  }
  return out;
}

Result<std::vector<StoredSignal>> read_signals(const Tables& tables) {
  std::vector<StoredSignal> out;
  auto done = tables.each(fmt::format("SELECT ID, Name FROM {} ORDER BY ID", kSignalPolicies), {},
                          [&](const policyd::sql::Statement& row) {
                            auto signal = parse_signal(row.text(1));
                            if (signal) out.push_back({row.integer(0), std::move(*signal)});
                          });
  if (!done) return tl::unexpected{done.error()};
  std::stable_sort(out.begin(), out.end(), [](const StoredSignal& a, const StoredSignal& b) {
    return a.signal.kind < b.signal.kind;
  });
  const auto same = std::unique(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.signal.kind == b.signal.kind;
  });
  out.erase(same, out.end());
  return out;
}

Result<std::size_t> count_signals(const Tables& tables, Signal::Kind kind) {
  std::size_t out = 0;
  auto done = tables.each(fmt::format("SELECT 1 FROM {} AND Name LIKE ?", kSignalPolicies),
                          {names_of(kind)}, [&](const policyd::sql::Statement&) { ++out; });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::optional<policyd::TimePoint> night_began(const Signal& signal, policyd::TimePoint now) {
  const auto local_at = [](policyd::TimePoint time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm out{};
    ::localtime_r(&seconds, &out);
    return out;
  };
  const std::tm local = local_at(now);
  const int minute = local.tm_hour * 60 + local.tm_min;
  const bool over_midnight = signal.from > signal.to;
  const bool night = over_midnight ? minute >= signal.from || minute < signal.to
                                   : minute >= signal.from && minute < signal.to;
  if (!night) return std::nullopt;
  const int since = minute >= signal.from ? minute - signal.from : minute + 24 * 60 - signal.from;
  const auto began = now - std::chrono::minutes{since} - std::chrono::seconds{local.tm_sec};
  return std::min(now, began + std::chrono::seconds{local.tm_gmtoff - local_at(began).tm_gmtoff});
}

std::vector<RowChange> rows_to_remove(Signal::Kind kind) {
  const std::vector<Value> names = {names_of(kind)};
  return {{{},
           names,
           0,
           fmt::format("DELETE FROM {{p}}access_control WHERE PolicyID IN (SELECT ID FROM {} AND "
                       "Name LIKE ?)",
                       kSignalPolicies)},
          {{}, names, 0, fmt::format("DELETE FROM {} AND Name LIKE ?", kSignalPolicies)}};
}

Result<std::vector<RowChange>> rows_to_set(const Tables& tables, const Signal& signal) {
  auto around = read_surroundings(tables);
  if (!around) return tl::unexpected{around.error()};
  CarriedPolicy policy;
  policy.rows.push_back({"policies",
                         {{"Name", policy_name_of(signal)},
                          {"Priority", "0"},
                          {"Description", "Read by carbonio-limits answer; matches no mail"},
                          {"Disabled", "1"}}});
  policy.rows.push_back(
      {"access_control", {{"Name", "signal"}, {"Verdict", "REJECT"}, {"Disabled", "1"}}});
  RowChanges changes{std::move(around->ids)};
  changes.insert_policy(policy);
  auto rows = rows_to_remove(signal.kind);
  for (RowChange& each : std::move(changes).take()) rows.push_back(std::move(each));
  return rows;
}

}  // namespace limits
