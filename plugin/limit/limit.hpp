// SPDX-License-Identifier: AGPL-3.0-only
// A limit as it is wished for and as it stands in the database, and both in sentences. Values and
// pure functions; limits.hpp reads and writes the rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/protocol/verdict.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/limit/target.hpp"

namespace limits {

// What one `send` or `receive` says: all of the limit, so what is left out has its default.
struct WantedLimit {
  Direction direction = Direction::send;
  Target target;
  Per per = Per::user;
  std::vector<Rate> rates;                 // as parse_limit gives them
  std::optional<policyd::Action> verdict;  // none only watches
  // None: message_for. Empty: the daemon's own words.
  std::optional<std::string> message;
  std::optional<std::string> name;  // none: an existing limit keeps its own
  std::vector<Target> except;       // whom it does not concern, though they have no limit instead
  bool enabled = true;
};

// What applies without --per and --verdict.
Per default_per(Direction direction);
policyd::Action default_verdict(Direction direction);

// A row of quotas_limits with its quota.
struct StoredRate {
  std::int64_t quota_id = 0;
  std::int64_t limit_id = 0;
  Rate rate;
  std::optional<std::string> data;
  bool enabled = true;  // the quota and the row
  bool alone = true;    // the only row of its quota
};

struct StoredMember {
  std::int64_t id = 0;
  MemberText text;
  bool enabled = true;
};

// The quotas of one policy that have Track and Verdict in common, so that a policy with several
// (the article's has two) is several limits.
struct StoredLimit {
  std::int64_t id = 0;  // of the first quota; a limit keeps it when it is changed
  std::int64_t policy_id = 0;
  std::string policy_name;
  bool policy_enabled = true;
  std::string track;
  std::optional<std::string> verdict;  // as in the row
  std::vector<StoredRate> rates;       // by period
  std::vector<StoredMember> members;
  Recognised what;  // no target: made by hand in a way that has no words here
  // Members of the except-group: whom it does not concern, since they have limits of their own or
  // (`exempt`, a part of them) since the admin said so.
  std::vector<std::string> except;
  std::vector<std::string> exempt;

  // All of it is in force.
  [[nodiscard]] bool enabled() const;
  [[nodiscard]] bool partly_enabled() const;
  [[nodiscard]] std::vector<Rate> plain_rates() const;
  // The texts of those members that say whom it is for now: the enabled ones, or all where none is.
  [[nodiscard]] std::vector<MemberText> member_texts() const;
};

// "defer", "none", or the row's own word.
std::string verdict_word(const std::optional<std::string>& verdict);
// As rows have it: upper case; NULL for none.
std::optional<std::string> verdict_text(const std::optional<policyd::Action>& verdict);

// The article's text: "Deferring: Too many messages sent in last 60 seconds".
std::optional<std::string> message_for(Direction direction, const Rate& rate,
                                       const std::optional<policyd::Action>& verdict);

// "send-everyone-per-user": without white space, since the except-group is named after it.
std::string default_name(Direction direction, const Target& target, Per per);
// What the policy says of itself in the tables.
std::string description(Direction direction, const Target& target, Per per);

// "each user of this server may send 100 messages an hour; more is deferred".
std::string say(const WantedLimit& limit);

// "everyone, except 2", "example.org", or for rows that are not recognised "@example.net to
// anyone".
std::string say_who(const StoredLimit& limit);
// "everyone" without the exceptions.
std::string say_target(const StoredLimit& limit);
// "on", "off", "partly".
std::string_view say_state(const StoredLimit& limit);
std::string say_direction(const StoredLimit& limit);
// "user", or the Track where it is another one. `client` may have to say more for people.
std::string per_word(const StoredLimit& limit);
std::string say_per(const StoredLimit& limit);

}  // namespace limits
