// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/limit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/rules/rules.hpp"
#include "daemon/rules/track.hpp"
#include "plugin/limit/steps.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

std::string account_subject(const Target& target, const std::string& whose) {
  if (target.who == Who::login) return "the account " + escaped(target.name);
  if (target.who == Who::anyone) return "each account";
  if (target.who == Who::user) return "each account that sends as " + target.name;
  return "each account " + whose;
}

// "alice@example.org", "each user of example.org", "All of this server together".
std::string subject(const Target& target, Per per) {
  const bool one_user = target.who == Who::user;
  const bool login = target.who == Who::login;
  const Target named{target.who, target.name, target.from_anywhere};  // `from` follows later
  std::string whose = "of " + name_of(named);
  if (target.who == Who::anyone) whose = "in the world";
  if (target.who == Who::everyone) whose = "of this server";
  if (target.who == Who::client) whose = "at " + target.name;
  if (login) whose = "that logs in as " + escaped(target.name);
  switch (per) {
    case Per::user:
      return one_user ? name_of(named) : "each user " + whose;
    case Per::domain:
      if (one_user) return name_of(named);
      return target.who == Who::domain ? "the domain " + name_of(named) + " as a whole"
                                       : "each domain " + whose;
    case Per::account:
    case Per::login:
      return account_subject(target, whose) + (per == Per::login ? " (web mail not counted)" : "");
    case Per::everyone:
      if (one_user) return name_of(named);
      if (login) return "all mail of " + name_of(named) + " together";
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
  const std::string users = target.who == Who::everyone
                                ? "this server's users"
                                : name_of(Target{target.who, target.name, target.from_anywhere});
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

std::string what_is_too_much(Direction direction, const Rate& rate) {
  if (rate.unit == Unit::distinct_recipients) return "Too many different recipients";
  return fmt::format("{} {}", is_size(rate.unit) ? "Too much mail" : "Too many messages",
                     direction == Direction::send ? "sent" : "received");
}

std::string key_of(Direction direction, Per per, const Target& target, bool only_monitors) {
  // One limit counts accounts with or without web mail.
  std::string out = fmt::format(
      "{} {} {} {}{} {}", name_of(direction), name_of(per == Per::login ? Per::account : per),
      static_cast<int>(target.who), target.from_anywhere ? "anywhere" : "",
      only_monitors ? "monitors" : "", target.name);
  for (const std::string& network : target.from) out += ' ' + network;
  return out;
}

}  // namespace

Per default_per(Direction direction) {
  return direction == Direction::send ? Per::user : Per::domain;
}

Per default_per(Direction direction, const Target& target) {
  return target.who == Who::login ? Per::account : default_per(direction);
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

bool StoredLimit::only_monitors() const { return !verdict || verdict->empty(); }

std::vector<Rate> StoredLimit::plain_rates() const {
  std::vector<Rate> out;
  for (const StoredRate& stored : rates) out.push_back(stored.rate);
  return out;
}

std::string StoredLimit::then() const {
  for (const StoredRate& rate : rates) {
    if (const auto steps = steps_in(rate.comment); !steps.empty()) return std::string{steps};
  }
  return {};
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
  if (rate.unit == Unit::message_recipients) {
    return "Too many recipients: the limit is {limit} per {period}.";
  }
  if (rate.unit == Unit::message_kib) return "Message too large: the limit is {limit}.";
  // Of mail that is held or discarded the sender is not told.
  const bool told = *verdict == policyd::Action::defer || *verdict == policyd::Action::reject;
  return fmt::format("{}: the limit is {{limit}} per {{period}}.{}",
                     what_is_too_much(direction, rate),
                     told ? " Please try again in {retry_after}." : "");
}

std::optional<std::string> earlier_message_for(Direction direction, const Rate& rate,
                                               const std::optional<policyd::Action>& verdict) {
  const bool later = is_of_each_message(rate.unit) || rate.unit == Unit::distinct_recipients;
  if (!verdict || later) return message_for(direction, rate, verdict);
  return fmt::format("{}: {} in last {}", words_for(*verdict).participle,
                     what_is_too_much(direction, rate), period_text(rate.period));
}

std::string default_name(Direction direction, const Target& target, Per per) {
  std::string name = name_of(target);
  std::replace(name.begin(), name.end(), ' ', '-');  // "group sales"
  std::erase(name, ',');
  return fmt::format("{}-{}-per-{}", name_of(direction), name, name_of(per));
}

std::string description(Direction direction, const Target& target, Per per) {
  return fmt::format("Limit on what {} may {}{}{}", subject(target, per),
                     verb(direction, target, per), object(direction, target, per),
                     target.from.empty() ? "" : " from " + join_with_and(target.from));
}

std::string describe(const WantedLimit& limit) {
  std::vector<std::string> except;
  for (const Target& target : limit.except) except.push_back(name_of(target));
  Target target = limit.target;
  if (limit.direction == Direction::receive && target.who == Who::client &&
      limit.per != Per::client) {
    // Counted is who receives it.
    target = Target{Who::everyone, {}, false, {limit.target.name}};
  }
  const auto& from = target.from;
  return fmt::format("{} may {} {}{}{}{}; {}{}{}", subject(target, limit.per),
                     verb(limit.direction, target, limit.per), rates_text(limit.rates),
                     object(limit.direction, target, limit.per),
                     from.empty() ? "" : " from " + join_with_and(from),
                     except.empty() ? "" : ", except " + join_with_and(except),
                     limit.verdict ? words_for(*limit.verdict).consequence
                                   : "more is let through, since verdict none only monitors",
                     limit.then.empty() ? "" : "; if someone is refused for long: " + limit.then,
                     limit.enabled ? "" : "; currently switched off");
}

std::string target_text(const StoredLimit& limit) {
  return limit.what.target ? name_of(*limit.what.target) : members_text(limit.member_texts());
}

std::string_view state_text(const StoredLimit& limit) {
  if (!limit.partly_enabled()) return "off";
  const auto verdict = policyd::RowVerdict::parse(limit.verdict.value_or(""));
  const bool valid = verdict.kind == policyd::RowVerdict::Kind::none || verdict.is_for_limits();
  if (!valid || !policyd::Track::parse(limit.track) || !limit.broken_group.empty()) {
    return "invalid";
  }
  return limit.enabled() ? "on" : "partly";
}

std::string who_text(const StoredLimit& limit) {
  std::string out = target_text(limit);
  if (limit.except.empty()) return out;
  const std::size_t exempt = limit.exempt.size();
  const std::size_t own = limit.except.size() - std::min(exempt, limit.except.size());
  out += exempt == 0 ? "" : fmt::format(", {} exempt", exempt);
  out += own == 0 ? "" : fmt::format(", {} with own limit", own);
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
  std::string out = per_word(limit);
  // For members that our options cannot express, "domain" could be one's own or another's.
  if (!limit.what.target && limit.what.per) {
    const bool recipient = lower_cased(limit.track).starts_with("recipient");
    if (*limit.what.per == Per::user) out = recipient ? "recipient" : "sender";
    if (*limit.what.per == Per::domain) out = recipient ? "recipient's domain" : "sender's domain";
  }
  return out + (joined ? ", IPv6 /32" : "");
}

std::string key_of(const StoredLimit& limit) {
  const Recognised& what = limit.what;
  if (!what.target || !what.direction || !what.per) return {};
  return key_of(*what.direction, *what.per, *what.target, limit.only_monitors());
}

std::string key_of(const WantedLimit& wanted) {
  return key_of(wanted.direction, wanted.per, wanted.target, !wanted.verdict);
}

Units units_of(std::span<const Rate> rates) {
  Units out;
  for (const Rate& rate : rates) out.add(rate.unit);
  return out;
}

Units units_of(const StoredLimit& limit) {
  const auto rates = limit.plain_rates();
  return units_of(rates);
}

static_assert(static_cast<int>(Unit::messages) ==
              static_cast<int>(policyd::LimitType::message_count));
static_assert(static_cast<int>(Unit::kib) ==
              static_cast<int>(policyd::LimitType::message_cumulative_size));
static_assert(static_cast<int>(Unit::whole_messages) ==
              static_cast<int>(policyd::LimitType::messages));
static_assert(static_cast<int>(Unit::message_recipients) ==
              static_cast<int>(policyd::LimitType::recipients_per_message));
static_assert(static_cast<int>(Unit::message_kib) ==
              static_cast<int>(policyd::LimitType::size_per_message));
static_assert(static_cast<int>(Unit::distinct_recipients) ==
              static_cast<int>(policyd::LimitType::distinct_recipients));
static_assert(kMaxDistinct == policyd::kMaxDistinctRecipients);

policyd::LimitType type_of(Unit unit) { return static_cast<policyd::LimitType>(unit); }

Unit unit_of(policyd::LimitType type) { return static_cast<Unit>(type); }

}  // namespace limits
