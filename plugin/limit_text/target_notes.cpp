// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/target_notes.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// Two kinds of target are two limits, not one with two conditions.
void note_two_kinds(const std::vector<WantedLimit>& wanted, std::vector<std::string>& notes) {
  std::set<Who> kinds;
  std::vector<std::string> clients;
  const WantedLimit* sender = nullptr;
  for (const WantedLimit& limit : wanted) {
    kinds.insert(limit.target.who);
    if (limit.target.who == Who::client) {
      clients.push_back(limit.target.name);
    } else if (sender == nullptr) {
      sender = &limit;
    }
  }
  if (kinds.size() < 2) return;
  std::string note = "each of these targets has a limit of its own";
  if (sender != nullptr && !clients.empty()) {
    WantedLimit both = *sender;
    both.target.from_anywhere = false;
    both.target.from = clients;
    std::sort(both.target.from.begin(), both.target.from.end());
    note += fmt::format(
        ": {} wherever the mail comes from, and {} whatever the sender; for one limit on mail of "
        "{} "
        "from there: 'carbonio-limits {}'",
        name_of(sender->target), join_with_and(clients), name_of(sender->target), line_of(both));
  }
  notes.push_back(std::move(note));
}

void note_sender_of_accounts(const WantedLimit& limit, std::vector<std::string>& notes) {
  if (!is_account(limit.per) || limit.target.who != Who::user) return;
  WantedLimit login = limit;
  login.target = Target{Who::login, limit.target.name, false, limit.target.from};
  notes.push_back(
      fmt::format("--user is the sender address, so {} is not limited under other "
                  "addresses; to limit all that this account sends: 'carbonio-limits {}'",
                  limit.target.name, line_of(login)));
}

// The limit for all mail from the networks of its condition.
std::string line_for_clients(const WantedLimit& limit) {
  WantedLimit client = limit;
  client.target = Target{Who::client, limit.target.from.front()};
  std::string line = line_of(client);
  const std::size_t end = line.find(client.target.name) + client.target.name.size();
  for (std::size_t i = limit.target.from.size() - 1; i > 0; --i) {
    line.insert(end, " " + limit.target.from[i]);
  }
  return line;
}

// A condition makes a limit no replacement for those without it.
void note_limits_beside(const WantedLimit& limit, const AllLimits& after,
                        std::vector<std::string>& notes) {
  if (limit.target.from.empty() || !limit.verdict) return;
  Target anywhere = limit.target;
  anywhere.from.clear();
  const Target client{Who::client, limit.target.from.front()};
  for (const StoredLimit& other : after.limits) {
    const Recognised& what = other.what;
    if (!other.enabled() || other.only_monitors() || !what.target || !what.target->from.empty() ||
        what.direction != limit.direction || what.per != limit.per ||
        !(*what.target == anywhere || covers(limit.direction, *what.target, anywhere)) ||
        std::find(other.exempt.begin(), other.exempt.end(), item_of(anywhere)) !=
            other.exempt.end()) {
      continue;
    }
    std::string note = fmt::format(
        "limit {} ({} for {}) applies to this mail too, and the first that is used up refuses it",
        other.id, format_limit(other.plain_rates()), name_of(*what.target));
    if (limit.direction == Direction::send && covers(limit.direction, *what.target, client)) {
      note += fmt::format(
          "; a limit for all mail from there, whatever the sender, replaces it: 'carbonio-limits "
          "{}'",
          line_for_clients(limit));
    }
    notes.push_back(std::move(note));
    return;
  }
}

}  // namespace

std::vector<std::string> target_notes(const std::vector<WantedLimit>& wanted,
                                      const AllLimits& after) {
  std::vector<std::string> notes;
  note_two_kinds(wanted, notes);
  note_sender_of_accounts(wanted.front(), notes);
  note_limits_beside(wanted.front(), after, notes);
  return notes;
}

}  // namespace limits
