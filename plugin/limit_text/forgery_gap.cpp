// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/forgery_gap.hpp"

#include <fmt/core.h>

#include <string>
#include <unordered_set>
#include <vector>

#include "plugin/limit_text/limit_line.hpp"
#include "plugin/rows/replacements.hpp"

namespace limits {
namespace {

bool counts_mail_from_outside(const Target& target) {
  return target.who == Who::anyone || target.from_anywhere;
}

// Of two limits of which the special one replaces the general one.
bool has_gap(const StoredLimit& general, const StoredLimit& special) {
  // A client's address cannot be forged, nor can a login.
  return general.enabled() && general.what.direction == Direction::send &&
         !is_account(*general.what.per) && counts_mail_from_outside(*general.what.target) &&
         special.what.target->who != Who::client && special.what.target->who != Who::login &&
         special.what.target->from.empty() && !counts_mail_from_outside(*special.what.target);
}

// The key of the same limit for mail from anywhere, which may exist too.
std::string key_from_anywhere(StoredLimit limit) {
  limit.what.target->from_anywhere = true;
  return key_of(limit);
}

// Empty if the limit has no command line, or its target does not take --anyone.
std::string fix(const StoredLimit& special, bool dry) {
  auto wanted = wanted_of(special);
  if (!wanted || wanted->target.who == Who::everyone) return {};
  wanted->target.from_anywhere = true;
  const std::string command = "carbonio-limits " + line_of(*wanted);
  const std::string instead = dry ? "" : fmt::format(" && carbonio-limits remove {}", special.id);
  return fmt::format("; to count that too: '{}{}'", command, instead);
}

}  // namespace

std::string forgery_gap_note(const AllLimits& all, std::optional<std::int64_t> id, bool dry) {
  std::vector<const StoredLimit*> limits;
  std::unordered_set<std::string> enabled;  // keys
  for (const StoredLimit& limit : all.limits) {
    limits.push_back(&limit);
    if (limit.enabled()) enabled.insert(key_of(limit));
  }
  const StoredLimit* first = nullptr;
  const StoredLimit* from = nullptr;
  std::unordered_set<std::size_t> found;
  each_pair(limits, [&](std::size_t wide, std::size_t narrow) {
    const StoredLimit& general = *limits[wide];
    const StoredLimit& special = *limits[narrow];
    if ((id && general.id != *id && special.id != *id) || !replaces(general, special) ||
        !has_gap(general, special) || enabled.contains(key_from_anywhere(special)) ||
        !found.insert(narrow).second || first != nullptr) {
      return;
    }
    first = &special;
    from = &general;
  });
  const std::size_t others = found.size() - 1;
  if (first == nullptr) return {};
  return fmt::format(
      "limit {} also counts mail from outside, but limit {}, which replaces it for {}, does not, "
      "so mail from outside that forges such a sender is not limited{}{}",
      from->id, first->id, name_of(*first->what.target),
      others == 0 ? "" : fmt::format(" (the same is true of {} more)", others), fix(*first, dry));
}

}  // namespace limits
