// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/shared_limits.hpp"

namespace policyd {

namespace {

bool is(const Wanted& wanted, std::int64_t limit_id, std::string_view track_key) {
  return wanted.limit_id == limit_id && wanted.track_key == track_key;
}

}  // namespace

void SharedLimits::begin() {
  full_.clear();
  next_ = 0;
}

SharedLimits::Part SharedLimits::part_of(const Question& question, std::int64_t limit_id,
                                         std::string_view track_key, Millis period) {
  if (question.shared == nullptr) return {};
  if (question.granted == nullptr) {
    const Window* full = question.shared->known_full(limit_id, track_key);
    if (full == nullptr) return {};
    full_.push_back(*full);
    full_.back().advance(question.store.now(), period);
    return {&full_.back(), -1};
  }
  // In the same order, unless the rules have changed since, or a counter occurs again.
  const Granted& granted = *question.granted;
  const std::size_t count = granted.wanted.size();
  for (std::size_t tried = 0; tried < count; ++tried) {
    const std::size_t at = (next_ + tried) % count;
    if (!is(granted.wanted[at], limit_id, track_key)) continue;
    next_ = at + 1;
    return {at < granted.others.size() ? &granted.others[at] : nullptr, static_cast<int>(at)};
  }
  return {};
}

double SharedLimits::limit_of(const Question& question, const Part& part, double limit) {
  if (part.wanted < 0) return limit;
  const auto at = static_cast<std::size_t>(part.wanted);
  const auto& own_limits = question.granted->own_limits;
  return at < own_limits.size() ? static_cast<double>(own_limits[at]) : limit;
}

bool SharedLimits::exceeds(const Question& question, const Part& part, double use, double asked,
                           double limit, bool bites) {
  const bool allowed = part.wanted >= 0 && bites && question.granted->own_limits.empty() &&
                       question.granted->exceeded < 0;
  if (allowed) return false;
  if (part.wanted >= 0 && part.wanted == question.granted->exceeded) return true;
  return use + asked > limit_of(question, part, limit);
}

Next SharedLimits::defer(Question& question) {
  question.verdict = {Action::defer,
                      "Mail limits cannot be shared between the servers at the moment; please try "
                      "again later"};
  question.reason.kind = Reason::Kind::not_shared;
  return Next::stop;
}

}  // namespace policyd
