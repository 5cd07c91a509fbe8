// SPDX-License-Identifier: AGPL-3.0-only
// What the MTAs of a cluster know together of Greylisting: triplets, since mail that one MTA has
// deferred is often sent to another one next, and the lists of hosts. A question that this host's
// own tables do not settle asks first, waits, and joins a later batch with the answer; what was
// decided is told without waiting. The seam between Greylisting and the cluster; the loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/store/greylisting_tables.hpp"

namespace policyd {

struct TripletNames {
  std::string_view track_key, sender, recipient;
};

struct TripletQuestion {
  std::string track_key, sender, recipient;
  GreylistingTables::Time now;
  // Of the lists that the rows use; 0: none.
  std::chrono::seconds whitelist_period{0}, blacklist_period{0};

  [[nodiscard]] TripletNames names() const { return {track_key, sender, recipient}; }
  [[nodiscard]] bool uses_lists() const {
    return whitelist_period.count() > 0 || blacklist_period.count() > 0;
  }
};

struct TripletAnswer {
  using Time = GreylistingTables::Time;

  bool answered = false;  // false: the others could not be asked, and the rest says nothing
  std::string track_key;  // of the question
  std::optional<Time> first_seen;
  // Of a question that uses lists: when the track key was last seen, or added; its triplets first
  // seen within each period; and whether this triplet is among those seen, and those let through.
  std::optional<Time> whitelist_seen, blacklist_added;
  TripletCounts in_whitelist_period, in_blacklist_period;
  bool is_counted = false, is_counted_as_passed = false;
};

enum class TripletState : std::uint8_t { first_seen, deferred, passed };

class SharedGreylisting : boost::noncopyable {
 public:
  using Time = GreylistingTables::Time;
  using Done = std::function<void(TripletAnswer)>;
  virtual ~SharedGreylisting() = default;

  // Calls `done` once on the loop, after this function has returned and within the timeout of
  // [cluster]: Quotas may have to ask as well before the answer is due.
  virtual void ask(TripletQuestion question, Done done) = 0;

  // The others find it for this long. It counts for the lists for `count_for`; 0: there are none.
  virtual void tell(const TripletNames& names, TripletState state, Time first_seen,
                    std::chrono::seconds keep_for, std::chrono::seconds count_for) = 0;
  virtual void tell_whitelisted(std::string_view track_key, Time seen,
                                std::chrono::seconds keep_for) = 0;
  virtual void tell_blacklisted(std::string_view track_key, Time added,
                                std::chrono::seconds keep_for) = 0;
};

}  // namespace policyd
