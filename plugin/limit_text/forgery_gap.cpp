// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/forgery_gap.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

bool counts_mail_from_outside(const Target& target) {
  return target.who == Who::anyone || target.from_anywhere;
}

// `general` is switched on and counts mail from outside.
bool has_gap(const StoredLimit& general, const StoredLimit& special) {
  const Recognised& a = general.what;
  const Recognised& b = special.what;
  if (!a.target || !b.target || a.direction != Direction::send || b.direction != a.direction ||
      a.per != b.per || a.per == Per::account) {
    return false;
  }
  // A client's address cannot be forged.
  return special.enabled() && b.target->who != Who::client &&
         !counts_mail_from_outside(*b.target) && covers(Direction::send, *a.target, *b.target);
}

// Another limit may already count mail from anywhere for the same senders.
bool is_closed(const AllLimits& all, const StoredLimit& special) {
  Target wide = *special.what.target;
  wide.from_anywhere = true;
  for (const StoredLimit& other : all.limits) {
    if (other.enabled() && other.what.target == wide && other.what.per == special.what.per &&
        other.what.direction == special.what.direction) {
      return true;
    }
  }
  return false;
}

// Empty if the limit has no command line, or its target does not take --anyone.
std::string fix(const AllLimits& all, const StoredLimit& special, bool dry) {
  auto wanted = wanted_of(all, special);
  if (!wanted || wanted->target.who == Who::everyone) return {};
  wanted->target.from_anywhere = true;
  const std::string command = "carbonio-limits " + line_of(*wanted);
  const std::string instead = dry ? "" : fmt::format(" && carbonio-limits remove {}", special.id);
  return fmt::format("; to count that too: '{}{}'", command, instead);
}

}  // namespace

std::string forgery_gap_note(const AllLimits& all, std::optional<std::int64_t> id, bool dry) {
  std::vector<const StoredLimit*> wide;
  for (const StoredLimit& limit : all.limits) {
    if (limit.enabled() && limit.what.target && counts_mail_from_outside(*limit.what.target)) {
      wide.push_back(&limit);
    }
  }
  const StoredLimit* first = nullptr;
  const StoredLimit* from = nullptr;
  std::size_t others = 0;
  for (const StoredLimit& special : all.limits) {
    const auto general = std::find_if(wide.begin(), wide.end(), [&](const StoredLimit* each) {
      return (!id || each->id == *id || special.id == *id) && has_gap(*each, special);
    });
    if (general == wide.end() || is_closed(all, special)) continue;
    others += first != nullptr ? 1 : 0;
    if (first != nullptr) continue;
    first = &special;
    from = *general;
  }
  if (first == nullptr) return {};
  return fmt::format(
      "limit {} also counts mail from outside, but limit {}, which replaces it for {}, does not, "
      "so mail from outside that forges such a sender is not limited{}{}",
      from->id, first->id, name_of(*first->what.target),
      others == 0 ? "" : fmt::format(" (the same is true of {} more)", others),
      fix(all, *first, dry));
}

}  // namespace limits
