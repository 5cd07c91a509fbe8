// SPDX-License-Identifier: AGPL-3.0-only
// The tables of Greylisting as one question sees them on an MTA of a cluster: this host's own,
// joined with what the others know of the triplet and its track key. What the others know is stored
// here, too, so that it need not be asked for again; what is decided here is told to them, if they
// could be asked. The loop's thread.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "daemon/store/shared_greylisting.hpp"

namespace policyd {

class JoinedGreylisting final : public GreylistingTables {
 public:
  // How long the others find what they are told.
  struct Keep {
    std::chrono::seconds deferred, passed, whitelist, blacklist;
  };
  // A triplet that is let through again, and a host on the whitelist, are told again at most this
  // many times while the others would find them.
  static constexpr int kRenewals = 8;

  // `answer` is null for a question that did not ask. One about another track key, since the rules
  // have changed, is none.
  JoinedGreylisting(GreylistingTables& own, SharedGreylisting& shared, const TripletAnswer* answer,
                    const Keep& keep)
      : own_(own), shared_(shared), answer_(answer), keep_(keep) {}

  std::optional<Triplet> find(std::string_view track_key, std::string_view sender,
                              std::string_view recipient) override;
  void insert(std::string_view track_key, std::string_view sender, std::string_view recipient,
              Time now) override;
  void set_first_seen(const Triplet& triplet, Time first_seen) override;
  void deferred(const Triplet& triplet, Time now) override;
  void passed(const Triplet& triplet, Time now) override;
  // Nothing for a question that did not ask: its counts have not changed.
  TripletCounts count(std::string_view track_key, Time since) override;

  std::optional<Time> auto_whitelist_seen(std::string_view track_key) override;
  void renew_auto_whitelist(std::string_view track_key, Time now) override;
  void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) override;
  std::optional<Time> auto_blacklist_added(std::string_view track_key) override;
  void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) override;

 private:
  [[nodiscard]] bool is_joined(std::string_view track_key) const {
    return answer_ != nullptr && answer_->answered && answer_->track_key == track_key;
  }
  void tell(TripletState state, Time first_seen);

  GreylistingTables& own_;
  SharedGreylisting& shared_;
  const TripletAnswer* answer_;
  const Keep keep_;
  TripletNames names_;                  // of find()
  std::optional<Time> passed_;          // when the triplet was first seen, once it is let through
  std::optional<Time> whitelist_seen_;  // by any of the MTAs
  bool is_on_own_whitelist_ = false;
};

}  // namespace policyd
