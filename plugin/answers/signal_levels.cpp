// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/signal_levels.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/answers/account_key.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::TimePoint;

constexpr std::int64_t kMaxMessages = 1'000'000;
constexpr std::size_t kMaxAccounts = 100'000;
constexpr std::chrono::hours kDay{24};
constexpr std::chrono::hours kMonth{24 * 30};

std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

struct Message {
  TimePoint at{};
  std::string client, login, sender;
};

// Calls `take` for each message since then, the newest first.
Result<void> each_message(const Tables& tables, TimePoint since, TimePoint now,
                          const std::function<void(Message&&)>& take) {
  if (!tables.has_table("session_tracking")) return {};
  return tables.each(
      "SELECT UnixTimestamp, ClientAddress, SASLUsername, Sender FROM {p}session_tracking WHERE "
      "UnixTimestamp > ? AND UnixTimestamp <= ? AND QueueID IS NOT NULL ORDER BY UnixTimestamp "
      "DESC LIMIT ?",
      {seconds_of(since), seconds_of(now), std::int64_t{kMaxMessages}},
      [&](const policyd::sql::Statement& row) {
        take({TimePoint{std::chrono::seconds{row.integer(0)}}, std::string{row.text(1)},
              policyd::login_form(row.text(2)), policyd::address_form(row.text(3))});
      });
}

std::string key_of_account(const Message& message, const OwnNames& own) {
  return account_key({message.client, message.login, message.sender}, own);
}

std::string network_of(const std::string& client) {
  const auto address = policyd::IpAddress::parse(client);
  return address ? address->masked(address->is_v4() ? 24 : 64).to_short_string() : std::string{};
}

// Each client is looked up once.
class NamesOfClients {
 public:
  explicit NamesOfClients(const Countries* countries) : countries_(countries) {}
  std::string country_of(const std::string& client) {
    if (known_.size() == kMaxAccounts) known_.clear();
    const auto [found, is_new] = known_.try_emplace(client);
    if (is_new) found->second = countries_->country_of(client);
    return found->second;
  }

 private:
  const Countries* countries_;
  std::unordered_map<std::string, std::string> known_;
};

Event event_about(const Message& message, const std::string& key) {
  Event out;
  out.module = "Signals";
  out.track_key = key;
  out.first = out.last = message.at;
  out.client = message.client;
  out.login = message.login;
  out.sender = message.sender;
  return out;
}

struct Counted {
  Event last;
  std::uint64_t messages = 0;
  bool certain = true;
  std::unordered_set<std::size_t> names;  // hashes: all of a day, at most kMaxMessages
};

// Of the hours before the last one in which each of these has sent, the 99th percentile.
Result<std::map<std::string, std::uint64_t>> read_usual(const Tables& tables, const OwnNames& own,
                                                        const std::unordered_set<std::string>& keys,
                                                        TimePoint now) {
  std::map<std::string, std::uint64_t> out;
  if (keys.empty()) return out;
  std::map<std::string, std::unordered_map<std::int64_t, std::uint64_t>> hours;
  const TimePoint until = now - std::chrono::hours{1};
  auto done = each_message(tables, now - kMonth, until, [&](Message&& message) {
    const std::string key = key_of_account(message, own);
    if (keys.contains(key)) ++hours[key][seconds_of(message.at) / 3600];
  });
  if (!done) return tl::unexpected{done.error()};
  for (const auto& [key, by_hour] : hours) {
    std::vector<std::uint64_t> counts;
    counts.reserve(by_hour.size());
    for (const auto& [hour, count] : by_hour) counts.push_back(count);
    std::sort(counts.begin(), counts.end());
    out[key] = counts[(counts.size() - 1) * 99 / 100];
  }
  return out;
}

std::string reason_of(const Signal& signal, const SignalLevel& level) {
  const auto reached = [&](std::string_view one, std::string_view several) {
    return fmt::format("{} {}", level.reached, of_number(level.reached, one, several));
  };
  switch (signal.kind) {
    case Signal::Kind::networks:
      return fmt::format("from {} in a day", reached("client network", "client networks"));
    case Signal::Kind::senders:
      return fmt::format("{} in a day", reached("sender address", "sender addresses"));
    case Signal::Kind::rate:
      return fmt::format("{} in an hour, {}", reached("message", "messages"),
                         level.usual == 0 ? std::string{"usually none"}
                                          : fmt::format("usually up to {}", level.usual));
    case Signal::Kind::night:
      return fmt::format("{} at night ({})", reached("message", "messages"), hours_text(signal));
    case Signal::Kind::countries:
      return fmt::format("from {} in a day", reached("country", "countries"));
    case Signal::Kind::bounces:
      return fmt::format("{} in an hour that bounced or {} not exist",
                         reached("recipient", "recipients"),
                         of_number(level.reached, "does", "do"));
  }
  return {};
}

