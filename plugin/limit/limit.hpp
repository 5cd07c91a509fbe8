// SPDX-License-Identifier: AGPL-3.0-only
// A limit as requested and as stored in the database, and both as text. Values and pure functions;
// plugin/rows reads and writes the rows.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/protocol/verdict.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/limit/target.hpp"

namespace policyd {
enum class LimitType : std::uint8_t;
}

namespace limits {

// What one `send` or `receive` asks for. It defines the whole limit: omitted options have defaults.
struct WantedLimit {
  Direction direction = Direction::send;
  Target target;
  Per per = Per::user;
  std::vector<Rate> rates;                 // as parse_limit returns them
  std::optional<policyd::Action> verdict;  // none: only monitors
  // None: the text of message_for. Empty: the daemon's default text.
  std::optional<std::string> message;
  std::optional<std::string> name;  // none: an existing limit keeps its name
  std::vector<Target> except;       // exempt targets, which have no other limit instead
  bool enabled = true;
  std::string then = {};  // what follows refusals, as steps_text() says; empty: nothing
};

// What applies without --per and --verdict.
Per default_per(Direction direction);
Per default_per(Direction direction, const Target& target);  // of a login its account
policyd::Action default_verdict(Direction direction);

// A row of quotas_limits with its quota.
struct StoredRate {
  std::int64_t quota_id = 0;
  std::int64_t limit_id = 0;
  Rate rate;
  std::optional<std::string> data;
  bool enabled = true;       // the quota and the row
  bool alone = true;         // the only row of its quota
  std::string comment = {};  // of the quota; with the limit's steps
};

struct StoredMember {
  std::int64_t id = 0;
  MemberText text;
  bool enabled = true;
};

// The quotas of one policy with the same Track and Verdict. A policy with different ones (the
// article's has two) is several limits.
struct StoredLimit {
  std::int64_t id = 0;  // of its first quota; stays the same when the limit changes
  std::int64_t policy_id = 0;
  std::string policy_name;
  bool policy_enabled = true;
  std::string track;
  std::optional<std::string> verdict;  // as in the row
  std::vector<StoredRate> rates;       // by period
  std::vector<StoredMember> members;
  Recognised what;  // no target: created by hand in a way that our options cannot express
  // Members of the except-group, to which the limit does not apply: they have limits of their own,
  // or (also listed in `exempt`, which is sorted) the admin exempted them.
  std::vector<std::string> except;
  std::vector<std::string> exempt;
  bool has_twin = false;  // another limit is for the same and has a rate of the same unit
  // The group with a fault (daemon/rules/match/broken_groups.hpp) because of which no mail matches;
  // mostly empty.
  std::string broken_group = {};

  // All of it is active.
  [[nodiscard]] bool enabled() const;
  [[nodiscard]] bool partly_enabled() const;
  [[nodiscard]] bool only_monitors() const;  // the verdict is none
  [[nodiscard]] std::vector<Rate> plain_rates() const;
  // What follows refusals (steps.hpp), as the first of its quotas that says so has it.
  [[nodiscard]] std::string then() const;
  // The members that define the target: the enabled ones, or all if none is enabled.
  [[nodiscard]] std::vector<MemberText> member_texts() const;
};

// What a limit is for: direction, target, --per, and whether it only monitors. Empty for a limit
// that our options cannot express. Limits for the same that count in different units stand side by
// side.
std::string key_of(const StoredLimit& limit);
std::string key_of(const WantedLimit& wanted);

// The units that a limit counts in.
struct Units {
  std::bitset<kUnits> of;

  static Units all() { return {std::bitset<kUnits>{}.set()}; }
  [[nodiscard]] bool has(Unit unit) const { return of.test(static_cast<std::size_t>(unit)); }
  void add(Unit unit) { of.set(static_cast<std::size_t>(unit)); }
  [[nodiscard]] bool overlap(Units other) const { return (of & other.of).any(); }
};
Units units_of(std::span<const Rate> rates);
Units units_of(const StoredLimit& limit);

// The Type of their rows.
policyd::LimitType type_of(Unit unit);
Unit unit_of(policyd::LimitType type);

// "defer", "none", or any other word in the row.
std::string verdict_word(const std::optional<std::string>& verdict);
// As stored in rows: upper case; NULL for none.
std::optional<std::string> verdict_text(const std::optional<policyd::Action>& verdict);

// The text of a new limit: "Too many messages sent: the limit is {limit} per {period}. Please try
// again in {retry_after}."; the daemon fills in the figures.
std::optional<std::string> message_for(Direction direction, const Rate& rate,
                                       const std::optional<policyd::Action>& verdict);
// The article's, which earlier versions wrote too: "Deferring: Too many messages sent in last 60
// seconds".
std::optional<std::string> earlier_message_for(Direction direction, const Rate& rate,
                                               const std::optional<policyd::Action>& verdict);

// "send-everyone-per-user": without white space, because the except-group is named after it.
std::string default_name(Direction direction, const Target& target, Per per);
// The Description of the policy.
std::string description(Direction direction, const Target& target, Per per);

// "each user of this server may send 100 messages an hour; more is deferred".
std::string describe(const WantedLimit& limit);

// "everyone, 1 exempt, 2 with own limit", "example.org", or "@example.net to anyone" for rows that
// are not recognised.
std::string who_text(const StoredLimit& limit);
// "everyone" without the exceptions.
std::string target_text(const StoredLimit& limit);
// "on", "off", "partly"; "invalid" if the daemon cannot use the Verdict, the Track or a group.
std::string_view state_text(const StoredLimit& limit);
std::string direction_text(const StoredLimit& limit);
// "user", or the Track if it is not one of ours. per_text is for people and may add to `client`.
std::string per_word(const StoredLimit& limit);
std::string per_text(const StoredLimit& limit);

}  // namespace limits
