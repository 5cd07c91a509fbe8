// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/forgery_gap.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

bool counts_outside(const Target& target) {
  return target.who == Who::anyone || target.from_anywhere;
}

// `general` is switched on and counts mail from outside.
bool is_open(const StoredLimit& general, const StoredLimit& special) {
  const Recognised& a = general.what;
  const Recognised& b = special.what;
  if (!a.target || !b.target || a.direction != Direction::send || b.direction != a.direction ||
      a.per != b.per || a.per == Per::account) {
    return false;
  }
  // A client's address cannot be forged.
  return special.enabled() && b.target->who != Who::client && !counts_outside(*b.target) &&
         covers(Direction::send, *a.target, *b.target);
}

// One of them may be so already, for mail from anywhere.
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

// Nothing where it has no line, or its target no such option.
std::string mend(const AllLimits& all, const StoredLimit& special, bool dry) {
  auto wanted = wanted_of(all, special);
  if (!wanted || wanted->target.who == Who::everyone) return {};
  wanted->target.from_anywhere = true;
  const std::string put = "carbonio-limits " + line_of(*wanted);
  const std::string instead = dry ? "" : fmt::format(" && carbonio-limits remove {}", special.id);
  return fmt::format("; to count that too: '{}{}'", put, instead);
}

}  // namespace

std::string say_outside(const AllLimits& all, std::optional<std::int64_t> id, bool dry) {
  std::vector<const StoredLimit*> wide;
  for (const StoredLimit& limit : all.limits) {
    if (limit.enabled() && limit.what.target && counts_outside(*limit.what.target)) {
      wide.push_back(&limit);
    }
  }
  const StoredLimit* first = nullptr;
  const StoredLimit* from = nullptr;
  std::size_t others = 0;
  for (const StoredLimit& special : all.limits) {
    const auto general = std::find_if(wide.begin(), wide.end(), [&](const StoredLimit* each) {
      return (!id || each->id == *id || special.id == *id) && is_open(*each, special);
    });
    if (general == wide.end() || is_closed(all, special)) continue;
    others += first != nullptr ? 1 : 0;
    if (first != nullptr) continue;
    first = &special;
    from = *general;
  }
  if (first == nullptr) return {};
  return fmt::format(
      "limit {} counts mail from outside too, and limit {}, which takes {} out of it, does not, so "
      "who forges such a sender from outside is not limited{}{}",
      from->id, first->id, name_of(*first->what.target),
      others == 0 ? "" : fmt::format(" (and so it is with {} more)", others),
      mend(all, *first, dry));
}

}  // namespace limits