void sort_levels(std::vector<SignalLevel>& levels) {
  std::sort(levels.begin(), levels.end(), [](const SignalLevel& a, const SignalLevel& b) {
    return a.reached != b.reached ? a.reached > b.reached : a.last.track_key < b.last.track_key;
  });
}

std::vector<SignalLevel> levels_of_bounces(const SignalSources& sources, const Signal& signal,
                                           const StepsTaken& taken, TimePoint now) {
  const std::string by = fmt::format("signal {}", name_of(signal.kind));
  std::map<std::string, SignalLevel> accounts;
  for (const Bounced& each : sources.bounced) {  // oldest first
    const auto until = taken.done_until(by, each.key);
    if (each.last > now || (until && each.last <= *until)) continue;
    SignalLevel& level = accounts[each.key];
    level.reached += each.times;
    level.certain =
        level.certain && is_certain({each.client, each.login, each.sender}, sources.own);
    level.last = event_about({each.last, each.client, each.login, each.sender}, each.key);
    level.last.recipient = each.recipient;
  }
  std::vector<SignalLevel> out;
  for (auto& [key, level] : accounts) {
    if (level.reached >= signal.amount) out.push_back(std::move(level));
  }
  sort_levels(out);
  return out;
}

}  // namespace

Result<std::vector<SignalLevel>> read_levels(const SignalSources& sources, const Signal& signal,
                                             const StepsTaken& taken, TimePoint now) {
  if (signal.kind == Signal::Kind::bounces) {
    return levels_of_bounces(sources, signal, taken, now);
  }
  const Tables& tables = sources.tables;
  const OwnNames& own = sources.own;
  std::vector<SignalLevel> out;
  TimePoint since = now - kDay;
  if (signal.kind == Signal::Kind::rate) since = now - std::chrono::hours{1};
  if (signal.kind == Signal::Kind::night) {
    const auto began = night_began(signal, now);
    if (!began) return out;
    since = *began;
  }
  const bool of_countries = signal.kind == Signal::Kind::countries;
  const bool of_logins =
      of_countries || signal.kind == Signal::Kind::networks || signal.kind == Signal::Kind::senders;
  if (of_countries && sources.countries == nullptr) return out;
  NamesOfClients names{sources.countries};
  const std::string by = fmt::format("signal {}", name_of(signal.kind));
  std::unordered_map<std::string, Counted> accounts;
  auto done = each_message(tables, since, now, [&](Message&& message) {
    if (of_logins && message.login.empty()) return;
    const std::string key = key_of_account(message, own);
    if (key.empty() || (accounts.size() == kMaxAccounts && !accounts.contains(key))) return;
    if (const auto until = taken.done_until(by, key); until && message.at <= *until) return;
    const auto [found, is_new] = accounts.try_emplace(key);
    Counted& account = found->second;
    if (is_new) account.last = event_about(message, key);
    ++account.messages;
    account.certain =
        account.certain && is_certain({message.client, message.login, message.sender}, own);
    if (!of_logins) return;
    std::string name = signal.kind == Signal::Kind::networks ? network_of(message.client)
                       : of_countries                        ? names.country_of(message.client)
                                                             : std::move(message.sender);
    if (!name.empty()) account.names.insert(std::hash<std::string>{}(name));
  });
  if (!done) return tl::unexpected{done.error()};
  std::unordered_set<std::string> keys;
  for (auto& [key, account] : accounts) {
    const std::uint64_t reached = of_logins ? account.names.size() : account.messages;
    if (reached < signal.amount) continue;
    keys.insert(key);
    out.push_back({std::move(account.last), reached, 0, account.certain});
  }
  if (signal.kind == Signal::Kind::rate) {
    auto usual = read_usual(tables, own, keys, now);
    if (!usual) return tl::unexpected{usual.error()};
    for (SignalLevel& each : out) each.usual = (*usual)[each.last.track_key];
    std::erase_if(
        out, [&](const SignalLevel& each) { return each.reached < each.usual * signal.factor; });
  }
  sort_levels(out);
  return out;
}

Result<std::vector<DueStep>> read_due_signals(const SignalSources& sources,
                                              const std::vector<StoredSignal>& signals,
                                              const StepsTaken& taken, TimePoint now, bool rates) {
  std::vector<DueStep> out;
  for (const StoredSignal& each : signals) {
    if (each.signal.kind == Signal::Kind::rate && !rates) continue;
    auto levels = read_levels(sources, each.signal, taken, now);
    if (!levels) return tl::unexpected{levels.error()};
    for (SignalLevel& level : *levels) {
      DueStep due;
      due.by = fmt::format("signal {}", name_of(each.signal.kind));
      due.step = next_step(each.signal.steps, taken.count(due.by, level.last.track_key));
      due.reason = reason_of(each.signal, level);
      if (!level.certain) only_notify(due, kMayBeForged);
      due.about = std::move(level.last);
      out.push_back(std::move(due));
    }
  }
  return out;
}

}  // namespace limits
