// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/joined_greylisting.hpp"

#include <algorithm>

namespace policyd {

namespace {

// Of rows of the lists, for the admin.
constexpr std::string_view kWhitelisted = "Auto-whitelisted by another MTA of the cluster";
constexpr std::string_view kBlacklisted = "Auto-blacklisted by another MTA of the cluster";

std::chrono::seconds between_renewals(std::chrono::seconds keep) {
  return std::max(keep / JoinedGreylisting::kRenewals, std::chrono::seconds{1});
}

// Whether `now` is the first time in its part of `keep`.
bool is_renewal(GreylistingTables::Time before, GreylistingTables::Time now,
                std::chrono::seconds keep) {
  const auto part = between_renewals(keep);
  return before.time_since_epoch() / part != now.time_since_epoch() / part;
}

}  // namespace

std::optional<Triplet> JoinedGreylisting::find(std::string_view track_key, std::string_view sender,
                                               std::string_view recipient) {
  names_ = {track_key, sender, recipient};
  auto triplet = own_.find(track_key, sender, recipient);
  if (!is_joined(track_key) || !answer_->first_seen) return triplet;
  const Time first_seen = *answer_->first_seen;
  if (!triplet) {
    own_.insert(track_key, sender, recipient, first_seen);
    return own_.find(track_key, sender, recipient);
  }
  if (first_seen < triplet->first_seen) {
    own_.set_first_seen(*triplet, first_seen);
    triplet->first_seen = first_seen;
  }
  return triplet;
}

void JoinedGreylisting::insert(std::string_view track_key, std::string_view sender,
                               std::string_view recipient, Time now) {
  own_.insert(track_key, sender, recipient, now);
  if (is_joined(track_key)) tell(TripletState::first_seen, now);
}

void JoinedGreylisting::set_first_seen(const Triplet& triplet, Time first_seen) {
  own_.set_first_seen(triplet, first_seen);
}

void JoinedGreylisting::deferred(const Triplet& triplet, Time now) {
  own_.deferred(triplet, now);
  if (is_joined(names_.track_key)) tell(TripletState::deferred, triplet.first_seen);
}

void JoinedGreylisting::passed(const Triplet& triplet, Time now) {
  own_.passed(triplet, now);
  passed_ = triplet.first_seen;
  const bool again = answer_ == nullptr && is_renewal(triplet.last_update, now, keep_.passed);
  if (is_joined(names_.track_key) || again) tell(TripletState::passed, triplet.first_seen);
}

void JoinedGreylisting::tell(TripletState state, Time first_seen) {
  const auto keep = state == TripletState::passed ? keep_.passed + between_renewals(keep_.passed)
                                                  : keep_.deferred;
  shared_.tell(names_, state, first_seen, keep, std::max(keep_.whitelist, keep_.blacklist));
}

TripletCounts JoinedGreylisting::count(std::string_view track_key, Time since) {
  if (answer_ == nullptr) return {};
  if (!is_joined(track_key)) return own_.count(track_key, since);
  // The blacklist is checked before the triplet is stored, the whitelist once it is let through.
  if (!passed_) return answer_->in_blacklist_period;
  TripletCounts counts = answer_->in_whitelist_period;
  if (*passed_ < since) return counts;
  if (!answer_->is_counted) ++counts.total;
  if (!answer_->is_counted_as_passed) ++counts.passed;
  return counts;
}

std::optional<GreylistingTables::Time> JoinedGreylisting::auto_whitelist_seen(
    std::string_view track_key) {
  whitelist_seen_ = own_.auto_whitelist_seen(track_key);
  is_on_own_whitelist_ = whitelist_seen_.has_value();
  if (is_joined(track_key)) whitelist_seen_ = std::max(whitelist_seen_, answer_->whitelist_seen);
  return whitelist_seen_;
}

void JoinedGreylisting::renew_auto_whitelist(std::string_view track_key, Time now) {
  if (is_on_own_whitelist_) {
    own_.renew_auto_whitelist(track_key, now);
  } else {
    own_.auto_whitelist(track_key, now, kWhitelisted);
  }
  if (whitelist_seen_ && !is_renewal(*whitelist_seen_, now, keep_.whitelist)) return;
  shared_.tell_whitelisted(track_key, now, keep_.whitelist + between_renewals(keep_.whitelist));
}

void JoinedGreylisting::auto_whitelist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  own_.auto_whitelist(track_key, now, comment);
  if (!is_joined(track_key)) return;
  shared_.tell_whitelisted(track_key, now, keep_.whitelist + between_renewals(keep_.whitelist));
}

std::optional<GreylistingTables::Time> JoinedGreylisting::auto_blacklist_added(
    std::string_view track_key) {
  const auto own = own_.auto_blacklist_added(track_key);
  if (!is_joined(track_key) || answer_->blacklist_added <= own) return own;
  own_.auto_blacklist(track_key, *answer_->blacklist_added, kBlacklisted);
  return answer_->blacklist_added;
}

void JoinedGreylisting::auto_blacklist(std::string_view track_key, Time now,
                                       std::string_view comment) {
  own_.auto_blacklist(track_key, now, comment);
  if (is_joined(track_key)) shared_.tell_blacklisted(track_key, now, keep_.blacklist);
}

}  // namespace policyd
