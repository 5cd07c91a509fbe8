// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/limit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// "alice@example.org", "each user of example.org", "All of this server together".
std::string subject(const Target& target, Per per) {
  const bool one_user = target.who == Who::user;
  std::string whose = "of " + name_of(target);
  if (target.who == Who::anyone) whose = "in the world";
  if (target.who == Who::everyone) whose = "of this server";
  if (target.who == Who::client) whose = "at " + target.name;
  switch (per) {
    case Per::user:
      return one_user ? name_of(target) : "each user " + whose;
    case Per::domain:
      if (one_user) return name_of(target);
      return target.who == Who::domain ? "the domain " + name_of(target) + " as a whole"
                                       : "each domain " + whose;
    case Per::account:
      if (target.who == Who::anyone) return "each account";
      return one_user ? "each account that sends as " + target.name : "each account " + whose;
    case Per::everyone:
      if (one_user) return name_of(target);
      return target.who == Who::anyone ? "the whole world together"
                                       : "all users " + whose + " together";
    case Per::client:
      return target.who == Who::client ? "each client address of " + target.name
                                       : "each client address";
  }
  return {};
}

// Follows the verb, for counters that are not the target's own.
std::string object(Direction direction, const Target& target, Per per) {
  if (target.who == Who::client) return {};
  if (per != Per::client || target.who == Who::anyone) return {};
  const std::string users = target.who == Who::everyone ? "this server's users" : name_of(target);
  return (direction == Direction::send ? " for " : " to ") + users;
}

std::string_view verb(Direction direction, const Target& target, Per per) {
  const bool receives = per != Per::client && target.who != Who::client;
  return direction == Direction::receive && receives ? "receive" : "send";
}

// What happens to mail over the limit.
struct VerdictWords {
  policyd::Action verdict;
  std::string_view participle;
  std::string_view consequence;
};
constexpr std::array<VerdictWords, 4> kVerdictWords = {
    {{policyd::Action::defer, "Deferring", "more is deferred"},
     {policyd::Action::hold, "Holding", "more is held in the queue"},
     {policyd::Action::discard, "Discarding", "more is discarded silently"},
     {policyd::Action::reject, "Rejecting", "more is rejected"}}};

// Those of reject for verdicts that our options cannot express.
const VerdictWords& words_for(policyd::Action verdict) {
  const auto* const found =
      std::find_if(kVerdictWords.begin(), kVerdictWords.end(),
                   [&](const VerdictWords& words) { return words.verdict == verdict; });
  return found == kVerdictWords.end() ? kVerdictWords.back() : *found;
}

}  // namespace

Per default_per(Direction direction) {
  return direction == Direction::send ? Per::user : Per::domain;
}

policyd::Action default_verdict(Direction direction) {
  return direction == Direction::send ? policyd::Action::defer : policyd::Action::reject;
}

bool StoredLimit::enabled() const {
  return policy_enabled &&
         std::all_of(rates.begin(), rates.end(), [](const auto& rate) { return rate.enabled; }) &&
         std::any_of(members.begin(), members.end(), [](const auto& m) { return m.enabled; });
}

bool StoredLimit::partly_enabled() const {
  return policy_enabled &&
         std::any_of(rates.begin(), rates.end(), [](const auto& rate) { return rate.enabled; }) &&
         std::any_of(members.begin(), members.end(), [](const auto& m) { return m.enabled; });
}

std::vector<Rate> StoredLimit::plain_rates() const {
  std::vector<Rate> out;
  for (const StoredRate& stored : rates) out.push_back(stored.rate);
  return out;
}

std::vector<MemberText> StoredLimit::member_texts() const {
  const bool some =
      std::any_of(members.begin(), members.end(), [](const auto& m) { return m.enabled; });
  std::vector<MemberText> out;
  for (const StoredMember& member : members) {
    if (member.enabled || !some) out.push_back(member.text);
  }
  return out;
}

std::string verdict_word(const std::optional<std::string>& verdict) {
  return !verdict || verdict->empty() ? "none" : escaped(lower_cased(*verdict));
}

std::optional<std::string> verdict_text(const std::optional<policyd::Action>& verdict) {
  if (!verdict) return std::nullopt;
  return upper_cased(policyd::name_of(*verdict));
}

std::optional<std::string> message_for(Direction direction, const Rate& rate,
                                       const std::optional<policyd::Action>& verdict) {
  if (!verdict) return std::nullopt;
  return fmt::format("{}: {} {} in last {}", words_for(*verdict).participle,
                     rate.unit == Unit::messages ? "Too many messages" : "Too much mail",
                     direction == Direction::send ? "sent" : "received", period_text(rate.period));
}

std::string default_name(Direction direction, const Target& target, Per per) {
  std::string name = name_of(target);
  std::replace(name.begin(), name.end(), ' ', '-');  // "group sales"
  return fmt::format("{}-{}-per-{}", name_of(direction), name, name_of(per));
}

std::string description(Direction direction, const Target& target, Per per) {
  return fmt::format("Limit on what {} may {}{}", subject(target, per),
                     verb(direction, target, per), object(direction, target, per));
}

std::string describe(const WantedLimit& limit) {
  std::vector<std::string> except;
  for (const Target& target : limit.except) except.push_back(name_of(target));
  return fmt::format("{} may {} {}{}{}; {}{}", subject(limit.target, limit.per),
                     verb(limit.direction, limit.target, limit.per), rates_text(limit.rates),
                     object(limit.direction, limit.target, limit.per),
                     except.empty() ? "" : ", except " + join_with_and(except),
                     limit.verdict ? words_for(*limit.verdict).consequence
                                   : "more is let through (verdict none only monitors)",
                     limit.enabled ? "" : "; currently switched off");
}

std::string target_text(const StoredLimit& limit) {
  return limit.what.target ? name_of(*limit.what.target) : members_text(limit.member_texts());
}

std::string_view state_text(const StoredLimit& limit) {
  if (limit.enabled()) return "on";
  return limit.partly_enabled() ? "partly" : "off";
}

std::string who_text(const StoredLimit& limit) {
  std::string out = target_text(limit);
  if (!limit.except.empty()) out += fmt::format(", except {}", limit.except.size());
  return out;
}

std::string direction_text(const StoredLimit& limit) {
  return limit.what.direction ? std::string{name_of(*limit.what.direction)} : "both";
}

std::string per_word(const StoredLimit& limit) {
  return limit.what.per ? std::string{name_of(*limit.what.per)} : escaped(limit.track);
}

std::string per_text(const StoredLimit& limit) {
  const bool joined = joins_v6_clients(limit.track, limit.what.target);
  return per_word(limit) + (joined ? ", IPv6 /32" : "");
}

bool is_for(const StoredLimit& limit, const WantedLimit& wanted) {
  return limit.what.target == wanted.target && limit.what.direction == wanted.direction &&
         limit.what.per == wanted.per;
}

}  // namespace limits
